"""Every use of an API key: let in within its limits, and counted when it has been answered. Both in Redis alone.

Letting in is one script, so that a thousand calls at once cannot pass a limit of ten; counting is another. What is
counted waits in one hash per company, already added up by key, hour, route, verb and status, so that it stays small
however long nobody fetches it. `analytics.usage` fetches it: an open batch is closed by renaming it, and each has an id
that is stored with its figures, so that a batch taken twice counts once.

Without Redis keys work and neither limits nor figures do: a limit guards against too much, and refusing everything
would be the greater harm.
"""

from __future__ import annotations

import ipaddress
import re
import time
import uuid
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, cast

import structlog
from django.conf import settings
from redis.commands.core import Script
from redis.exceptions import RedisError

from knowrithm.db.redis import impatient_redis
from knowrithm.errors import ForbiddenError, RateLimitedError
from tenants.models import ApiKey

log = structlog.get_logger(__name__)

HOUR, DAY = 3600, 86400  # seconds; what is counted is counted by the full hour and the day in UTC
PAUSE = 2.0  # seconds for which a Redis that did not answer is left alone
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
COMPANIES = "key-use:companies"  # those with anything waiting
ENDPOINT_LENGTH = 200

# Sliding windows: calls of the window before count for as much of it as still lies within the last hour, or day.
# Refused calls are not counted, so that a client that keeps asking gets in again.
ADMIT = """
local counts = redis.call('MGET', unpack(KEYS))
for index = 1, 4 do counts[index] = tonumber(counts[index] or '0') end
local hour = counts[1] + math.floor(counts[2] * ARGV[5] / ARGV[3])
local day = counts[3] + math.floor(counts[4] * ARGV[6] / ARGV[4])
if hour >= tonumber(ARGV[1]) or day >= tonumber(ARGV[2]) then return {0, unpack(counts)} end
for index = 1, 3, 2 do
  counts[index] = redis.call('INCR', KEYS[index])
  if counts[index] == 1 then redis.call('EXPIRE', KEYS[index], 2 * ARGV[(index + 5) / 2]) end
end
return {1, unpack(counts)}
"""
COUNT = """
redis.call('SADD', KEYS[2], ARGV[6])
redis.call('HSETNX', KEYS[1], 'id', ARGV[5])
redis.call('HINCRBY', KEYS[1], 'n|' .. ARGV[1], 1)
redis.call('HINCRBY', KEYS[1], 't|' .. ARGV[1], ARGV[2])
if tonumber(ARGV[2]) > tonumber(redis.call('HGET', KEYS[1], 'm|' .. ARGV[1]) or '-1') then
  redis.call('HSET', KEYS[1], 'm|' .. ARGV[1], ARGV[2])
end
redis.call('HSET', KEYS[1], 'u|' .. ARGV[3], ARGV[4])
"""
TAKE = """
if redis.call('EXISTS', KEYS[2]) == 0 and redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('RENAME', KEYS[1], KEYS[2])
end
return redis.call('HGETALL', KEYS[2])
"""
FORGET = """
if redis.call('HGET', KEYS[2], 'id') == ARGV[2] then redis.call('DEL', KEYS[2]) end
if redis.call('EXISTS', KEYS[1], KEYS[2]) == 0 then redis.call('SREM', KEYS[3], ARGV[1]) end
"""


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One call that an API key makes. `headers` tell the caller how much is left."""

    company_id: uuid.UUID
    key_id: uuid.UUID
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counted:
    """Calls of one key in one hour to one route with one outcome. `endpoint` is the route's template."""

    key_id: uuid.UUID
    hour: datetime
    method: str
    status: int
    endpoint: str
    count: int
    total_ms: int
    max_ms: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What has been counted for a company and not been fetched."""

    id: uuid.UUID
    rows: Sequence[Counted]
    last_used: dict[uuid.UUID, datetime]


_current: ContextVar[KeyUse | None] = ContextVar("key_use", default=None)
_silent_until = 0.0


def begin_request() -> None:
    """No key has been used yet: a thread keeps what its last request has left."""
    _current.set(None)


def current_use() -> KeyUse | None:
    return _current.get()


# --- Letting in ---------------------------------------------------------------------------------------------------


def admit(key: ApiKey, address: str | None) -> None:
    """Let one call of a verified key in. `address` is the peer's.

    Raises `ForbiddenError` with the code KEY_ADDRESS_NOT_ALLOWED, or `RateLimitedError`.
    """
    use = KeyUse(key.company_id, key.id)
    _current.set(use)
    if key.allowed_networks and not is_within(address, key.allowed_networks):
        raise ForbiddenError("This API key cannot be used from this address.", code="KEY_ADDRESS_NOT_ALLOWED")
    if settings.RATE_LIMIT_ENABLED:
        _count_against_limits(use, key.limits)


def is_within(address: str | None, networks: Iterable[str]) -> bool:
    try:
        peer = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    return any(peer in _network(network) for network in networks)


@lru_cache(maxsize=4096)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)


@dataclass(frozen=True, slots=True)
class _Window:
    """`span` seconds of the clock in which there were `calls` so far, and `before` in those before them."""

    limit: int
    span: int
    now: int
    calls: int
    before: int

    @property
    def left(self) -> int:
        return max(0, self.limit - self.calls - self.before * (self.span - self.now % self.span) // self.span)

    @property
    def resets_at(self) -> int:
        """When the window ends; or with no call left, when the next one will be let in."""
        began = self.now - self.now % self.span
        if self.left:
            return began + self.span
        if self.calls < self.limit:
            return began + _fades_after(self.before, self.limit - self.calls, self.span)
        return began + self.span + _fades_after(self.calls, self.limit, self.span)


def _fades_after(calls: int, room: int, span: int) -> int:
    """Seconds into a window after which `calls` of the one before count for less than `room`; at least one.

    Without room, as a stored limit of 0 leaves it, that is never: the window's end is told.
    """
    return span - (min(-(-room * span // max(calls, 1)), span) - 1)


def _count_against_limits(use: KeyUse, limits: tuple[int, int]) -> None:
    now = int(time.time())
    keys = [f"key-limit:{use.key_id}:{span}:{now // span - back}" for span in (HOUR, DAY) for back in (0, 1)]
    answer = _ask(ADMIT, keys, [*limits, HOUR, DAY, HOUR - now % HOUR, DAY - now % DAY])
    if answer is None:
        return
    let_in, in_hour, before_hour, in_day, before_day = answer
    windows = _Window(limits[0], HOUR, now, in_hour, before_hour), _Window(limits[1], DAY, now, in_day, before_day)
    # The window that runs out first is the one to tell of; of two that are used up, the one that lasts longer.
    nearer = min(windows, key=lambda window: (window.left, -window.resets_at))
    use.headers.update(
        {
            "X-RateLimit-Limit": str(nearer.limit),
            "X-RateLimit-Remaining": str(nearer.left),
            "X-RateLimit-Reset": str(nearer.resets_at),
        }
    )
    if not let_in:
        wait = nearer.resets_at - now
        span = "an hour" if nearer.span == HOUR else "a day"
        raise RateLimitedError(
            f"This API key has made its {nearer.limit} calls of {span}. Try again in {_in_words(wait)}.",
            retry_after=wait,
        )


def _in_words(seconds: int) -> str:
    if seconds < 100:
        return "a second" if seconds == 1 else f"{seconds} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 100 * 60 else f"{round(seconds / HOUR)} hours"


# --- Counting -----------------------------------------------------------------------------------------------------


def count_use(use: KeyUse, *, method: str, endpoint: str, status: int, milliseconds: float) -> None:
    """`endpoint` is a route's template: never a path, which holds ids."""
    now = int(time.time())
    method = method if method in METHODS else "OTHER"
    what = f"{use.key_id}|{now // HOUR * HOUR}|{method}|{status}|{endpoint[:ENDPOINT_LENGTH]}"
    _ask(
        COUNT,
        [_open(use.company_id), COMPANIES],
        [what, round(milliseconds), str(use.key_id), now, str(uuid.uuid4()), str(use.company_id)],
    )


