"""A list of ten agents, asked for with either credential, against a bare Django view that returns JSON."""

from __future__ import annotations

import http.client
import os
import statistics
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from benchmarks.platform import new_customer, running_platform, web_process
from benchmarks.report import Row, at_most, milliseconds

ROUNDS, WARM_UP = 300, 20
AGENTS = 10


def run() -> list[Row]:
    with running_platform() as address, new_customer(address) as customer, TemporaryDirectory() as folder:
        for number in range(1, AGENTS):
            customer.post("/agent", json={"name": f"Agent {number}"})
        key = customer.post("/auth/api-keys", json={"name": "bench", "scopes": ["read"]})
        with web_process("benchmarks.bare:application", env=os.environ, log=Path(folder) / "bare.log") as bare_address:
            bare = Caller(bare_address, "/bare", {})
            token = Caller(address, "/api/v1/agent", {"Authorization": f"Bearer {customer.token}"})
            pair = {"X-API-Key": key["api_key"], "X-API-Secret": key["api_secret"]}
            api_key = Caller(address, "/api/v1/agent", pair)
            seconds: dict[Caller, list[float]] = {caller: [] for caller in (bare, token, api_key)}
            for turn in range(WARM_UP + ROUNDS):
                for caller, found in seconds.items():
                    took = caller.call()
                    if turn >= WARM_UP:
                        found.append(took)
    bare_median = statistics.median(seconds[bare])
    rows = [Row("bare Django view", milliseconds(seconds[bare]))]
    for name, caller in (("access token", token), ("API key", api_key)):
        rows.append(Row(f"GET /agent, {name}", milliseconds(seconds[caller])))
        rows.append(at_most(f"{name} / bare", statistics.median(seconds[caller]) / bare_median, 4, "×"))
    return rows


class Caller:
    """One kept connection: its own cost must not hide the servers' difference."""

    def __init__(self, address: str, path: str, headers: Mapping[str, str]) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
        self._path = path
        self._headers = headers

    def call(self) -> float:
        """Seconds from the request to the last byte of the answer."""
        started = time.perf_counter()
        self._connection.request("GET", self._path, headers=dict(self._headers))
        with closing(self._connection.getresponse()) as answer:
            answer.read()
            took = time.perf_counter() - started
            if answer.status != 200:
                raise RuntimeError(f"{self._path} answered {answer.status}")
        return took
