"""The supervisor with small programs of the tests' own, in a process of its own: it takes over the signals."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from knowrithm.embedded.stack import SENTENCES
from knowrithm.embedded.supervisor import restart_delay
from knowrithm.embedded.tests.program import is_gone, program

pytestmark = [pytest.mark.timeout(60), pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

PRELUDE = """
import signal, sys
from pathlib import Path
from knowrithm.embedded.errors import EmbeddedError
from knowrithm.embedded.supervisor import Interrupted, Part, Shows, Supervisor

def part(name, code, **options):
    return Part(name, [sys.executable, "-c", code], {"PYTHONUNBUFFERED": "1"}, **options)

SLEEPER = "import os, time; print('pid', os.getpid()); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
POLITE = '''
import signal, sys, time
def leave(*_):
    print("leaving")
    sys.exit()
signal.signal(signal.SIGTERM, leave)
print("here")
time.sleep(600)
'''
PARENT = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]]); "
"""


def script(body: str) -> list[str]:
    return [sys.executable, "-c", PRELUDE + body]


def pid_in(line: str) -> int:
    return int(line.split()[-1])


def test_restart_delay_doubles_up_to_ten_seconds() -> None:
    assert [restart_delay(crashes) for crashes in range(1, 8)] == [0.5, 1, 2, 4, 8, 10, 10]


def test_killed_part_is_restarted_and_the_others_run_on() -> None:
    body = """
with Supervisor(cwd=Path("/")) as supervisor:
    supervisor.start(part("one", SLEEPER))
    supervisor.start(part("two", SLEEPER))
    supervisor.watch()
"""
    with program(script(body)) as supervisor:
        started = [supervisor.wait_for_line("pid"), supervisor.wait_for_line("pid")]  # in either order
        one, two = (pid_in(line) for line in sorted(started))
        os.kill(one, signal.SIGKILL)
        end = supervisor.wait_for_line("knowrithm")
        told = supervisor.wait_for_line("knowrithm")
        again = pid_in(supervisor.wait_for_line("one  "))
        assert supervisor.stop() == 0

    assert end == "knowrithm   | one ended (killed by SIGKILL); it restarts in 0.5 s\n"
    assert told == "knowrithm   | one was started again\n"
    assert supervisor.lines[-1] == f"one         | pid {again}"
    assert [is_gone(pid) for pid in (one, two, again)] == [True, True, True]


WRITER = """
print("timestamp='1' level='info' event=\\"level='error'\\"")
print("here is a mail")
print("timestamp='2' level='error' event='no'")
print("Traceback")
print("INFO:     asked")
print("ERROR:    asked")
print('{"event": "no", "level": "warning"}')
print("2026-11-26 16:36:56.435 UTC [12] LOG:  checkpoint")
print("2026-11-26 16:36:56.435 UTC [12] FATAL:  no room")
print("1:M 26 Nov 2026 16:36:56.435 * ready")
print("1:M 26 Nov 2026 16:36:56.435 # no memory")
"""


def test_terminal_shows_warnings_and_crashes_and_the_log_file_all(tmp_path: Path) -> None:
    body = f"""
WRITER = {WRITER!r}
with Supervisor(cwd=Path("/"), shows=Shows.ALARMS, logs=Path(sys.argv[1]) / "logs") as supervisor:
    half = "print('half'); print(\\"timestamp='1' level='info'\\")"
    supervisor.run("prepare", [sys.executable, "-c", half], env={{}})
    supervisor.start(part("writer", WRITER + "import os, time; time.sleep(600)"))
    supervisor.watch()
