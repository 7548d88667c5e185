"""Rate limits, counted atomically in Redis (DRF's own throttles read and then write)."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from django.conf import settings
from limits import RateLimitItem, parse
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from knowrithm.api.caller import caller
from knowrithm.db.redis import IMPATIENT
from knowrithm.errors import RateLimitedError
from knowrithm.security.hashing import keyed_hash


@cache
def _limiter() -> SlidingWindowCounterRateLimiter:
    return SlidingWindowCounterRateLimiter(storage_from_string(settings.REDIS_URL, **IMPATIENT))


@cache
def _rate(text: str) -> RateLimitItem:
    return parse(text)


def check_rate(name: str, who: str) -> None:
    """Count one call of `who` against the limit `name` of settings.RATE_LIMITS.

    Raises `RateLimitedError` with the seconds to wait.
    """
    if not settings.RATE_LIMIT_ENABLED:
        return
    rate = _rate(settings.RATE_LIMITS[name])
    if not _limiter().hit(rate, name, who):
        reset_at = _limiter().get_window_stats(rate, name, who).reset_time
        wait = max(1, round(reset_at - time.time()))
        raise RateLimitedError(f"Too many requests. Try again in {_in_words(wait)}.", retry_after=wait)


def check_sign_in(request: Any, email: str) -> None:
    """Count an attempt to sign in: of the address it comes from, and of the account wherever it comes from."""
    check_rate("login", client_address(request))
    check_account(email)


def check_account(email: str) -> None:
    """Only a hash of the e-mail address goes to Redis."""
    check_rate("login_account", _hashed(email))


def check_mail(email: str) -> None:
    """Count a mail that somebody wants sent to this address; here too a hash alone goes to Redis."""
    check_rate("mail", _hashed(email))


def _hashed(email: str) -> str:
    return keyed_hash(email.strip().lower(), purpose="rate-limit")[:32]


def _in_words(seconds: int) -> str:
    if seconds < 100:
        return "a second" if seconds == 1 else f"{seconds} seconds"
    return f"{round(seconds / 60)} minutes"


def client_address(request: Any) -> str:
    """The peer's address. A proxy's X-Forwarded-For counts only where uvicorn was told to trust that proxy."""
    return str(request.META.get("REMOTE_ADDR") or "unknown")


class _Limit(BaseThrottle):
    name = ""
    per = "address"

    def allow_request(self, request: Request, view: Any) -> bool:
        principal = caller(request)
        who = client_address(request)
        if principal and self.per == "credential":
            who = str(principal.id)
        elif principal and self.per == "company":
            who = str(principal.company_id)
        check_rate(self.name, who)
        return True


def limit(name: str, *, per: str = "address") -> type[BaseThrottle]:
    """A throttle class for `throttle_classes`; `per` is address, credential or company."""
    return type(f"{name.title()}Limit", (_Limit,), {"name": name, "per": per})
