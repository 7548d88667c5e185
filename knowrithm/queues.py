"""The queues, how urgent they are, and whether somebody serves them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import cast

from redis.exceptions import RedisError

from knowrithm.db.redis import impatient_redis

QUEUES = ("critical", "default", "first", "low", "slow", "dead_letter")
# Where the processors are busy, a worker that serves nothing more urgent comes after the others.
NICE = {"first": 5, "low": 5, "dead_letter": 5, "slow": 10}

SERVED = "health:queues"  # when each was last known to be served, in seconds since 1970
PERIOD = 15  # seconds


class Presence:
    """A worker's word that it is there, however busy it is. Its heart beats every two seconds, which is too often."""

    def __init__(self) -> None:
        self._due = 0.0

    def note(self, queues: Iterable[str]) -> None:
        if time.monotonic() < self._due:
            return
        try:
            impatient_redis().hset(SERVED, mapping=dict.fromkeys(queues, int(time.time())))
        except RedisError:
            return  # the next beat tries again
        self._due = time.monotonic() + PERIOD


def unserved() -> list[str]:
    """The queues that no worker has said it serves for 45 seconds. Raises `RedisError`."""
    noted = cast("list[str | None]", impatient_redis().hmget(SERVED, list(QUEUES)))
    oldest = time.time() - 3 * PERIOD
    return [name for name, at in zip(QUEUES, noted, strict=True) if at is None or int(at) < oldest]
