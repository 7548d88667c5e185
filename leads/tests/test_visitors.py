"""Visitors: their tokens, the pages these belong to, and those who do not say who they are."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import Settings
from rest_framework.test import APIClient

from agents.models import Agent
from conftest import Character
from leads.models import Lead, LeadConsent, LeadEvent
from tenants.models import Company
from tenants.services import start_session

pytestmark = pytest.mark.django_db

API = "/api/v1"
SHOP, EVIL = "https://shop.example.com", "https://evil.example"
ADDRESS = "2001:db8:0:77::1"  # limits are counted for it
ADA = {"first_name": "Ada", "last_name": "", "email": "ada@example.com"}


@pytest.fixture
def agent(acme: Character) -> Agent:
    """One that asks visitors nothing."""
    with tenant_context(acme.company):
        Agent.objects.filter(pk=acme.agent.pk).update(widget={"ask": "none"})
    return acme.agent


def post(path: str, body: dict[str, Any], *, origin: str = SHOP, token: str = "", status: int = 201) -> dict[str, Any]:
    headers = {"origin": origin} if origin else {}
    answer = APIClient().post(
        f"{API}{path}",
        body,
        format="json",
        REMOTE_ADDR=ADDRESS,
        headers=headers | ({"authorization": f"Bearer {token}"} if token else {}),
    )
    assert answer.status_code == status, answer.content
    told: dict[str, Any] = answer.json()
    return told


def visit(agent: Agent, **options: Any) -> dict[str, Any]:
    return post("/lead/visitor", {"agent_id": str(agent.id)}, **options)


def ask(agent: Agent, token: str, *, origin: str = SHOP, status: int = 201) -> dict[str, Any]:
    return post("/conversation", {"agent_id": str(agent.id)}, origin=origin, token=token, status=status)


def limit_domains(company: Company, *domains: str) -> None:
    with tenant_context(company):
        Agent.objects.update(allowed_domains=list(domains))


def test_a_nameless_visitor_talks_and_is_no_lead(acme: Character, acme_api: APIClient, agent: Agent) -> None:
    token = visit(agent)["access_token"]
    conversation = ask(agent, token)["conversation"]
    assert conversation["entity_type"] == "lead"
    assert acme_api.get(f"{API}/lead/company").json()["leads"] == []
    with tenant_context(acme.company):
        lead = Lead.objects.get()
        assert (lead.full_name, lead.is_nameless, lead.consent_data_processing) == ("Visitor", True, False)
        assert LeadConsent.objects.count() == 0


def test_an_agent_that_asks_first_takes_no_nameless_visitor(acme: Character) -> None:
    assert visit(acme.agent, status=403)["error_code"] == "FORBIDDEN"


def person_token(who: Character) -> str:
    return str(start_session(user=who.admin).tokens.refresh)


def identify(token: str, **changes: Any) -> Any:
    body = {**ADA, "consent_text_version": "2026-11", **changes}
    return APIClient().patch(f"{API}/lead/visitor", body, format="json", headers={"authorization": f"Bearer {token}"})


@pytest.mark.parametrize("status", ["inactive", "training", "maintenance"])
def test_an_agent_that_is_not_active_takes_nobody(acme: Character, agent: Agent, status: str) -> None:
    begun = visit(agent)
    with tenant_context(acme.company):
        Agent.objects.update(status=status)
    for path, body in (("/lead/register", ADA), ("/lead/visitor", {})):
        told = post(path, {**body, "agent_id": str(agent.id)}, status=409)
        assert (told["code"], told["message"]) == (
            "AGENT_UNAVAILABLE",
            "This assistant is not available at the moment.",
        )
    visit(agent, status=409)
    again = {"agent_id": str(agent.id), "refresh_token": begun["refresh_token"]}
    post("/lead/visitor", again)  # who was there before still reads what was said
    with tenant_context(acme.company):
        assert Lead.objects.filter(agent=agent).count() == 1


def test_a_visitor_says_later_who_they_are(acme: Character, acme_api: APIClient, agent: Agent) -> None:
    token = visit(agent)["access_token"]
    conversation = ask(agent, token)["conversation"]["id"]
    answer = identify(token, consent_marketing=True, consent_data_processing=True)
    assert (answer.status_code, answer.json()["lead"]["email"]) == (200, ADA["email"])
    [lead] = acme_api.get(f"{API}/lead/company").json()["leads"]
    assert (lead["first_name"], lead["email"], lead["consent_marketing"]) == ("Ada", ADA["email"], True)
    assert acme_api.get(f"{API}/conversation/entity/{lead['id']}").json()["conversations"][0]["id"] == conversation
    with tenant_context(acme.company):
        assert set(LeadConsent.objects.values_list("kind", "is_given", "text_version")) == {
            ("data_processing", True, "2026-11"),
            ("marketing", True, "2026-11"),
        }
    assert (
        identify(token, first_name="Mallory", consent_marketing=False).status_code == 200
    )  # known already: nothing is overwritten
    lead = acme_api.get(f"{API}/lead/{lead['id']}").json()["lead"]
    assert (lead["first_name"], lead["consent_marketing"]) == ("Ada", True)
    with tenant_context(acme.company):
        newest = LeadConsent.objects.filter(lead_id=lead["id"]).order_by("-created_at")[0]
        assert (newest.kind, newest.is_given, newest.is_unproven) == ("marketing", False, True)


@pytest.mark.parametrize("format", ["json", "multipart"])
def test_a_consent_that_was_not_asked_for_is_not_written_down(
    acme: Character, acme_client: Client, agent: Agent, format: str
) -> None:
    asked = {**ADA, "agent_id": str(agent.id), "consent_data_processing": True, "consent_text_version": "standard-2"}
    answer = APIClient().post(f"{API}/lead/register", asked, format=format, headers={"origin": SHOP})
    lead_id = answer.json()["lead"]["id"]
    with tenant_context(acme.company):
        assert list(LeadConsent.objects.values_list("kind", "is_given")) == [("data_processing", True)]
    page = acme_client.get(f"/leads/{lead_id}").content.decode()
    assert "<dt>Data processing</dt><dd>Consented</dd>" in page
    assert "<dt>Marketing</dt><dd>Not asked</dd>" in page


def test_the_address_of_a_known_lead_makes_the_visitor_a_part_of_it(
    acme: Character, acme_api: APIClient, agent: Agent
) -> None:
    known = post("/lead/register", {**ADA, "agent_id": str(agent.id)})["lead"]["id"]
    token = visit(agent)["access_token"]
    assert identify(token, first_name="Mallory", last_name="Lory", consent_marketing=True).status_code == 200
    [lead] = acme_api.get(f"{API}/lead/company").json()["leads"]
    assert (lead["id"], lead["first_name"]) == (known, "Ada")
    with tenant_context(acme.company):
        assert LeadEvent.objects.get().kind == "merged"
        said = LeadConsent.objects.filter(lead_id=known, is_unproven=True)
        assert list(said.values_list("kind", "is_given")) == [("marketing", True)]
        other = Lead.objects.exclude(pk=known).get()
    ask(agent, token)  # the token stays
    acme_api.post(f"{API}/lead/{other.pk}/unmerge")  # nobody whose name or address is known
    assert [lead["id"] for lead in acme_api.get(f"{API}/lead/company").json()["leads"]] == [known]
    assert identify(token, email="eve@example.com", first_name="Eve").status_code == 200
    assert {lead["email"] for lead in acme_api.get(f"{API}/lead/company").json()["leads"]} == {
        ADA["email"],
        "eve@example.com",
    }


def test_only_visitors_say_who_they_are(acme_api: APIClient) -> None:
    assert APIClient().patch(f"{API}/lead/visitor", ADA, format="json").status_code == 401
    assert acme_api.patch(f"{API}/lead/visitor", ADA, format="json").status_code == 403


@pytest.mark.parametrize("body", [{}, {**ADA, "email": "no"}, {**ADA, "consent_data_processing": False}, {"email": 7}])
def test_bad_input_of_visitors_is_refused(agent: Agent, body: dict[str, Any]) -> None:
    token = visit(agent)["access_token"]
    answer = APIClient().patch(f"{API}/lead/visitor", body, format="json", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 400
    for given in ({}, {"agent_id": "x"}, {"agent_id": str(agent.id), "refresh_token": ["x"]}):
        post("/lead/visitor", given, status=400)


def test_tokens_are_renewed_silently_for_the_same_visitor_on_the_same_page(
    acme: Character, globex: Character, agent: Agent
) -> None:
    first = visit(agent)
    conversation = ask(agent, first["access_token"])["conversation"]["id"]
    body = {"agent_id": str(agent.id), "refresh_token": first["refresh_token"]}
    renewed = post("/lead/visitor", body)
    assert renewed["lead"]["id"] == first["lead"]["id"]
    answer = APIClient().get(
        f"{API}/conversation/{conversation}/messages", headers={"authorization": f"Bearer {renewed['access_token']}"}
    )
    assert answer.status_code == 200
    assert post("/lead/visitor", body, origin=EVIL, status=401)["error_code"] == "TOKEN_INVALID"
    post("/lead/visitor", {**body, "agent_id": str(globex.agent.id)}, status=401)
    post("/lead/visitor", {**body, "refresh_token": first["access_token"]}, status=401)
    post("/lead/visitor", {**body, "refresh_token": person_token(acme)}, status=401)
    with tenant_context(acme.company):
        Lead.objects.update(archived_at="2026-01-01T00:00Z")
    post("/lead/visitor", body, status=401)


def test_a_token_is_good_on_its_own_page_alone(agent: Agent) -> None:
    token = visit(agent)["access_token"]
    ask(agent, token)
    assert ask(agent, token, origin=EVIL, status=401)["error_code"] == "TOKEN_INVALID"
    registered = post("/lead/register", {**ADA, "agent_id": str(agent.id)})["access_token"]
    ask(agent, registered, origin=EVIL, status=401)
    ask(agent, registered, origin="")  # no page: browsers name theirs


def test_allowed_domains_hold_at_registration_and_in_the_conversation(acme: Character, agent: Agent) -> None:
    body = {**ADA, "agent_id": str(agent.id)}
    before = post("/lead/register", body, origin=EVIL)["access_token"]
    nowhere = post("/lead/register", body, origin="")["access_token"]
    limit_domains(acme.company, "*.example.com")
    for path in ("/lead/register", "/lead/visitor"):
        assert post(path, body, origin=EVIL, status=403)["error_code"] == "ORIGIN_NOT_ALLOWED"
        post(path, body, origin="", status=403)
    # Who was let in before has to go too, and a token of no page is good for none.
    assert ask(agent, before, origin=EVIL, status=403)["error_code"] == "ORIGIN_NOT_ALLOWED"
    ask(agent, before, origin="", status=403)
    ask(agent, nowhere, origin="", status=403)
    token = post("/lead/register", body)["access_token"]
    conversation = ask(agent, token)["conversation"]["id"]
    post(f"/conversation/{conversation}/chat", {"message": "Hello"}, token=token, status=202)
    limit_domains(acme.company, "other.example")
    post(f"/conversation/{conversation}/chat", {"message": "Hello"}, token=token, status=403)


@pytest.mark.parametrize("token", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJraW5kIjoibGVhZCJ9."])
def test_forged_tokens_are_refused(agent: Agent, token: str) -> None:
    ask(agent, token, status=401)
    post("/lead/visitor", {"agent_id": str(agent.id), "refresh_token": token}, status=401)


def test_ten_thousand_registrations_of_one_address_end_at_the_limit(
    acme: Character, agent: Agent, settings: Settings
) -> None:
    settings.RATE_LIMIT_ENABLED = True
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "lead": "1000/minute", "lead_daily": "3/day"}
    for number in range(3):
        post("/lead/register", {**ADA, "agent_id": str(agent.id), "email": f"{number}@example.com"})
    assert visit(agent, status=429)["error_code"] == "RATE_LIMITED"
    with tenant_context(acme.company):
        assert Lead.objects.count() == 3


def test_many_visitors_of_one_address_share_a_limit(agent: Agent, settings: Settings) -> None:
    tokens = [visit(agent)["access_token"] for _ in range(3)]
    settings.RATE_LIMIT_ENABLED = True
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "visit": "2/minute"}
    for token, status in zip(tokens, (201, 201, 429), strict=True):
        ask(agent, token, status=status)
