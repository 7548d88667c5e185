"""How a receiver knows that a delivery is ours. docs/webhooks.md shows how to check it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable


def signature_of(body: bytes, secrets: Iterable[str]) -> str:
    """The header's value: one signature for each secret, as a list with commas."""
    return ",".join(f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}" for secret in secrets)
