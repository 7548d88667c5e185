"""When a company's people can be reached."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agents.hours import read_hours

WEEK = {"timezone": "Europe/Berlin", "monday": [["09:00", "12:00"], ["13:00", "17:30"]], "sunday": [["00:00", "23:59"]]}


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-01-05T08:00+00:00", True),  # Monday, nine in Berlin
        ("2026-01-05T07:59+00:00", False),
        ("2026-07-06T07:00+00:00", True),  # nine in summer time
        ("2026-01-05T11:00+00:00", False),  # noon ends the span
        ("2026-01-05T16:29+00:00", True),
        ("2026-01-06T10:00+00:00", False),  # Tuesday has none
        ("2026-01-04T22:59:30+00:00", True),  # the last minute of Sunday
        ("2026-01-04T23:00+00:00", False),  # Monday, midnight in Berlin
    ],
)
def test_open_goes_by_the_zone_s_clock(moment: str, is_open: bool) -> None:
    hours = read_hours(WEEK)
    assert hours is not None
    assert hours.is_open(datetime.fromisoformat(moment)) is is_open


def test_hours_in_words() -> None:
    hours = read_hours({**WEEK, "outside": "closed"})
    assert hours is not None
    words = "Monday 09:00 to 12:00 and 13:00 to 17:30, Sunday 00:00 to 23:59 (Europe/Berlin)"
    assert (hours.in_words(), hours.is_closed_outside) == (words, True)
    own = read_hours({**WEEK, "closed_text": " Back on Monday. "})
    assert own is not None
    assert (own.text, own.zone) == ("Back on Monday.", ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    "value",
    [
        {}, [], "9 to 5", None, {"timezone": "Europe/Berlin"}, {"monday": []}, {"monday": [["17:00", "09:00"]]},
        {"monday": [["nine", "five"]]}, {"monday": "09:00-17:00"}, {"monday": [["09:00"]]}, {"monday": 5},
        {"timezone": "Mars/Olympus", "monday": [["09:00", "17:00"]]},
        {"timezone": "../etc/passwd", "monday": [["09:00", "17:00"]]},
        {"monday": [["09:00+01:00", "17:00+01:00"]]},
    ],
)  # fmt: skip
def test_what_has_another_shape_is_no_hours(value: Any) -> None:
    assert read_hours(value) is None
