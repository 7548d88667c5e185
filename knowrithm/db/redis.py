"""The process's connections to Redis: one pool for synchronous code, one for the event loop."""

from __future__ import annotations

from functools import cache

import redis
import redis.asyncio
from django.conf import settings


@cache
def sync_redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, decode_responses=True, health_check_interval=30)


def async_redis() -> redis.asyncio.Redis:
    """A new client: an asyncio connection belongs to the loop that opened it, so the caller keeps it."""
    return redis.asyncio.Redis.from_url(settings.REDIS_URL, decode_responses=True)
