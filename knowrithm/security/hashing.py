"""Keyed hashes of secrets that are only ever compared: who steals the table cannot test guesses against it."""

from __future__ import annotations

import hashlib
import hmac

from django.conf import settings


def keyed_hash(secret: str, *, purpose: str) -> str:
    """Hex HMAC-SHA256 of `secret`; `purpose` keeps one kind's hashes from standing for another's."""
    return hmac.new(settings.SECRET_KEY.encode(), f"{purpose}:{secret}".encode(), hashlib.sha256).hexdigest()


def matches(secret: str, expected_hash: str, *, purpose: str) -> bool:
    return hmac.compare_digest(keyed_hash(secret, purpose=purpose), expected_hash)
