"""When a company's people can be reached."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from agents.hours import read_hours
from agents.models import Agent
from conftest import Character

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


SPANS = "{} needs spans such as"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"friday": [["18:00", "02:00"]], "outside": "closed"}, SPANS.format("Friday")),
        ({"monday": [["09:00", "12:00"], ["13:00", "24:00"]]}, SPANS.format("Monday")),
        ({"monday": [["nine", "five"]]}, SPANS.format("Monday")),
        ({"monday": [["09:00"]]}, SPANS.format("Monday")),
        ({"monday": "09:00-17:00", "outside": "closed"}, SPANS.format("Monday")),
        ({**WEEK, "tuesday": "all day"}, SPANS.format("Tuesday")),
        ({**WEEK, "timezone": "Mars/Olympus"}, "There is no such time zone."),
        ({**WEEK, "outside": "close"}, "Outside of the hours an agent says either answer or closed."),
        ({**WEEK, "outside": ["closed"]}, "Outside of the hours an agent says either answer or closed."),
    ],
)
def test_hours_that_would_mean_none_are_refused(
    acme: Character, acme_api: APIClient, value: dict[str, Any], fault: str
) -> None:
    path = f"/api/v1/agent/{acme.agent.pk}"
    for answer in (
        acme_api.post("/api/v1/agent", {"name": "Night", "operating_hours": value}, format="json"),
        acme_api.put(path, {"operating_hours": value}, format="json"),
        acme_api.put(path, {"operating_hours": value, "draft": True}, format="json"),
    ):
        assert answer.status_code == 400
        assert [text.startswith(fault) for text in answer.json()["errors"]["operating_hours"]] == [True]
    with tenant_context(acme.company):
        agent = Agent.objects.get()
        assert (agent.operating_hours, agent.has_draft) == ({}, False)


@pytest.mark.parametrize(
    "value",
    [
        {}, {"monday": "09:00-17:00"}, {"monday": {"open": "09:00", "close": "17:00"}, "timezone": "Berlin"},
        {"monday": [{"start": "09:00", "end": "17:00"}]}, {"monday": ["09:00", "17:00"]}, {"always": True},
        {"outside": "closed"}, {**WEEK, "outside": "closed", "closed_text": "Back soon."},
    ],
)  # fmt: skip
def test_hours_of_other_clients_are_kept(acme: Character, acme_api: APIClient, value: dict[str, Any]) -> None:
    assert acme_api.put(f"/api/v1/agent/{acme.agent.pk}", {"operating_hours": value}, format="json").status_code == 200
    with tenant_context(acme.company):
        assert Agent.objects.get().operating_hours == value
