"""Visitors who come to a site: each registers, opens a conversation, asks, and waits for the first word of the answer.

They come evenly, `BENCH_VISITORS` a second (20), whatever became of those before them. The built-in model answers. The
visitors run in this process, on the platform's machine.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass

import httpx2

from benchmarks.platform import Customer, checked, cpu_by_part, new_customer, running_platform
from benchmarks.report import Row, at_most, cpu_each, milliseconds, percentile

A_SECOND = int(os.environ.get("BENCH_VISITORS", "20"))
SECONDS, WARM_UP = 20, 3
FACT = "The warranty of the X200 pump lasts two years from the date of purchase."
QUESTION = "My order is number {}. How long does the warranty of the X200 pump last?"  # nobody asks the same
FIRST_WORD = "event: chat_delta"


@dataclass(frozen=True, slots=True)
class _Visit:
    """Seconds since the visitor came."""

    registered: float
    begun: float
    first_word: float


def run() -> list[Row]:
    with running_platform() as address, new_customer(address) as customer:
        customer.await_processed(customer.upload("warranty.txt", FACT))
        asyncio.run(_all_come(address, customer, WARM_UP))
        before = cpu_by_part()
        visits, faults = asyncio.run(_all_come(address, customer, SECONDS))
        used = cpu_each(before, cpu_by_part(), len(visits))
    came = A_SECOND * SECONDS
    first_words = [visit.first_word for visit in visits] or [float("inf")]
    return [
        Row("visitors, each second", str(A_SECOND)),
        Row("who got a first word", f"{len(visits)} of {came}", str(came), len(visits) == came),
        *([Row("the others", "; ".join(sorted(set(faults)))[:200])] if faults else []),
        Row("registered", milliseconds([visit.registered for visit in visits] or [float("inf")])),
        Row("… and with a conversation", milliseconds([visit.begun for visit in visits] or [float("inf")])),
        Row("… and with a first word", milliseconds(first_words)),
        at_most("first word, p95", percentile(first_words, 0.95) * 1000, 400, "ms"),
        Row("processor for one visitor", used),
    ]


async def _all_come(address: str, customer: Customer, seconds: int) -> tuple[list[_Visit], list[str]]:
    """Those who got a first word, and what happened to the others."""
    visits: list[_Visit] = []
    faults: list[str] = []

    async def come(http: httpx2.AsyncClient, number: int) -> None:
        await asyncio.sleep(number / A_SECOND)
        try:
            visits.append(await _visit(http, customer.agent_id, f"{time.time_ns()}-{number}@visitors.example"))
        except (httpx2.HTTPError, RuntimeError) as error:
            faults.append(f"{type(error).__name__} {error}"[:120])

    async with httpx2.AsyncClient(base_url=f"{address}/api/v1", timeout=60) as http:
        await asyncio.gather(*(come(http, number) for number in range(A_SECOND * seconds)))
    return visits, faults


async def _visit(http: httpx2.AsyncClient, agent_id: str, email: str) -> _Visit:
    started = time.perf_counter()
    person = {"agent_id": agent_id, "first_name": "Vic", "last_name": "Itor", "email": email}
    registered = checked(await http.post("/lead/register", json=person))
    known = time.perf_counter() - started
    headers = {"Authorization": f"Bearer {registered['access_token']}"}
    answer = await http.post("/conversation", json={"agent_id": agent_id}, headers=headers)
    path = f"/conversation/{checked(answer)['conversation']['id']}/chat"
    begun = time.perf_counter() - started
    body = {"message": QUESTION.format(time.time_ns() % 1_000_000), "stream": True}
    async with http.stream("POST", path, json=body, headers=headers) as reply:
        async for line in reply.aiter_lines():
            if line == FIRST_WORD:
                first_word = time.perf_counter() - started
                break
        else:
            raise RuntimeError(f"{reply.status_code} without a first word")
    return _Visit(known, begun, first_word)
