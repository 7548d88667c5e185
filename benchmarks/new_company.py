"""Signing up: from the request to a company that answers."""

from __future__ import annotations

import statistics
import time

import httpx2

from benchmarks.platform import checked, register, running_platform
from benchmarks.report import Row, at_most, percentile

ROUNDS = 10


def run() -> list[Row]:
    registered: list[float] = []
    usable: list[float] = []
    with running_platform() as address, httpx2.Client(base_url=f"{address}/api/v1", timeout=60) as http:
        for _ in range(ROUNDS):
            started = time.perf_counter()
            token = register(http)["access_token"]
            registered.append(time.perf_counter() - started)
            checked(http.get("/agent", headers={"Authorization": f"Bearer {token}"}))
            usable.append(time.perf_counter() - started)
    return [
        Row("registered (201)", f"{statistics.median(registered):.2f} s (p95 {percentile(registered, 0.95):.2f})"),
        at_most("first authenticated GET answered, median", statistics.median(usable), 1, "s"),
        Row("the same, slowest of 10", f"{max(usable):.2f} s"),
    ]
