"""What the platform consists of: its services, and the programs that serve and work."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from knowrithm.embedded.errors import EmbeddedError
from knowrithm.embedded.ports import accepts
from knowrithm.embedded.postgres import EmbeddedPostgres
from knowrithm.embedded.supervisor import Part, Supervisor
from knowrithm.embedded.valkey import EmbeddedValkey

DATABASE_VARIABLES = ("DATABASE_URL", "DATABASE_URL_FILE", "POSTGRES_HOST")
REDIS_VARIABLES = ("REDIS_URL", "REDIS_URL_FILE")
# Turns mostly wait on a model, and a thread that waits costs next to nothing. One company has three quarters at most.
THREADS = 256
SHORT_THREADS = 4  # for what is short and must not wait behind long documents; one of them reads, too
PROCESSES = 2
# What becomes of questions, in the terminal's words: the event of a worker's log, and the sentence in its place.
SENTENCES = {
    "turn_without_answer": "A question was not answered ({code}). The page of its conversation says why.",
    "turn_failed": "A question was not answered because of a fault of the platform. The cause is in {log}",
    "turn_interrupted": "A question could not be answered, as the database or Redis was gone. It will be tried again.",
    "turn_lease_lost": "",  # another worker has the question
    "routing_without_model": "A model has chosen no specialist ({code}): what they are for has decided.",
    "rerank_failed": "A reranker has put no passages in order ({code}). The page of the answer says why.",
    "handover_not_summarised": "A conversation was handed over without a summary. The cause is in {log}",
}


@dataclass(frozen=True)
class Services:
    """The embedded services that the environment leaves to us."""

    postgres: EmbeddedPostgres | None
    valkey: EmbeddedValkey | None

    @classmethod
    def prepare(cls, data_dir: Path, *, env: Mapping[str, str], durable: bool = True) -> Services:
        has_database = any(env.get(name) for name in DATABASE_VARIABLES)
        has_redis = any(env.get(name) for name in REDIS_VARIABLES)
        return cls(
            postgres=None if has_database else EmbeddedPostgres.prepare(data_dir / "postgres", durable=durable),
            valkey=None if has_redis else EmbeddedValkey.prepare(data_dir / "valkey", durable=durable),
        )

    def start(self, supervisor: Supervisor) -> None:
        parts = [service.part() for service in (self.postgres, self.valkey) if service]
        if parts:
            supervisor.start(*parts)
        if self.postgres:
            self.postgres.create_database()

    def addresses(self) -> dict[str, str]:
        """The environment variables that lead to them."""
        return {
            **({"DATABASE_URL": self.postgres.url} if self.postgres else {}),
            **({"REDIS_URL": self.valkey.url} if self.valkey else {}),
        }


def application_parts(*, env: Mapping[str, str], host: str, port: int) -> list[Part]:
    """The web process, the workers and the scheduler. The queues are those of `knowrithm.celery`."""

    def worker(name: str, queues: str, *pool: str) -> Part:
        options = [
            "-n",
            f"{name}@%h",
            "-Q",
            queues,
            *pool,
            "--loglevel",
            "INFO",
            "--without-gossip",
            "--without-mingle",
        ]
        return Part(name=name, argv=celery("worker", *options), env=env, stop_grace=10.0)

    def celery(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "celery", "-A", "knowrithm", "--quiet", *arguments]

    web = [sys.executable, "-m", "uvicorn", "knowrithm.asgi:application", "--host", host, "--port", str(port)]
    return [
        Part(
            name="web",
            # Open streams would hold the stop up for ever; their readers reconnect.
            argv=[*web, "--no-access-log", "--timeout-graceful-shutdown", "5"],
            env=env,
            ready=lambda: accepts(port, host=host),
            stop_grace=10.0,
        ),
        worker("worker", "critical,default", "-P", "threads", "-c", str(THREADS)),
        worker("worker-low", "first,low,dead_letter", "-P", "threads", "-c", str(SHORT_THREADS)),
        worker("worker-slow", "slow", "-c", str(PROCESSES)),
        Part(name="beat", argv=celery("beat", "--pidfile=", "--loglevel", "INFO"), env=env),
    ]


@contextmanager
def only_one(data_dir: Path, *, address: str) -> Iterator[None]:
    """Hold the data folder for this process; EmbeddedError naming the other one's `address` when it is held already."""
    descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EmbeddedError(f"Already running on {data_dir}: {lock.read().strip() or 'just starting'}.") from None
        lock.truncate()
        lock.write(f"{address} (process {os.getpid()})\n")
        lock.flush()
        yield
