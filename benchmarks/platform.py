"""The whole platform as `make run` starts it, on data of its own, and clients of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil

from knowrithm.embedded.ports import accepts
from knowrithm.embedded.stack import DATABASE_VARIABLES, REDIS_VARIABLES, Services

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 180.0
QUIET = 0.15  # of one processor, all parts together
PARTS = {"web": "uvicorn", "workers": "celery -A", "PostgreSQL": "postgres", "Valkey": "valkey-server"}  # by a word
PASSWORD = "correct-horse-battery"
Json = dict[str, Any]


@contextmanager
def running_platform() -> Iterator[str]:
    """Its address, until the block ends. It has a folder and services of its own, all thrown away afterwards."""
    with tempfile.TemporaryDirectory(prefix="knowrithm-bench-") as folder:
        data_dir = Path(folder).resolve()
        data_dir.chmod(0o711)  # root's PostgreSQL runs as another user
        port = free_port()
        log = data_dir / "platform.log"
        inherited = {
            name: value for name, value in os.environ.items() if name not in {*DATABASE_VARIABLES, *REDIS_VARIABLES}
        }
        env = {
            **inherited,
            "DATA_DIR": str(data_dir),
            "PORT": str(port),
            "OUTBOUND_ALLOW": "127.0.0.1",  # the model server of the benchmark
            "RATE_LIMIT_ENABLED": "false",
        }
        try:
            with program([sys.executable, "-m", "knowrithm.embedded", "run"], env=env, log=log) as process:
                _await_workers(f"http://127.0.0.1:{port}", process, log)
                _await_quiet(process.pid)
                yield f"http://127.0.0.1:{port}"
        finally:
            postgres = Services.prepare(data_dir, env={}).postgres
            if postgres is not None:
                shutil.rmtree(postgres.home)  # it may lie elsewhere


@contextmanager
def program(argv: Sequence[str], *, env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program beside the benchmark, its output in `log`; asked to stop at the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=env, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()
            process.wait()


@contextmanager
def web_process(application: str, *, env: Mapping[str, str], log: Path) -> Iterator[str]:
    """The address of one more uvicorn with this ASGI application."""
    port = free_port()
    server = [sys.executable, "-m", "uvicorn", application, "--port", str(port), "--no-access-log"]
    with program(server, env=env, log=log) as process:
        while not accepts(port):
            if process.poll() is not None:
                raise RuntimeError(f"{application} did not start:\n{log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"


def environment_of(address: str) -> dict[str, str]:
    """What the platform at this address gives to its web process: the addresses of its services, and its secrets."""
    port = address.rpartition(":")[2]
    for part in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "uvicorn" in part.cmdline() and part.environ().get("PORT") == port:
                return dict(part.environ())
    raise RuntimeError(f"No web process of ours is at {address}.")


def cpu_by_part() -> dict[str, float]:
    """Seconds of processor that each part of the platform has used by now, all processes of a part together."""
    used = dict.fromkeys(PARTS, 0.0)
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            words = " ".join(process.cmdline())
            for part, mark in PARTS.items():
                if mark in words:
                    used[part] += sum(process.cpu_times()[:2])
    return used


def free_port() -> int:
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])


def _await_workers(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(f"{address}/health").json()["status"] == "healthy":
                return
        time.sleep(0.2)
    raise RuntimeError(f"The platform did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _await_quiet(pid: int) -> None:
    """The first start teaches the demo agent for a minute, with all that the machine has."""
    deadline = time.monotonic() + START_SECONDS
    quiet = 0
    while time.monotonic() < deadline and quiet < 4:  # between two documents it is quiet for a moment too
        parts = psutil.Process(pid).children(recursive=True)
        before = _cpu_seconds(parts)
        time.sleep(2)
        quiet = quiet + 1 if _cpu_seconds(parts) - before < QUIET * 2 else 0


def _cpu_seconds(parts: Sequence[psutil.Process]) -> float:
    return sum(sum(part.cpu_times()[:2]) for part in parts if part.is_running())


@dataclass(frozen=True, slots=True)
class Customer:
    """The admin of a new company, signed in, with one agent. `http` keeps its connection open."""

    http: httpx2.Client
    token: str
    agent_id: str

    def post(self, path: str, **options: Any) -> Json:
        return checked(self.http.post(path, **options))

    def get(self, path: str, **options: Any) -> Json:
        return checked(self.http.get(path, **options))

    def upload(self, name: str, text: str) -> str:
        """The id of the task that reads the document."""
        files = {"files": (name, text.encode())}
        answer = self.post("/document/upload", data={"agent_id": self.agent_id}, files=files)
        return str(answer["task_ids"][0])

    def await_processed(self, task_id: str) -> str:
        """The id of the document, once it can be searched; raises when it could not be read."""
        while True:
            task = self.get(f"/tasks/{task_id}/status")
            if task["status"] == "completed":
                return str(task["result"]["document_id"])
            if task["status"] == "failed":
                raise RuntimeError(task["error"])
            time.sleep(0.1)


@contextmanager
def new_customer(address: str, **agent_settings: Any) -> Iterator[Customer]:
    with httpx2.Client(base_url=f"{address}/api/v1", timeout=60) as http:
        token = register(http)["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        agent = checked(http.post("/agent", json={"name": "Helper", "settings": agent_settings}))["agent"]
        yield Customer(http, token, agent["id"])


def register(http: httpx2.Client) -> Json:
    unique = uuid.uuid4().hex[:12]
    body = {
        "company_name": f"Company {unique}",
        "email": f"{unique}@bench.example",
        "password": PASSWORD,
        "first_name": "Ada",
        "last_name": "Admin",
    }
    return checked(http.post("/auth/register", json=body))


def checked(answer: httpx2.Response) -> Json:
    if answer.status_code >= 300:
        raise RuntimeError(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:500]}")
    body: Json = answer.json()
    return body
