"""Metadata as people write it: a pair of name and value a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from knowrithm.errors import InvalidInputError

MAX_METADATA = 20_000  # characters of JSON
NOT_COMPARABLE = "Compare with a text, a number, true, false or null."


def metadata_as_text(metadata: Mapping[str, Any]) -> str:
    """`name: value` a line. What `metadata_of_text` would read as something else stands in quotation marks."""
    return "\n".join(f"{_name(name)}: {_text(value)}" for name, value in metadata.items())


def metadata_of_text(text: str) -> dict[str, Any]:
    """Numbers, true, false and other JSON are what they are, everything else is text. Raises `InvalidInputError`."""
    found: dict[str, Any] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, value = _pair(line.strip())
        if not name or value is None:
            fault = f"Line {number} is no pair: write a name, a colon and a value, such as team: sales."
            raise InvalidInputError(fault, fields={"metadata": [fault]})
        if name in found:
            fault = f"Line {number} gives {name} a second time. Give each name once."
            raise InvalidInputError(fault, fields={"metadata": [fault]})
        if name == "tags":
            fault = "Write tags in the field for tags."
            raise InvalidInputError(fault, fields={"metadata": [fault]})
        found[name] = value_of(value)
    check_size(found)
    return found


def is_comparable(value: Any) -> bool:
    """Whether a search can be narrowed to the documents with this value."""
    return value is None or isinstance(value, str | int | float | bool)


def metadata_filter_of_text(text: str) -> dict[str, Any]:
    """The pairs that the documents of a search have, as `metadata_of_text` reads them."""
    found = metadata_of_text(text)
    if not all(map(is_comparable, found.values())):
        raise InvalidInputError(NOT_COMPARABLE, fields={"metadata": [NOT_COMPARABLE]})
    return found


def metadata_of_json(given: Any) -> dict[str, Any]:
    """An object, or the text of one, as a field of a form holds it. Raises `InvalidInputError`."""
    found = given
    if isinstance(given, str):
        try:
            found = json.loads(given)
        except (ValueError, RecursionError):
            found = None
    if not isinstance(found, dict) or not _is_storable(found):
        fault = 'Give the metadata as a JSON object, such as {"team": "sales"}.'
        raise InvalidInputError(fault, fields={"metadata": [fault]})
    return found


def check_size(metadata: Mapping[str, Any]) -> None:
    if len(json.dumps(metadata)) > MAX_METADATA:
        fault = f"Metadata may have at most {MAX_METADATA:,} characters of JSON."
        raise InvalidInputError(fault, fields={"metadata": [fault]})


def metadata_condition(text: str) -> tuple[str, list[Any]]:
    """A name with what `name: value` may mean: the value as it is read, or as text. No values: it is the name alone."""
    name, value = _pair(text.strip())
    if value is None:
        return name, []
    meant = value_of(value)
    return name, [meant] if meant is value else [meant, value]


def value_of(text: str) -> Any:
    """What a person has meant by a value. A number that would be written otherwise, such as 007 or 1.10, is text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    is_odd_number = isinstance(value, int | float) and json.dumps(value) != text
    return text if is_odd_number or not _is_storable(value) else value


def _is_storable(value: Any) -> bool:
    """Whether PostgreSQL's jsonb takes it: no NUL, no lone surrogate, no NaN or infinity."""
    try:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False)
        written.encode()
    except ValueError:
        return False
    return "\\u0000" not in written.replace("\\\\", "")


def _pair(line: str) -> tuple[str, str | None]:
    if line.startswith('"'):
        try:
            name, end = json.JSONDecoder().raw_decode(line)
        except (ValueError, RecursionError):
            name, end = "", 0
        rest = line[end:].lstrip()
        if isinstance(name, str) and name and _is_storable(name) and rest.startswith(":"):
            return name, rest[1:].strip()
    name, colon, value = line.partition(":")
    return name.strip(), value.strip() if colon else None


def _name(name: str) -> str:
    is_plain = name == " ".join(name.split()) and ":" not in name and not name.startswith('"')
    return name if is_plain else json.dumps(name, ensure_ascii=False)


def _text(value: Any) -> str:
    is_plain = isinstance(value, str) and value == value.strip() and len(value.splitlines()) < 2
    if is_plain and value_of(value) is value:
        return str(value)
    return json.dumps(value, ensure_ascii=False)
