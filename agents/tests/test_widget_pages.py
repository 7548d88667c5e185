"""The page on which an agent's widget is designed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client
from django_tenants.utils import tenant_context

from agents.models import Agent, AgentVersion
from conftest import Character

pytestmark = pytest.mark.django_db

FORM = {
    "color": "#aa0000", "position": "top-left", "theme": "dark", "language": "de", "title": "Desk", "button_text": "",
    "welcome_text": "Hello there", "starter_questions": "One?\n\nTwo?", "ask": "after", "ask_after": "3",
    "first_name": "optional", "last_name": "hidden", "phone": "required", "consent_text": "I agree.",
    "consent_version": "v2", "marketing_text": "", "allowed_domains": "shop.example.com\n*.acme.example",
}  # fmt: skip


def stored(acme: Character) -> Agent:
    with tenant_context(acme.company):
        return Agent.objects.get(pk=acme.agent.pk)


def test_what_is_designed_is_saved_and_shown(acme: Character, acme_client: Client) -> None:
    url = f"/agents/{acme.agent.pk}/widget"
    body = acme_client.get(url).content.decode()
    assert f"data-agent-id=&quot;{acme.agent.pk}&quot;" in body
    answer = acme_client.post(url, FORM)
    assert (answer.status_code, answer.headers["Location"]) == (302, url)
    agent = stored(acme)
    assert agent.widget == {
        "color": "#aa0000", "position": "top-left", "theme": "dark", "language": "de", "title": "Desk", "ask": "after",
        "ask_after": 3, "fields": {"first_name": "optional", "last_name": "hidden", "phone": "required"},
        "consent_text": "I agree.", "consent_version": "v2",
    }  # fmt: skip
    assert (agent.welcome_text, agent.starter_questions) == ("Hello there", ["One?", "Two?"])
    assert agent.allowed_domains == ["shop.example.com", "*.acme.example"]
    with tenant_context(acme.company):
        assert AgentVersion.objects.filter(agent=agent).count() == 2  # the texts are a part of what answers
    shown = acme_client.get(url).context["form"].initial
    assert (shown["title"], shown["phone"], shown["allowed_domains"]) == ("Desk", "required", FORM["allowed_domains"])


def test_saving_leaves_a_draft_alone(acme: Character, acme_client: Client) -> None:
    with tenant_context(acme.company):
        Agent.objects.filter(pk=acme.agent.pk).update(draft={"welcome_text": "Of the draft"})
    acme_client.post(f"/agents/{acme.agent.pk}/widget", FORM)
    agent = stored(acme)
    assert (agent.welcome_text, agent.draft) == ("Hello there", {"welcome_text": "Of the draft"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("color", "red"),
        ("position", "middle"),
        ("language", "tlh"),
        ("ask_after", "0"),
        ("phone", "always"),
        ("title", "x" * 81),
        ("allowed_domains", "https://*"),
        ("starter_questions", "\n".join("123456789")),
    ],
)
def test_faults_stand_beside_their_fields_and_nothing_is_saved(
    acme: Character, acme_client: Client, field: str, value: str
) -> None:
    answer = acme_client.post(f"/agents/{acme.agent.pk}/widget", {**FORM, field: value})
    assert (answer.status_code, list(answer.context["form"].errors)) == (200, [field])
    assert stored(acme).widget == {}


def preview_config(client: Client, acme: Character, **values: str) -> Any:
    body = client.get(f"/agents/{acme.agent.pk}/preview", values).content.decode()
    found = re.search(r'<script id="widget-config" type="application/json">(.*?)</script>', body)
    return json.loads(found[1]) if found else None


def test_the_preview_shows_what_is_not_saved(acme: Character, acme_client: Client) -> None:
    config = preview_config(acme_client, acme, **{**FORM, "title": "</script><script>alert(1)"}, open="1")
    assert config["autoOpen"] is True
    assert config["agent"]["welcome_text"] == "Hello there"
    widget = config["agent"]["widget"]
    assert (widget["color"], widget["title"], widget["ask"]) == ("#aa0000", "</script><script>alert(1)", "after")
    faulty = preview_config(acme_client, acme, **{**FORM, "color": "red"})
    assert (faulty["agent"]["widget"]["color"], faulty["agent"]["widget"]["title"]) == ("", "Desk")
    assert preview_config(acme_client, acme) is None
    assert (config["agent"]["status"], stored(acme).status) == ("active", "active")
    with tenant_context(acme.company):
        Agent.objects.update(status="inactive")
    assert preview_config(acme_client, acme) == {"agent": {"status": "active"}}  # the team sees it all the same
    assert stored(acme).widget == {}


def test_only_our_own_pages_may_frame_the_preview(acme: Character, acme_client: Client) -> None:
    preview = acme_client.get(f"/agents/{acme.agent.pk}/preview")
    assert preview.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in preview.headers["Content-Security-Policy"]
    designer = acme_client.get(f"/agents/{acme.agent.pk}/widget")
    assert designer.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in designer.headers["Content-Security-Policy"]
    assert "frame-src 'self'" in designer.headers["Content-Security-Policy"]
