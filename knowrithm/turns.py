"""Whose turn it is: companies that wait for work of one kind are served one after the other, however much each has.

The list is in Redis, like the queue. Should Redis lose it, beat finds in the database who waits, and asks anew.
"""

from __future__ import annotations

from typing import cast

from knowrithm.db.redis import sync_redis

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


def forget_turns(schema: str) -> None:
    """For a company that is no more: turns of every kind."""
    redis = sync_redis()
    for served in redis.scan_iter("turns:*:served"):
        redis.zrem(served.removesuffix(":served"), schema)
        redis.hdel(served, schema)


def _keys(kind: str) -> tuple[str, str]:
    return f"turns:{kind}", f"turns:{kind}:served"