@cache
def endpoint_of(route: str) -> str:
    """`api/v1/agent/<uuid:agent_id>`, under whichever prefix, as `/api/v1/agent/{agent_id}`."""
    path = re.sub(r"^(api/)*v1/", "", route)
    return "/api/v1/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)


# --- What waits ---------------------------------------------------------------------------------------------------


def waiting(company_id: uuid.UUID) -> list[Batch]:
    """What is counted and not stored yet: the batches that `take_batch` will give. Empty without Redis."""
    try:
        pipe = impatient_redis().pipeline()
        pipe.hgetall(_closed(company_id))
        pipe.hgetall(_open(company_id))
        found = pipe.execute()
    except RedisError:
        return []
    return [_parse(raw) for raw in found if raw]


def companies_with_batches() -> list[uuid.UUID]:
    return [uuid.UUID(text) for text in cast("set[str]", impatient_redis().smembers(COMPANIES))]


def take_batch(company_id: uuid.UUID) -> Batch | None:
    """The batch that an earlier call took and nobody has finished, or else the open one, which is closed by this."""
    flat = cast(list[str], _script(TAKE)(keys=[_open(company_id), _closed(company_id)]))
    return _parse(dict(zip(flat[::2], flat[1::2], strict=True))) if flat else None


def finish_batch(company_id: uuid.UUID, batch_id: uuid.UUID | None) -> None:
    """The batch is stored. Another one that stands in its place by now is left."""
    keys = [_open(company_id), _closed(company_id), COMPANIES]
    _script(FORGET)(keys=keys, args=[str(company_id), str(batch_id)])


def _open(company_id: uuid.UUID) -> str:
    return f"key-use:{company_id}:open"


def _closed(company_id: uuid.UUID) -> str:
    return f"key-use:{company_id}:closed"


def _parse(raw: dict[str, str]) -> Batch:
    rows, last_used = [], {}
    for name, value in raw.items():
        kind, _, what = name.partition("|")
        if kind == "u":
            last_used[uuid.UUID(what)] = datetime.fromtimestamp(int(value), UTC)
        elif kind == "n":
            key_id, hour, method, status, endpoint = what.split("|", 4)
            rows.append(
                Counted(
                    key_id=uuid.UUID(key_id),
                    hour=datetime.fromtimestamp(int(hour), UTC),
                    method=method,
                    status=int(status),
                    endpoint=endpoint,
                    count=int(value),
                    total_ms=int(raw[f"t|{what}"]),
                    max_ms=int(raw[f"m|{what}"]),
                )
            )
    return Batch(uuid.UUID(raw["id"]), rows, last_used)


# --- Redis --------------------------------------------------------------------------------------------------------


@cache
def _script(text: str) -> Script:
    return impatient_redis().register_script(text)


def _ask(script: str, keys: list[str], arguments: list[Any]) -> Any:
    """The script's answer; None while Redis is away, which is not asked again at each call then."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return None
    try:
        return _script(script)(keys=keys, args=arguments)
    except RedisError as error:
        _silent_until = time.monotonic() + PAUSE
        log.warning("key_use_unavailable", error=str(error))
        return None
