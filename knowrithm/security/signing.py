"""Links that open one thing for a short time. The signature is keyed by SECRET_KEY, or an older one."""

from __future__ import annotations

from typing import Any

from django.core import signing


def sign(value: Any, *, purpose: str) -> str:
    """`value` (of JSON) as a text for an address. Everybody can read it; nobody can make another."""
    return signing.dumps(value, salt=purpose)


def signed_value(token: str, *, purpose: str, max_age: int) -> Any:
    """What was signed for this purpose at most `max_age` seconds ago; None for everything else."""
    try:
        return signing.loads(token, salt=purpose, max_age=max_age)
    except signing.BadSignature:
        return None
