"""The process's connections to Redis: one pool for synchronous code, one for the event loop."""

from __future__ import annotations

import socket
from functools import cache
from typing import Any

import redis
import redis.asyncio
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

IMPATIENT: dict[str, Any] = {
    "socket_timeout": 0.5,
    "socket_connect_timeout": 0.5,
    "retry": Retry(NoBackoff(), 1),  # a connection that Redis has closed meanwhile is replaced
}
# A connection that waits for long, and whose other end has gone without a word, ends within half a minute.
KEPT_ALIVE: dict[str, Any] = {
    "socket_keepalive": True,
    "socket_keepalive_options": {
        socket.TCP_KEEPIDLE: 15,
        socket.TCP_KEEPINTVL: 5,
        socket.TCP_KEEPCNT: 3,
        socket.TCP_USER_TIMEOUT: 30_000,  # milliseconds
    },
}


@cache
def sync_redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, decode_responses=True, health_check_interval=30)


@cache
def impatient_redis() -> redis.Redis:
    """For what a request can do without: half a second without an answer is an error."""
    return redis.Redis.from_url(settings.REDIS_URL, decode_responses=True, **IMPATIENT)


def async_redis() -> redis.asyncio.Redis:
    """A new client: an asyncio connection belongs to the loop that opened it, so the caller keeps it."""
    options = {} if settings.REDIS_URL.startswith("unix:") else KEPT_ALIVE
    return redis.asyncio.Redis.from_url(settings.REDIS_URL, decode_responses=True, **options)
