"""A program under test: started as a user would start it, read line by line, never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LAUNCHER = [sys.executable, "-m", "knowrithm.embedded"]
PATIENCE = 20.0  # seconds until something that has to happen counts as never happening


@dataclass
class Program:
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def wait_for_line(self, text: str) -> str:
        """Read on to the next line that holds `text`."""
        while line := self._read():
            if text in line:
                return line
        raise AssertionError(f"ended without {text!r}: {self.lines}")

    def rest(self) -> list[str]:
        """All lines up to the program's end."""
        before = len(self.lines)
        while self._read():
            pass
        return self.lines[before:]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, read to the end; the exit status."""
        self.process.send_signal(number)
        self.rest()
        return self.process.wait(PATIENCE)

    def _read(self) -> str:
        assert self.process.stdout
        line: str = self.process.stdout.readline()
        if line:
            self.lines.append(line.rstrip("\n"))
        return line


@contextmanager
def program(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Iterator[Program]:
    """Start `argv` in the project's folder with a small environment of its own and `env`."""
    own = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **(env or {})}
    with subprocess.Popen(
        argv, env=own, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield Program(process)
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=PATIENCE)


def is_gone(pid: int) -> bool:
    """Wait for the end of a process that has to end; a zombie nobody has fetched yet has ended."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False
