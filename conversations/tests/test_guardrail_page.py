"""A guardrail's editor in a browser: each rule shows the fields of its kind, without any script."""

from __future__ import annotations

import pytest
from django.test import Client
from playwright.sync_api import expect

from agents.tests.widget_visit import IN_BROWSER
from conftest import Character
from conversations.tests.test_shown_sources import shown

pytestmark = IN_BROWSER
FIELDS = ("values_", "threshold", "personal", "secrets")


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("words", ["values_"]),
        ("pattern", ["values_"]),
        ("topic", ["values_", "threshold"]),
        ("personal", ["personal"]),
        ("secrets", ["secrets"]),
    ],
)
def test_a_rule_shows_the_fields_of_its_kind(
    acme: Character, acme_client: Client, kind: str, fields: list[str]
) -> None:
    path = "/guardrails/new"
    with shown(path, acme_client.get(path).content) as page:
        page.get_by_label("Kind").select_option(kind)
        seen = [name for name in FIELDS if page.locator(f"[name=rules-0-{name}]").first.is_visible()]
        helps = page.locator("[data-of] [data-of]:visible").count()
    assert (seen, helps) == (fields, int("values_" in fields))


def test_what_the_browser_would_complain_about_stays_in_sight(acme: Character, acme_client: Client) -> None:
    path = "/guardrails/new"
    with shown(path, acme_client.get(path).content) as page:
        page.get_by_label("Kind").select_option("topic")
        page.get_by_label("Threshold").fill("7")
        page.get_by_label("Kind").select_option("words")
        expect(page.get_by_label("Threshold")).to_be_visible()
        page.get_by_label("Threshold").fill("0.4")
        expect(page.get_by_label("Threshold")).to_be_hidden()
