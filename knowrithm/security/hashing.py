"""Keyed hashes of secrets that are only ever compared: who steals the table cannot test guesses against it.

The key (pepper) is SECRET_KEY. What is stored together with `pepper_id()` outlives a change of it, as long as the old
one stands in SECRET_KEY_FALLBACKS.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cache

from django.conf import settings


def keyed_hash(secret: str, *, purpose: str) -> str:
    """Hex HMAC-SHA256 of `secret`; `purpose` keeps one kind's hashes from standing for another's."""
    return _hash(settings.SECRET_KEY, secret, purpose)


def keyed_hashes(secret: str, *, purpose: str) -> list[str]:
    """Under SECRET_KEY, then under each older one: what to look for where a stored hash is only ever looked up."""
    return [_hash(key, secret, purpose) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def matches(secret: str, expected_hash: str, *, purpose: str) -> bool:
    return hmac.compare_digest(keyed_hash(secret, purpose=purpose), expected_hash)


def pepper_id() -> str:
    """Names the SECRET_KEY of today, without giving anything of it away."""
    return _id_of(settings.SECRET_KEY)


def matches_under(named: str, secret: str, expected_hash: str, *, purpose: str) -> bool:
    """Like `matches`, under the SECRET_KEY that `named` names. An empty name is a hash from before names: any may be
    its key. One whose key is not in the list any more matches nothing.
    """
    return any(
        hmac.compare_digest(_hash(key, secret, purpose), expected_hash)
        for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        if named in {"", _id_of(key)}
    )


def _hash(key: str, secret: str, purpose: str) -> str:
    return hmac.new(key.encode(), f"{purpose}:{secret}".encode(), hashlib.sha256).hexdigest()


@cache
def _id_of(key: str) -> str:
    return _hash(key, "", "pepper-id")[:12]
