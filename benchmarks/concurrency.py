"""Many companies at once: whether anything of one ever comes to another, in an answer or in what is kept.

The crowd is that of the flow test `knowrithm/tests/flows/test_concurrency.py`, which runs a smaller one.
"""

from __future__ import annotations

import time

from benchmarks.platform import environment_of, running_platform
from benchmarks.report import Row, at_least, at_most
from knowrithm.tests.crowd import Crowd, sweep

COMPANIES, THREADS, CALLS = 20, 32, 10_000
SHOWN = 5


def run() -> list[Row]:
    with running_platform() as address:
        crowd = Crowd(address, COMPANIES)
        started = time.perf_counter()
        crowd.run(threads=THREADS, calls=CALLS)
        took = time.perf_counter() - started
        kept = sweep(crowd, environment_of(address))
    found = crowd.findings
    for line in (*found.leaks[:SHOWN], *found.faults[:SHOWN]):
        print(f"    {line}", flush=True)
    tasks = sum(len(member.tasks) for member in crowd.members)
    return [
        at_least(f"requests, {THREADS} threads, {COMPANIES} companies", found.calls, CALLS),
        Row("… in all, until the last task had ended", f"{took:.0f} s"),
        Row("… answers with something of the caller's own", f"{found.telling / found.calls:.0%}"),
        Row("tasks among them, each completed", str(tasks)),
        Row("looked through afterwards", ", ".join(f"{count} {sort}" for sort, count in sorted(kept.items()))),
        at_most("answers, rows, records, files of the wrong company", len(found.leaks), 0, ""),
        at_most("answers and tasks that went wrong", len(found.faults), 0, ""),
    ]
