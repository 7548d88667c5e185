"""One company's thousand documents, and another's one: how long the one takes alone, and behind the thousand."""

from __future__ import annotations

import statistics
import time

from benchmarks.platform import Customer, new_customer, running_platform
from benchmarks.report import Row, at_most

MANY = 1000
ROUNDS = 7
PER_UPLOAD = 50


def run() -> list[Row]:
    with running_platform() as address, new_customer(address) as crowd, new_customer(address) as single:
        for customer in (crowd, single):  # the worker processes load the model
            for number in range(4):
                customer.await_processed(customer.upload(f"warm-up-{number}.txt", f"A text number {number}."))
        alone = [_upload_and_wait(single, number) for number in range(ROUNDS)]
        for start in range(0, MANY, PER_UPLOAD):
            files = [("files", (f"{n}.txt", _text(n).encode())) for n in range(start, start + PER_UPLOAD)]
            crowd.post("/document/upload", data={"agent_id": crowd.agent_id}, files=files)
        behind = [_upload_and_wait(single, number) for number in range(ROUNDS, 2 * ROUNDS)]
        left = crowd.get("/document", params={"status": "pending"})["pagination"]["total"]
    if not left:
        raise RuntimeError("The thousand documents were read before the one was measured.")
    delay = statistics.median(behind) / statistics.median(alone)
    return [
        Row("upload → processed, alone, median", f"{statistics.median(alone):.2f} s"),
        Row(f"the same behind {MANY} documents of another", f"{statistics.median(behind):.2f} s"),
        Row("of which still waiting at the end", str(left)),
        at_most("delay by the other company", delay, 2, "times"),
    ]


def _upload_and_wait(customer: Customer, number: int) -> float:
    started = time.perf_counter()
    customer.await_processed(customer.upload(f"one-{number}.txt", _text(-number)))
    return time.perf_counter() - started


def _text(number: int) -> str:
    return f"This is the text number {number}. It is small, as most texts are. " * 40
