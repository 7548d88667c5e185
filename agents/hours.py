"""Operating hours: when a company's people can be reached, and what an agent does outside of them. No I/O.

The platform reads this shape of `Agent.operating_hours`; whatever else an API client stores there stays stored and
means that the agent has no hours. What begins like this shape and cannot be read is refused (`check_hours`):

    {"timezone": "Europe/Berlin", "monday": [["09:00", "12:00"], ["13:00", "17:30"]], "outside": "answer",
     "closed_text": "We are back on Monday."}

A day that is not named is closed. `outside` is `answer` unless it says `closed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils import translation
from django.utils.dates import WEEKDAYS

from agents.languages import RIGHT_TO_LEFT, django_language, isolated
from knowrithm.errors import InvalidInputError

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ANSWER, CLOSED = "answer", "closed"
LONGEST_CLOSED_TEXT = 500

UNREADABLE = (ZoneInfoNotFoundError, ValueError, TypeError, OSError)

Span = tuple[time, time]


@dataclass(frozen=True, slots=True)
class OperatingHours:
    """`spans` has one entry for each day from Monday; the end of a span is not within it, but 23:59 means midnight."""

    zone: ZoneInfo
    spans: tuple[tuple[Span, ...], ...]
    is_closed_outside: bool = False
    text: str = ""

    def is_open(self, moment: datetime) -> bool:
        """`moment` is aware of its zone."""
        local = moment.astimezone(self.zone)
        now = local.time()
        return any(start <= now and (now < end or end >= time(23, 59)) for start, end in self.spans[local.weekday()])

    def in_words(self, language: str = "en") -> str:
        """`language` is one of `agents.languages`; the days are named by Django."""
        if language and language != "en":
            return self._in_another_language(language)
        days = [
            f"{name.capitalize()} {' and '.join(f'{start:%H:%M} to {end:%H:%M}' for start, end in spans)}"
            for name, spans in zip(DAYS, self.spans, strict=True)
            if spans
        ]
        return f"{', '.join(days)} ({self.zone.key})" if days else "never"

    def _in_another_language(self, language: str) -> str:
        kept = isolated if language in RIGHT_TO_LEFT else str
        with translation.override(django_language(language)):
            days = [
                f"{WEEKDAYS[day]} {' + '.join(kept(f'{start:%H:%M}–{end:%H:%M}') for start, end in spans)}"
                for day, spans in enumerate(self.spans)
                if spans
            ]
        return f"{'; '.join(days)} ({kept(self.zone.key)})"


def read_hours(value: Any) -> OperatingHours | None:
    """The hours, or None where there are none in the shape above."""
    if not _names_a_day(value):
        return None
    try:
        zone = _zone(value)
        spans = tuple(_spans(value, day) for day in DAYS)
    except UNREADABLE:
        return None
    text = str(value.get("closed_text") or "").strip()[:LONGEST_CLOSED_TEXT]
    return OperatingHours(zone, spans, value.get("outside") == CLOSED, text)


def check_hours(fields: Mapping[str, Any]) -> None:
    """Of an agent. Raises `InvalidInputError` where hours are meant to be in the shape above and would mean none: then
    an agent that is to be closed at night would answer.
    """
    value = fields.get("operating_hours")
    if _names_a_day(value) and _is_meant(value) and (fault := _fault(value)):
        raise InvalidInputError(fault, fields={"operating_hours": [fault]})


def _names_a_day(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping) and any(value.get(day) for day in DAYS)


def _is_meant(value: Mapping[str, Any]) -> bool:
    """Published clients pass on whatever they are given: a day as words, as an object, or as a list of objects."""
    days = [value[day] for day in DAYS if isinstance(value.get(day), list)]
    has_spans = any(isinstance(one, list) for spans in days for one in spans)
    return has_spans or not {"outside", "closed_text"}.isdisjoint(value)


def _fault(value: Mapping[str, Any]) -> str:
    if value.get("outside") not in (None, "", ANSWER, CLOSED):
        return f"Outside of the hours an agent says either {ANSWER} or {CLOSED}."
    for day in DAYS:
        try:
            _spans(value, day)
        except UNREADABLE:
            return (
                f'{day.capitalize()} needs spans such as ["09:00", "17:00"], each ending after it begins on the same '
                "day. 23:59 means midnight; what goes on after it belongs to the next day."
            )
    try:
        _zone(value)
    except UNREADABLE:
        return "There is no such time zone. Give a name such as Europe/Berlin."
    return ""


def _zone(value: Mapping[str, Any]) -> ZoneInfo:
    return ZoneInfo(str(value.get("timezone") or "UTC"))


def _spans(value: Mapping[str, Any], day: str) -> tuple[Span, ...]:
    return tuple(_span(one) for one in value.get(day) or ())


def _span(value: Any) -> Span:
    start, end = (time.fromisoformat(str(moment)) for moment in value)
    if end <= start or start.tzinfo or end.tzinfo:
        raise ValueError("A span ends after it begins, in the time of its zone.")
    return start, end
