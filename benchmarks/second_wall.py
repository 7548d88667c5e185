"""What a role for each company costs (docs/adr/0019): the same request to two web processes on the same data.

One is the product, the other goes by the search path alone. They are asked in turn, so that a noisy machine is noisy
for both, and of their times the quotient is told.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.authenticated_get import AGENTS, Caller
from benchmarks.platform import environment_of, new_customer, running_platform, web_process
from benchmarks.report import Row, at_most, milliseconds

ROUNDS, WARM_UP = 1000, 50
PROCESSES = {"one wall": "benchmarks.one_wall:application", "two walls": "knowrithm.asgi:application"}


def run() -> list[Row]:
    with running_platform() as address, new_customer(address) as customer, TemporaryDirectory() as folder:
        for number in range(1, AGENTS):
            customer.post("/agent", json={"name": f"Agent {number}"})
        key = customer.post("/auth/api-keys", json={"name": "bench", "scopes": ["read"]})
        credentials = {
            "access token": {"Authorization": f"Bearer {customer.token}"},
            "API key": {"X-API-Key": key["api_key"], "X-API-Secret": key["api_secret"]},
        }
        env = environment_of(address)
        with ExitStack() as processes:
            addresses = {
                name: processes.enter_context(web_process(application, env=env, log=Path(folder, f"{number}.log")))
                for number, (name, application) in enumerate(PROCESSES.items())
            }
            return [row for name, headers in credentials.items() for row in _compare(name, addresses, headers)]


def _compare(name: str, addresses: Mapping[str, str], headers: Mapping[str, str]) -> list[Row]:
    callers = {walls: Caller(address, "/api/v1/agent", headers) for walls, address in addresses.items()}
    seconds: dict[str, list[float]] = {walls: [] for walls in callers}
    for turn in range(WARM_UP + ROUNDS):
        for walls in sorted(callers, reverse=bool(turn % 2)):  # neither is always the first
            took = callers[walls].call()
            if turn >= WARM_UP:
                seconds[walls].append(took)
    quotient = statistics.median(seconds["two walls"]) / statistics.median(seconds["one wall"])
    return [
        *(Row(f"GET /agent, {name}, {walls}", milliseconds(seconds[walls])) for walls in callers),
        at_most(f"{name}: two walls / one wall", quotient, 1.1, "×"),
    ]
