"""What a lead has in the fields that its company has defined: typed, and as text. No I/O.

Stored are a text, a number, a day as `2026-03-31`, true or false, or one of the options, by the field's key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from agents.enums import FieldKind
from agents.models import LeadField
from knowrithm.errors import InvalidInputError

KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")
LONGEST_TEXT = 1000
LARGEST = 10**15
SHOWN_OPTIONS = 20
YES, NO = {"yes", "y", "true", "1", "x", "ja", "oui", "si", "sí"}, {"no", "n", "false", "0", "nein", "non"}
NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,9})?")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MEANT = {
    FieldKind.TEXT: f"Give a text of at most {LONGEST_TEXT:,} characters.",
    FieldKind.NUMBER: "Give a number, such as 12 or 12.5.",
    FieldKind.DATE: "Give a day as year, month and day, such as 2026-03-31.",
    FieldKind.BOOLEAN: "Give true or false.",
}


class FieldValueError(ValueError):
    """The sentence says what to give."""


def value_of(field: LeadField, given: Any) -> Any:
    """As it is stored; None for nothing. Raises `FieldValueError` for what is of another type."""
    if given is None:
        return None
    if isinstance(given, str):
        given = given.strip()
        if not given:
            return None
    if not _IS_ONE[FieldKind(field.kind)](field, given):
        raise FieldValueError(_meant(field))
    return int(given) if isinstance(given, float) and given.is_integer() else given


def value_of_text(field: LeadField, text: str) -> Any:
    """As `value_of`, of what a person has written."""
    text = text.strip()
    if field.kind == FieldKind.NUMBER and NUMBER.fullmatch(text):
        return value_of(field, float(text) if "." in text else int(text))
    if field.kind == FieldKind.BOOLEAN and text:
        if text.lower() not in YES | NO:
            raise FieldValueError("Give yes or no.")
        return text.lower() in YES
    return value_of(field, text)


def text_of(value: Any) -> str:
    """For people and for CSV; `value_of_text` reads it again."""
    return "" if value is None else {True: "Yes", False: "No"}[value] if isinstance(value, bool) else str(value)


def checked_values(given: Mapping[str, Any], fields: Iterable[LeadField]) -> dict[str, Any]:
    """By key, as stored; None for what is emptied. Raises `InvalidInputError` with a sentence for each fault."""
    known = {field.key: field for field in fields}
    values: dict[str, Any] = {}
    faults: dict[str, list[str]] = {}
    for key, value in given.items():
        name = f"custom_fields.{key}" if KEY.fullmatch(key) else "custom_fields"
        if key not in known:
            faults[name] = ["There is no such field." + (f" Use some of {', '.join(known)}." if known else "")]
            continue
        try:
            values[key] = value_of(known[key], value)
        except FieldValueError as error:
            faults[name] = [str(error)]
    if faults:
        raise InvalidInputError("The custom fields are not right.", fields=faults)
    return values


def with_values(current: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """What `changes` does not name stays, what it empties goes."""
    return {key: value for key, value in {**current, **changes}.items() if value is not None}


def shown_values(values: Mapping[str, Any], fields: Iterable[LeadField]) -> dict[str, Any]:
    """Those of `fields`, in their order: archived ones are not shown."""
    return {field.key: values[field.key] for field in fields if field.key in values}


def _meant(field: LeadField) -> str:
    if field.kind != FieldKind.CHOICE:
        return MEANT[FieldKind(field.kind)]
    more = "…" if len(field.options) > SHOWN_OPTIONS else ""
    return f"Give one of {', '.join(field.options[:SHOWN_OPTIONS])}{more}."


def _is_text(field: LeadField, given: Any) -> bool:
    return isinstance(given, str) and len(given) <= LONGEST_TEXT and "\0" not in given


def _is_number(field: LeadField, given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and abs(given) < LARGEST


def _is_day(field: LeadField, given: Any) -> bool:
    if not isinstance(given, str) or not DAY.fullmatch(given):
        return False
    try:
        date.fromisoformat(given)
    except ValueError:
        return False
    return True


def _is_truth(field: LeadField, given: Any) -> bool:
    return isinstance(given, bool)


def _is_option(field: LeadField, given: Any) -> bool:
    return given in field.options


_IS_ONE: dict[FieldKind, Callable[[LeadField, Any], bool]] = {
    FieldKind.TEXT: _is_text,
    FieldKind.NUMBER: _is_number,
    FieldKind.DATE: _is_day,
    FieldKind.BOOLEAN: _is_truth,
    FieldKind.CHOICE: _is_option,
}
