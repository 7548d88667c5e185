"""What an agent's widget is told, and which sites may show it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from agents.models import Agent
from agents.widget import FOLDER
from agents.widget_settings import STANDARD_CONSENT, clean_domains, is_allowed, public_widget_settings
from conftest import Character
from knowrithm.errors import InvalidInputError

pytestmark = pytest.mark.django_db

API = "/api/v1"
SHOP = "https://shop.example.com"
WIDGET = {
    "color": "#FF0000",
    "position": "top-left",
    "ask": "after",
    "ask_after": 3,
    "fields": {"last_name": "hidden", "phone": "required"},
    "consent_text": "I agree to the terms.",
    "title": "",
}


def put(api: APIClient, agent: Agent, **fields: Any) -> Any:
    return api.put(f"{API}/agent/{agent.id}", fields, format="json")


def test_a_visitor_is_told_how_the_widget_looks_and_what_it_asks(
    acme: Character, acme_api: APIClient, anonymous: APIClient
) -> None:
    usual = anonymous.get(f"{API}/agent/{acme.agent.id}").json()["agent"]["widget"]
    assert usual == {
        "color": "", "position": "", "theme": "", "language": "", "title": "", "button_text": "", "ask": "before",
        "ask_after": 2, "consent_text": "", "consent_version": "standard-2", "marketing_text": "", "custom_fields": [],
        "fields": {"first_name": "required", "last_name": "required", "email": "required", "phone": "optional"},
    }  # fmt: skip
    answer = put(acme_api, acme.agent, widget=WIDGET, allowed_domains=["Shop.example.com", "https://*.acme.example/"])
    assert answer.status_code == 200, answer.content
    assert answer.json()["agent"]["allowed_domains"] == ["shop.example.com", "*.acme.example"]
    assert answer.json()["agent"]["version"] == 1  # looks are no version
    record = anonymous.get(f"{API}/agent/{acme.agent.id}").json()["agent"]
    assert record["widget"] == usual | {
        "color": "#FF0000", "position": "top-left", "ask": "after", "ask_after": 3,
        "fields": {"first_name": "required", "last_name": "hidden", "email": "required", "phone": "required"},
        "consent_text": "I agree to the terms.", "consent_version": record["widget"]["consent_version"],
    }  # fmt: skip
    assert len(record["widget"]["consent_version"]) == 12  # changes with the text
    assert "allowed_domains" not in record


def test_the_consent_s_version_names_both_texts() -> None:
    def version(**texts: str) -> str:
        named: str = public_widget_settings(texts)["consent_version"]
        return named

    some: list[dict[str, str]] = [
        {}, {"marketing_text": "News by mail."}, {"marketing_text": "News by phone."}, {"consent_text": "I agree."},
        {"consent_text": "I agree.", "marketing_text": "News by mail."},
        {"consent_text": "News by mail.", "marketing_text": "I agree."},
    ]  # fmt: skip
    versions = [version(**texts) for texts in some]
    assert len(set(versions)) == len(some)
    assert [one for one in versions if one.startswith(STANDARD_CONSENT)] == versions[:3]
    assert max(map(len, versions)) <= 60  # as long as the API takes it
    assert version(consent_text="I agree.", marketing_text="News by mail.", consent_version="2026-11") == "2026-11"


def test_the_standard_sentences_belong_to_their_version() -> None:
    """Whoever changes one raises the number, here and in widget.js, and writes down the new digest."""
    script = (FOLDER / "widget.js").read_text()
    english = re.findall(r"consent: '(.*?)'", script)
    others = [json.loads(path.read_text())["consent"] for path in sorted((FOLDER / "widget").glob("*.json"))]
    digest = hashlib.sha256("\n".join([*english, *others]).encode()).hexdigest()[:12]
    assert (STANDARD_CONSENT, digest) == ("standard-2", "a93465a5631f")
    assert re.findall(r"'(standard-\d+)'", script) == [STANDARD_CONSENT]


@pytest.mark.parametrize(
    ("widget", "field"),
    [
        ({"colour": "#ff0000"}, "widget.colour"),
        ({"color": "red; background: url(x)"}, "widget.color"),
        ({"position": "middle"}, "widget.position"),
        ({"language": "tlh"}, "widget.language"),
        ({"ask": "always"}, "widget.ask"),
        ({"ask_after": True}, "widget.ask_after"),
        ({"ask_after": 21}, "widget.ask_after"),
        ({"fields": {"iban": "required"}}, "widget.fields"),
        ({"fields": ["email"]}, "widget.fields"),
        ({"title": 7}, "widget.title"),
        ({"consent_text": "x" * 1001}, "widget.consent_text"),
        ({"handover": True}, "widget.handover"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    acme: Character, acme_api: APIClient, widget: dict[str, Any], field: str
) -> None:
    answer = put(acme_api, acme.agent, widget=widget)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_domains_are_kept_as_browsers_name_them() -> None:
    assert clean_domains(["", " HTTPS://Müller.example/shop ", "*.a.example", "localhost:3000", "*.a.example"]) == [
        "xn--mller-kva.example",
        "*.a.example",
        "localhost:3000",
    ]
    for wrong in (
        "*",
        "a b",
        "exa_mple.com",
        "*.*.com",
        "a" * 254,
        "-a.com",
        "<script>",
        "a.com:port",
        "\0",
        "ü" * 300,
    ):
        with pytest.raises(InvalidInputError):
            clean_domains([wrong])
    with pytest.raises(InvalidInputError):
        clean_domains([f"{number}.example" for number in range(51)])


@pytest.mark.parametrize(
    ("domains", "origin", "expected"),
    [
        ([], "https://anywhere.example", True),
        ([], "", True),
        (["example.com"], "https://example.com", True),
        (["example.com"], "http://EXAMPLE.com:8080", True),
        (["example.com"], "https://www.example.com", False),
        (["example.com"], "https://example.com.evil.example", False),
        (["example.com"], "https://evil-example.com", False),
        (["*.example.com"], "https://www.example.com", True),
        (["*.example.com"], "https://a.b.example.com", True),
        (["*.example.com"], "https://example.com", False),
        (["*.example.com"], "https://evilexample.com", False),
        (["localhost:3000"], "http://localhost:3000", True),
        (["localhost:3000"], "http://localhost:3001", False),
        (["localhost:3000"], "http://localhost", False),
        (["example.com"], "https://example.com@evil.example", False),
        (["example.com"], "null", False),
        (["example.com"], "", False),
        (["example.com"], "https://[::1", False),
        (["example.com"], "https://chat.acme.example", True),  # this installation's own pages
    ],
)
def test_which_origins_are_allowed(domains: list[str], origin: str, expected: bool) -> None:
    assert is_allowed(domains, origin, "chat.acme.example") is expected


def test_a_forbidden_site_gets_neither_agent_nor_handshake(acme: Character, anonymous: APIClient) -> None:
    with tenant_context(acme.company):
        Agent.objects.filter(pk=acme.agent.pk).update(allowed_domains=["shop.example.com"])
    url, body = f"{API}/agent/{acme.agent.id}", {"agent_id": str(acme.agent.id), "url": f"{SHOP}/"}
    for origin, status in ((SHOP, 200), ("https://evil.example", 403), ("http://testserver", 200)):
        headers = {"origin": origin, "host": "testserver"}
        assert anonymous.get(url, headers=headers).status_code == status
        assert anonymous.post(f"{API}/website/handshake", body, headers=headers).status_code == status
    assert anonymous.get(url).status_code == 200  # no page asks
    refused = anonymous.post(f"{API}/website/handshake", body)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "ORIGIN_NOT_ALLOWED")


def test_a_copy_looks_like_its_original(acme: Character, acme_api: APIClient) -> None:
    put(acme_api, acme.agent, widget=WIDGET, allowed_domains=["shop.example.com"])
    copy = acme_api.post(f"{API}/agent/{acme.agent.id}/clone", {}, format="json").json()["agent"]
    assert (copy["widget"]["color"], copy["allowed_domains"]) == ("#FF0000", ["shop.example.com"])
