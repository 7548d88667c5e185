"""Input that PostgreSQL or UTF-8 cannot hold is refused at the door, wherever in the request it stands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser as RestJSONParser

MAX_DEPTH = 60


class JSONParser(RestJSONParser):
    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        except ParseError as error:
            if isinstance(error.__context__, UnicodeDecodeError):
                raise ParseError(f"The JSON is no text in {error.__context__.encoding.upper()}.") from None
            raise


def check_text(value: Any, *, depth: int = 0) -> None:
    """Raise `ParseError` for a NUL character, half a surrogate pair, or nesting without end, at any depth."""
    if depth > MAX_DEPTH:
        raise ParseError("The JSON is nested too deeply.")
    if isinstance(value, str):
        _check(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ParseError("A number is out of range.")
    elif isinstance(value, QueryDict):
        for name, values in value.lists():
            check_text([name, *(item for item in values if isinstance(item, str))], depth=depth + 1)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            check_text(name, depth=depth)
            check_text(inner, depth=depth + 1)
    elif isinstance(value, list):
        for inner in value:
            check_text(inner, depth=depth + 1)


def _check(text: str) -> None:
    if "\0" in text:
        raise ParseError("A text contains a NUL character.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ParseError("A text contains half a character (a lone surrogate).") from None
