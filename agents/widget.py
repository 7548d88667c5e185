"""The widget's source, read once."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parent / "static" / "agents" / "widget.js"


@cache
def widget_source() -> tuple[bytes, str]:
    """The script and its ETag."""
    body = SOURCE.read_bytes()
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
