"""Which models are down: a circuit breaker for each provider, address, model and key of a company, shared in Redis.

After several failures within a minute a model is not asked for a while (the circuit is open). Then one caller may try
(half-open): if it succeeds all may again, if not the pause begins anew. Should Redis be unreachable every model may be
asked: the breaker saves time, it decides nothing that matters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import structlog
from redis.exceptions import RedisError

from knowrithm.db.redis import impatient_redis
from knowrithm.llm.base import LONGEST_SILENCE, ProviderConfig, ProviderError, ProviderPausedError
from knowrithm.llm.fallback import LONGEST_RETRY_AFTER
from knowrithm.security.hashing import keyed_hash

log = structlog.get_logger(__name__)

FAILURES = 5  # within WINDOW open the circuit
WINDOW = 60  # seconds
PAUSE = 15  # seconds
LONGEST_PAUSE = 60  # seconds, when the provider asks for more
PROBE = 20  # seconds that one caller has for trying

_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
# Returns the milliseconds left, the last cause, its code, and the milliseconds that the provider still asks to wait (0
# if it does not); or nothing when the model may be asked.
_REFUSAL = (
    _NOW
    + """
local open, probe, cause, code, wait =
    unpack(redis.call('HMGET', KEYS[1], 'open_until', 'probe_until', 'cause', 'code', 'wait_until'))
if not open then return false end
local asked = math.max(0, tonumber(wait or 0) - now)
if now < tonumber(open) then return {tonumber(open) - now, cause, code or '', asked} end
if probe and now < tonumber(probe) then return {tonumber(probe) - now, cause, code or '', asked} end
redis.call('HSET', KEYS[1], 'probe_until', now + ARGV[1] * 1000)
return false
"""
)
# ARGV: cause, failures that open, window, pause, at once ('1': whatever the count), longest that a try takes to fail,
# code, seconds that the provider asks to wait.
_FAILED = (
    _NOW
    + """
local since, open = unpack(redis.call('HMGET', KEYS[1], 'since', 'open_until'))
if not since or now - tonumber(since) > ARGV[3] * 1000 then
    redis.call('HSET', KEYS[1], 'since', now, 'failures', 0)
end
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
redis.call('HSET', KEYS[1], 'cause', ARGV[1], 'code', ARGV[7], 'wait_until', now + ARGV[8] * 1000)
if open or failures >= tonumber(ARGV[2]) or ARGV[5] == '1' then
    redis.call('HSET', KEYS[1], 'open_until', now + ARGV[4] * 1000)
    redis.call('HDEL', KEYS[1], 'probe_until')
end
redis.call('EXPIRE', KEYS[1], ARGV[3] + ARGV[4] + ARGV[6])
"""
)
_LEFT = (
    _NOW
    + """
local open = redis.call('HGET', KEYS[1], 'open_until')
return open and math.max(0, tonumber(open) - now) or 0
"""
)


class Circuits:
    """A `Breaker`. Circuits of one company say nothing to another, even for the same model server."""

    def __init__(self, schema: str) -> None:
        self._schema = schema

    def refusal(self, config: ProviderConfig) -> ProviderPausedError | None:
        found: Any = self._run(_REFUSAL, config, PROBE)
        if not found:
            return None
        milliseconds, cause, code, asked = found
        seconds = max(1, math.ceil(milliseconds / 1000))
        wait = "a second" if seconds == 1 else f"{seconds} seconds"
        return ProviderPausedError(
            f"The model {config.model} is paused and will be asked again in {wait}. "
            f"Its last error was {code}: “{cause}”",
            last_code=code,
            retry_after=asked / 1000 or None,
        )

    def succeeded(self, config: ProviderConfig) -> None:
        try:
            impatient_redis().delete(self._key(config))
        except RedisError:
            log.warning("circuit_unknown", model=config.model)

    def failed(self, config: ProviderConfig, error: ProviderError) -> None:
        asked = error.retry_after or 0.0
        pause = math.ceil(min(max(PAUSE, asked), LONGEST_PAUSE))
        at_once = "1" if asked > LONGEST_RETRY_AFTER else "0"
        silence = math.ceil(LONGEST_SILENCE)  # a probe that hangs for so long still finds that the circuit was open
        arguments = (str(error), FAILURES, WINDOW, pause, at_once, silence, error.code, math.ceil(asked))
        self._run(_FAILED, config, *arguments)

    def paused(self, configs: Sequence[ProviderConfig]) -> list[bool]:
        """For each, whether its circuit is open. Changes nothing."""
        if not configs:
            return []
        pipe = impatient_redis().pipeline(transaction=False)
        for config in configs:
            pipe.eval(_LEFT, 1, self._key(config))
        try:
            return [left > 0 for left in pipe.execute()]
        except RedisError:
            return [False] * len(configs)

    def _run(self, script: str, config: ProviderConfig, *arguments: Any) -> Any:
        try:
            return impatient_redis().eval(script, 1, self._key(config), *arguments)
        except RedisError:
            log.warning("circuit_unknown", model=config.model)
            return None

    def _key(self, config: ProviderConfig) -> str:
        whose = "\n".join((config.provider, config.base_url, config.model, config.api_key))
        return f"circuit:{self._schema}:{keyed_hash(whose, purpose='circuit')[:32]}"