"""
    log = tmp_path / "logs" / "writer.log"
    with program([*script(body), str(tmp_path)]) as supervisor:
        supervisor.wait_for_line("no memory")
        assert supervisor.stop() == 0

    assert supervisor.lines == [
        "prepare     | half",
        "writer      | timestamp='2' level='error' event='no'",
        "writer      | Traceback",
        "writer      | ERROR:    asked",
        'writer      | {"event": "no", "level": "warning"}',
        "writer      | 2026-11-26 16:36:56.435 UTC [12] FATAL:  no room",
        "writer      | 1:M 26 Nov 2026 16:36:56.435 # no memory",
    ]
    assert len(log.read_text().splitlines()) == 11
    assert log.read_text().splitlines()[:2] == ["timestamp='1' level='info' event=\"level='error'\"", "here is a mail"]
    assert (tmp_path / "logs" / "prepare.log").read_text() == "half\ntimestamp='1' level='info'\n"


FAILING = """
print("timestamp='1' level='warning' event='unanswered' code='LLM_PAUSED' logger='turn'")
print("timestamp='2' level='error' event='broken' code='X' logger='turn'")
print("Traceback")
print('{"code": "LLM_EMPTY", "event": "unanswered", "level": "warning"}')
print("timestamp='3' level='warning' event='lost'")
print("timestamp='4' level='warning' event='other' error=\\"event='lost'\\"")
"""


def test_terminal_says_a_sentence_where_there_is_one_for_the_event(tmp_path: Path) -> None:
    body = f"""
SENTENCES = {{"unanswered": "No answer ({{code}}).", "broken": "It broke: {{log}}", "lost": ""}}
with Supervisor(cwd=Path("/"), shows=Shows.ALARMS, logs=Path(sys.argv[1]), sentences=SENTENCES) as supervisor:
    supervisor.start(part("worker", {FAILING!r} + "import time; time.sleep(600)"))
    supervisor.watch()
"""
    with program([*script(body), str(tmp_path)]) as supervisor:
        supervisor.wait_for_line("other")
        assert supervisor.stop() == 0

    log = tmp_path / "worker.log"
    assert supervisor.lines == [
        "worker      | No answer (LLM_PAUSED).",
        f"worker      | It broke: {log}",
        "worker      | No answer (LLM_EMPTY).",
        "worker      | timestamp='4' level='warning' event='other' error=\"event='lost'\"",
    ]
    assert len(log.read_text().splitlines()) == 6


def test_sentences_are_of_events_that_are_logged() -> None:
    root = Path(__file__).resolve().parents[3]
    code = "".join(path.read_text() for app in ("conversations", "documents") for path in (root / app).glob("*.py"))
    assert [event for event in SENTENCES if f'("{event}"' not in code] == []


def test_crash_names_the_log_file(tmp_path: Path) -> None:
    body = """
with Supervisor(cwd=Path("/"), shows=Shows.ALARMS, logs=Path(sys.argv[1])) as supervisor:
    supervisor.start(part("one", "print('no such column'); raise SystemExit(3)"))
    supervisor.watch()
"""
    with program([*script(body), str(tmp_path)]) as supervisor:
        supervisor.wait_for_line("started again")
        assert supervisor.stop() == 0

    log = tmp_path / "one.log"
    assert supervisor.lines[:2] == [
        f"knowrithm   | one ended (exit status 3); it restarts in 0.5 s; what it wrote: {log}",
        "knowrithm   | one was started again",
    ]
    assert log.read_text().splitlines()[0] == "no such column"


def test_stop_goes_backwards_and_parts_started_together_stop_together() -> None:
    body = """
with Supervisor(cwd=Path("/")) as supervisor:
    supervisor.start(part("database", POLITE))
    supervisor.start(part("web", POLITE), part("worker", POLITE))
    supervisor.watch()
"""
    with program(script(body)) as supervisor:
        for _ in range(3):
            supervisor.wait_for_line("here")
        supervisor.process.send_signal(signal.SIGINT)
        leaving = supervisor.rest()

    assert supervisor.process.returncode == 0
    assert sorted(leaving[:2]) == ["web         | leaving", "worker      | leaving"]
    assert leaving[2:] == ["database    | leaving"]


@pytest.mark.parametrize("leader", ["SLEEPER", "STUBBORN"])
def test_stop_ends_all_that_a_part_started_even_what_ignores_the_signal(leader: str) -> None:
    body = f"""
with Supervisor(cwd=Path("/")) as supervisor:
    argv = [sys.executable, "-c", PARENT + {leader}, STUBBORN]
    supervisor.start(Part("parent", argv, {{"PYTHONUNBUFFERED": "1"}}, stop_grace=0.2))
    supervisor.watch()
"""
    with program(script(body)) as supervisor:
        pids = [pid_in(supervisor.wait_for_line("pid")) for _ in range(2)]
        assert supervisor.stop() == 0

    assert [is_gone(pid) for pid in pids] == [True, True]


def test_killed_supervisor_takes_its_parts_along() -> None:
    body = """
