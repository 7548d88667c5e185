"""Keeps the parts of the platform running: starts them, shows their output, restarts what crashes, stops them all.

One thread and one loop, so that starting a child is safe (see `process.spawn`) and lines of two parts never mix.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from knowrithm.embedded.errors import EmbeddedError
from knowrithm.embedded.process import Account, kill_group, spawn

FIRST_DELAY, LONGEST_DELAY = 0.5, 10.0  # seconds between a crash and the restart
STEADY = 10.0  # seconds; a part that ran this long is sound, and its next crash counts as the first
TICK = 0.1  # seconds between two looks at the children
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOG_BYTES = 10_000_000  # a part's log file is put aside when it is so large, and the one before that is deleted

# How a line begins that says its level: our own ones (as text or JSON), uvicorn's, PostgreSQL's and Valkey's.
LEVEL = re.compile(
    r"timestamp='[^']*' level='(?P<text>\w+)'"
    r'|\{.*?"level": "(?P<json>\w+)"'
    r"|(?P<uvicorn>[A-Z]+): "
    r"|[-\d]+ [:.\d]+ \w+ \[\d+\] (?P<postgres>[A-Z]+): "
    r"|\d+:[A-Z] \d+ \w+ \d+ [:.\d]+ (?P<valkey>[-.*#]) "
)
EVENT = re.compile(r"""\bevent(?:=|": )['"](\w+)['"]""")
CODE = re.compile(r"""\bcode(?:=|": )['"](\w+)['"]""")
ALARMING = {"warning", "error", "critical", "fatal", "panic", "#"}


class Shows(Enum):
    """What the terminal shows of what the parts write. What they wrote is shown always when one fails to start."""

    ALL = "all"
    ALARMS = "alarms"  # of a part that runs, warnings and errors; of a step all that does not say its level
    NOTHING = "nothing"


@dataclass(frozen=True)
class Part:
    """A program that has to run all the time."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: Callable[[], bool] | None = None  # asked until true when the part is first started; None: ready at once
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace: float = 5.0  # seconds between the stop signal and SIGKILL
    death_signal: signal.Signals = signal.SIGKILL  # sent by the kernel when the supervisor itself dies


class Interrupted(Exception):
    """A stop signal came before everything was started."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.exit_status = 128 + number


def restart_delay(crashes: int) -> float:
    """Seconds to wait after the `crashes`-th crash in a row, counted from 1."""
    return float(min(LONGEST_DELAY, FIRST_DELAY * 2 ** (crashes - 1)))


def describe_exit(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


@dataclass(frozen=True)
class _StopRequest:
    number: int
    at: float  # time.monotonic()


@dataclass
class _Running:
    part: Part
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    crashes: int = 0
    is_started: bool = False  # it was ready once: from now on a crash means a restart
    exit_status: int | None = None  # of the last end
    unfinished_line: bytes = b""
    is_step: bool = False  # it runs to its end
    is_alarming: bool = False  # its last line that said its level; the lines after it, such as a traceback, go with it


@dataclass
class Supervisor:
    """A context: inside it SIGINT, SIGTERM and SIGHUP ask for the stop; leaving it stops every part."""

    cwd: Path
    shows: Shows = Shows.ALL
    logs: Path | None = None  # the folder of one file for each part with all that it wrote
    # Where only alarms are shown: what is said instead of the log's line of an event, and of the lines after it, such
    # as a traceback. {code} is the line's, {log} the file; nothing is said for an empty sentence.
    sentences: Mapping[str, str] = field(default_factory=dict)
    _waves: list[list[_Running]] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _old_handlers: dict[signal.Signals, object] = field(default_factory=dict)
    _stop_requests: list[_StopRequest] = field(default_factory=list)
    _is_stopping: bool = False
    _held_back: list[str] = field(default_factory=list)
    _log_files: dict[str, RotatingFileHandler] = field(default_factory=dict)

    def __enter__(self) -> Self:
        for number in STOP_SIGNALS:
            self._old_handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._selector.close()
        for file in self._log_files.values():
            file.close()
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop_requests.append(_StopRequest(number, at=time.monotonic()))

    # --- what the caller asks for ---------------------------------------------------------------------------------

    def start(self, *parts: Part, timeout: float = 60.0) -> None:
        """Start `parts` together and return when all are ready; they will be stopped together.

        Raises EmbeddedError when one ends first or is not ready within `timeout` seconds, Interrupted on a stop signal.
        """
        wave = [_Running(part) for part in parts]
        self._waves.append(wave)
        for running in wave:
            self._spawn(running)
        deadline = time.monotonic() + timeout
        while waiting := [running for running in wave if not self._has_started(running)]:
            self._pump(TICK / 2)
            self._raise_if_interrupted()
            for running in waiting:
                if running.exit_status is not None:
                    end = describe_exit(running.exit_status)
                    raise self._failure(f"{running.part.name} ended before it was ready ({end}).")
            if time.monotonic() > deadline:
                names = ", ".join(running.part.name for running in waiting)
                raise self._failure(f"Not ready after {timeout:.0f} seconds: {names}.")

    def run(self, name: str, argv: Sequence[str], *, env: Mapping[str, str]) -> int:
        """Run a program to its end beside the parts, its lines shown under `name`; its exit status."""
        step = _Running(Part(name, argv, env), is_step=True)
        self._waves.append([step])
        self._spawn(step)
        while step.exit_status is None:
            self._pump(TICK)
            self._raise_if_interrupted()
        self._waves.pop()
        return step.exit_status

    def run_in_foreground(self, argv: Sequence[str], *, env: Mapping[str, str]) -> int:
        """Run a program on our own terminal beside the parts, to its end; its exit status.

        It stays in our process group, so Ctrl-C at the terminal reaches it directly; other stop signals are passed on.
        """
        process = subprocess.Popen(argv, env=env, cwd=self.cwd)  # noqa: S603 - the caller's own command
        passed_on = 0
        while process.poll() is None:
            self._pump(TICK)
            for request in self._stop_requests[passed_on:]:
                passed_on += 1
                if request.number != signal.SIGINT:
                    process.send_signal(request.number)
        return process.returncode

    def watch(self) -> None:
        """Keep every part running until a stop signal comes."""
        while not self._stop_requests:
            self._pump(TICK)

    def stop(self) -> None:
        """Stop every part, those started last first; one more stop signal, a second later or more, kills at once."""
        self._is_stopping = True
        hurry_after = time.monotonic() + 1.0  # some senders signal a program and its group: that is one request
        while self._waves:
            wave = self._waves.pop()
            begun = time.monotonic()
            for running in wave:
                if running.process:
                    running.process.send_signal(running.part.stop_signal)
            while any(running.process for running in wave):
                is_hurried = any(request.at > hurry_after for request in self._stop_requests)
                for running in wave:
                    if running.process and (is_hurried or time.monotonic() > begun + running.part.stop_grace):
                        kill_group(running.process)
                self._pump(TICK / 2, also=wave)

    def say(self, line: str) -> None:
        """One line of our own."""
        self._print_or_hold("knowrithm", line, is_shown=self.shows is not Shows.NOTHING)

    # --- the loop -------------------------------------------------------------------------------------------------

    def _pump(self, timeout: float, *, also: Iterable[_Running] = ()) -> None:
        """Show what the parts wrote, note who ended, restart who is due. Waits `timeout` seconds for output."""
        for key, _ in self._selector.select(timeout):
            self._show_output(key.data)
        for running in [*(running for wave in self._waves for running in wave), *also]:
            if running.process and running.process.poll() is not None:
                self._note_end(running, running.process)
            elif self._is_due(running):
                self._spawn(running)
                self.say(f"{running.part.name} was started again")

    def _is_due(self, running: _Running) -> bool:
        has_crashed = running.is_started and not running.process and not self._is_stopping
        return has_crashed and time.monotonic() >= running.restart_at

    def _spawn(self, running: _Running) -> None:
        part = running.part
        try:
            process = spawn(part.argv, env=part.env, cwd=self.cwd, account=part.account, death_signal=part.death_signal)
        except OSError as error:
            raise self._failure(f"{part.name} cannot be started: {error}.") from error
        running.process, running.started_at = process, time.monotonic()
        if process.stdout:
            os.set_blocking(process.stdout.fileno(), False)
            self._selector.register(process.stdout, selectors.EVENT_READ, running)

    def _has_started(self, running: _Running) -> bool:
        if not running.is_started and running.process:
            running.is_started = running.part.ready is None or running.part.ready()
        return running.is_started

    def _note_end(self, running: _Running, process: subprocess.Popen[bytes]) -> None:
        kill_group(process)
        self._show_output(running)
        if running.unfinished_line:
            self._take(running, running.unfinished_line)
            running.unfinished_line = b""
        if process.stdout:
            with contextlib.suppress(KeyError):  # the end of its output was seen before
                self._selector.unregister(process.stdout)
            process.stdout.close()
        running.process, running.exit_status = None, process.returncode
        if running.is_started and not self._is_stopping:
            now = time.monotonic()
            running.crashes = 1 if now - running.started_at > STEADY else running.crashes + 1
            delay = restart_delay(running.crashes)
            running.restart_at = now + delay
            end = f"{running.part.name} ended ({describe_exit(process.returncode)}); it restarts in {delay:g} s"
            self.say(f"{end}; what it wrote: {self._log_of(running)}" if self.logs else end)

    def _show_output(self, running: _Running) -> None:
        if not running.process or not (pipe := running.process.stdout) or pipe.closed:
            return
        while True:
            try:
                read = os.read(pipe.fileno(), 65536)
            except BlockingIOError:
                return
            if not read:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(pipe)
                return
            *lines, running.unfinished_line = (running.unfinished_line + read).split(b"\n")
            for line in lines:
                self._take(running, line)

    def _take(self, running: _Running, written: bytes) -> None:
        """Keep one line of a part, and show it if it is to be shown."""
        line = written.decode(errors="replace").rstrip()
        if self.logs:
            self._write(self._log_of(running), line)
        if said := LEVEL.match(line):
            running.is_alarming = said[said.lastgroup or 0].lower() in ALARMING
        is_shown = self._is_shown(running, says_level=said is not None)
        sentence = self._sentence_for(running, line) if is_shown and said and self.shows is Shows.ALARMS else None
        if sentence is not None:
            running.is_alarming = False
            line, is_shown = sentence, bool(sentence)
        self._print_or_hold(running.part.name, line, is_shown=is_shown)

    def _sentence_for(self, running: _Running, line: str) -> str | None:
        event, code = EVENT.search(line), CODE.search(line)
        sentence = self.sentences.get(event[1]) if event else None
        return sentence and sentence.format(code=code[1] if code else "", log=self._log_of(running))

    def _is_shown(self, running: _Running, *, says_level: bool) -> bool:
        if self.shows is not Shows.ALARMS:
            return self.shows is Shows.ALL
        if running.is_step:
            return running.is_alarming or not says_level
        return running.is_alarming and running.is_started and not self._is_stopping

    def _log_of(self, running: _Running) -> Path:
        return (self.logs or self.cwd) / f"{running.part.name}.log"

    def _write(self, path: Path, line: str) -> None:
        file = self._log_files.get(path.name)
        if file is None:
            path.parent.mkdir(exist_ok=True)
            file = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8", errors="replace")
            self._log_files[path.name] = file
        file.emit(logging.makeLogRecord({"msg": line}))

    def _print_or_hold(self, name: str, line: str, *, is_shown: bool) -> None:
        text = f"{name:<11} | {line}"
        if not is_shown:
            self._held_back = [*self._held_back[-49:], text]
            return
        with contextlib.suppress(OSError):  # nobody reads any more: stopping cleanly matters more
            print(text, flush=True)

    def _failure(self, sentence: str) -> EmbeddedError:
        for text in self._held_back:
            print(text, file=sys.stderr, flush=True)
        return EmbeddedError(sentence)

    def _raise_if_interrupted(self) -> None:
        if self._stop_requests:
            raise Interrupted(self._stop_requests[0].number)
