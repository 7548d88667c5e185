"""Whose turn it is: companies that wait for work of one kind are served one after the other, however much each has.

The list is in Redis, like the queue. Should Redis lose it, beat finds in the database who waits, and asks anew.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import structlog
from django_tenants.utils import schema_context

from knowrithm.db.redis import sync_redis

Work = TypeVar("Work")

# Scores are when a company was last served, in microseconds; who has never been served comes first.
_ASK = "return redis.call('ZADD', KEYS[1], 'NX', redis.call('HGET', KEYS[2], ARGV[1]) or 0, ARGV[1])"
_TAKE = """
local first = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
if first then
    local time = redis.call('TIME')
    local now = string.format('%.0f', time[1] * 1000000 + time[2])
    redis.call('ZADD', KEYS[1], now, first)
    redis.call('HSET', KEYS[2], first, now)
end
return first
"""


def ask_for_turn(kind: str, schema: str) -> None:
    """Put the company on the list, in the place that its last turn gives it. Call it once its work is committed."""
    sync_redis().eval(_ASK, 2, *_keys(kind), schema)


def take_turn(kind: str) -> str | None:
    """The schema of the company that was served longest ago; from now on it is the one served last. None: no one."""
    return cast("str | None", sync_redis().eval(_TAKE, 2, *_keys(kind)))


def leave_turns(kind: str, schema: str) -> None:
    """Take the company off the list. Look for its work once more afterwards: it may have asked meanwhile."""
    sync_redis().zrem(_keys(kind)[0], schema)


def anyone_waits(kind: str) -> bool:
    return bool(sync_redis().exists(_keys(kind)[0]))


@contextmanager
def next_in_turn(kind: str, claim: Callable[[], Work | None]) -> Iterator[Work | None]:
    """What `claim` finds to do for the company whose turn it is; the block works in that company's schema.

    A company for which nothing is found leaves the list, and the next one has its turn. None: there was nothing, of any
    company.
    """
    while (served := take_turn(kind)) is not None:
        with schema_context(served), structlog.contextvars.bound_contextvars(schema=served):
            work = claim()
            if work is None:
                leave_turns(kind, served)
                work = claim()  # of one that has asked between the two
                if work is None:
                    continue
                ask_for_turn(kind, served)
            yield work
            return
    yield None


@contextmanager
def free_slot(kind: str, *, count: int, milliseconds: int) -> Iterator[str | None]:
    """The key of one of so many places to work, ours until the block ends, or for so long unless it is renewed.

    None: all are taken. For work that waits in threads which answers need too.
    """
    redis, mine = sync_redis(), None
    for number in random.sample(range(count), count):
        key = f"{kind}-slot:{number}"
        if redis.set(key, "1", nx=True, px=milliseconds):
            mine = key
            break
    try:
        yield mine
    finally:
        if mine is not None:
            redis.delete(mine)


def forget_turns(schema: str) -> None:
    """For a company that is no more: turns of every kind."""
    redis = sync_redis()
    for served in redis.scan_iter("turns:*:served"):
        redis.zrem(served.removesuffix(":served"), schema)
        redis.hdel(served, schema)


def _keys(kind: str) -> tuple[str, str]:
    return f"turns:{kind}", f"turns:{kind}:served"