with Supervisor(cwd=Path("/")) as supervisor:
    supervisor.start(part("one", STUBBORN), part("two", STUBBORN))
    supervisor.watch()
"""
    with program(script(body)) as supervisor:
        pids = [pid_in(supervisor.wait_for_line("pid")) for _ in range(2)]
        assert supervisor.stop(signal.SIGKILL) == -signal.SIGKILL

    assert [is_gone(pid) for pid in pids] == [True, True]


def test_second_stop_signal_ends_the_patience() -> None:
    body = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what comes after the supervisor's own time must not count
with Supervisor(cwd=Path("/")) as supervisor:
    supervisor.start(part("stubborn", STUBBORN, stop_grace=3600))
    supervisor.watch()
"""
    with program(script(body)) as supervisor:
        pid = pid_in(supervisor.wait_for_line("pid"))
        while supervisor.process.poll() is None:  # one signal alone would wait an hour
            supervisor.process.terminate()
            time.sleep(0.1)

    assert supervisor.process.returncode == 0
    assert is_gone(pid)


def test_part_that_ends_before_it_is_ready_is_an_error_that_shows_all_output(tmp_path: Path) -> None:
    body = """
good = Path(sys.argv[1])
report = "import os, sys; print('pid', os.getpid()); open(sys.argv[1], 'w'); import time; time.sleep(600)"
try:
    with Supervisor(cwd=Path("/"), shows=Shows.NOTHING) as supervisor:
        argv = [sys.executable, "-c", report, str(good)]
        supervisor.start(Part("good", argv, {"PYTHONUNBUFFERED": "1"}, ready=good.exists))
        supervisor.start(part("bad", "print('no such column'); raise SystemExit(3)", ready=lambda: False))
except EmbeddedError as error:
    print(error)
"""
    with program([*script(body), str(tmp_path / "good")]) as supervisor:
        lines = supervisor.rest()

    good = pid_in(lines[0])
    assert lines == [
        f"good        | pid {good}",
        "bad         | no such column",
        "bad ended before it was ready (exit status 3).",
    ]
    assert is_gone(good)


def test_part_that_is_never_ready_is_an_error() -> None:
    body = """
try:
    with Supervisor(cwd=Path("/")) as supervisor:
        supervisor.start(part("late", SLEEPER, ready=lambda: False), timeout=0.2)
except EmbeddedError as error:
    print(error)
"""
    with program(script(body)) as supervisor:
        assert supervisor.rest()[-1] == "Not ready after 0 seconds: late."


def test_missing_program_is_an_error() -> None:
    body = """
try:
    with Supervisor(cwd=Path("/")) as supervisor:
        supervisor.start(Part("ghost", ["/no/such/program"], {}))
except EmbeddedError as error:
    print(error)
"""
    with program(script(body)) as supervisor:
        expected = "ghost cannot be started: [Errno 2] No such file or directory: '/no/such/program'."
        assert supervisor.rest() == [expected]


def test_step_runs_to_its_end_beside_the_parts() -> None:
    body = """
with Supervisor(cwd=Path("/")) as supervisor:
    supervisor.start(part("database", POLITE))
    print(supervisor.run("prepare", [sys.executable, "-c", "print('migrating', end=''); raise SystemExit(4)"], env={}))
"""
    with program(script(body)) as supervisor:
        lines = supervisor.rest()

    assert [line for line in lines if not line.startswith("database")] == ["prepare     | migrating", "4"]


def test_stop_signal_during_a_step_stops_step_and_parts() -> None:
    body = """
try:
    with Supervisor(cwd=Path("/")) as supervisor:
        supervisor.start(part("database", SLEEPER))
        supervisor.run("prepare", [sys.executable, "-c", SLEEPER], env={"PYTHONUNBUFFERED": "1"})
except Interrupted as interruption:
    sys.exit(interruption.exit_status)
"""
    with program(script(body)) as supervisor:
        pids = [pid_in(supervisor.wait_for_line("pid")) for _ in range(2)]
        assert supervisor.stop(signal.SIGTERM) == 128 + signal.SIGTERM

    assert [is_gone(pid) for pid in pids] == [True, True]
