"""What several serializers ask of a value."""

from __future__ import annotations

import json
from typing import Any

from rest_framework import serializers

MAX_JSON_LENGTH = 20_000  # characters


def short_json(value: Any) -> None:
    """For fields that take any JSON. Raises `ValidationError` when it is longer than a row and its answers bear."""
    if len(json.dumps(value)) > MAX_JSON_LENGTH:
        raise serializers.ValidationError(f"Give at most {MAX_JSON_LENGTH:,} characters of JSON.")
