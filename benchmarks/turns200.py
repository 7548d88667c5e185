"""Turns that all begin within a second, against a model that takes two: how long each takes, from asking to the end.

Each is a `POST /v1/chat` on a connection of its own, by a key, from an event loop in this process; so is the model.
`BENCH_TURNS` asks another number of turns.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time

import httpx2

from benchmarks.platform import Customer, new_customer, running_platform
from benchmarks.report import Row, at_most, percentile
from knowrithm.tests.providers import OpenAIServer

TURNS = int(os.environ.get("BENCH_TURNS", "200"))
MODEL_SECONDS = 2.0
FACT = "The warranty of the X200 pump lasts two years from the date of purchase."
QUESTION = "My order is number {}. How long does the warranty of the X200 pump last?"  # nobody asks the same
REPLY = "It lasts two years [Source 1]."


def run() -> list[Row]:
    model = OpenAIServer(reply=REPLY, first_delay=MODEL_SECONDS)
    choices = {"llm_provider": "openai", "llm_model": "gpt-4o-mini", "llm_api_key": "none"}
    with (
        model,
        running_platform() as address,
        new_customer(address, **choices, llm_api_base_url=model.base_url) as customer,
    ):
        customer.await_processed(customer.upload("warranty.txt", FACT))
        asyncio.run(_ask_all(address, customer, 5))  # the worker loads its models
        seconds, faults = asyncio.run(_ask_all(address, customer, TURNS))
    return [
        Row("turns that began within a second", str(TURNS)),
        Row("answered", str(len(seconds)), str(TURNS), len(seconds) == TURNS),
        *([Row("the others", "; ".join(sorted(set(faults)))[:200])] if faults else []),
        Row("whole answer, median", f"{statistics.median(seconds or [0]):.2f} s"),
        at_most("whole answer, p95", percentile(seconds or [float("inf")], 0.95), 6, "s"),
        Row("slowest", f"{max(seconds, default=0):.2f} s"),
        Row("shared with the platform", "its machine: the clients and the model"),
    ]


async def _ask_all(address: str, customer: Customer, count: int) -> tuple[list[float], list[str]]:
    """Seconds of those that were answered, and what the others were told."""
    seconds: list[float] = []
    faults: list[str] = []
    headers = {"Authorization": f"Bearer {customer.token}"}
    limits = httpx2.Limits(max_connections=count, max_keepalive_connections=0)

    async def ask(http: httpx2.AsyncClient, number: int) -> None:
        await asyncio.sleep(number / count)
        messages = [{"role": "user", "content": QUESTION.format(time.time_ns() % 1_000_000)}]
        started = time.perf_counter()
        try:
            answer = await http.post("/v1/chat", json={"bot_id": customer.agent_id, "messages": messages})
        except httpx2.HTTPError as error:
            faults.append(type(error).__name__)
            return
        if answer.status_code == 200 and answer.json()["message"]["content"] == REPLY:
            seconds.append(time.perf_counter() - started)
        else:
            faults.append(f"{answer.status_code} {answer.text[:80]}")

    async with httpx2.AsyncClient(base_url=address, headers=headers, timeout=180, limits=limits) as http:
        await asyncio.gather(*(ask(http, number) for number in range(count)))
    return seconds, faults
