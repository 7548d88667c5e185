"""Leads as the published clients and the company's keys meet them."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.dispatch import Signal
from django.utils import timezone
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from conftest import Character
from leads.models import Lead, LeadConsent, LeadEvent
from leads.signals import lead_registered, lead_status_changed, lead_updated
from tenants.audit.models import AuditEvent
from tenants.models import Company

pytestmark = pytest.mark.django_db
VI = {"first_name": "Vi", "last_name": "Sitor", "email": "vi@example.com"}
API = "/api/v1"


def made(api: APIClient, path: str = "/lead", **fields: Any) -> dict[str, Any]:
    answer = api.post(f"{API}{path}", {**VI, **fields}, format="json")
    assert answer.status_code == 201, answer.content
    record: dict[str, Any] = answer.json()["lead"]
    return record


@pytest.mark.parametrize("path", ["/lead", "/sdk/lead"])
def test_crud_in_both_vocabularies(acme: Character, acme_api: APIClient, path: str) -> None:
    record = made(
        acme_api, path, company_id=str(uuid.uuid4()), phone=None, tags=[" a ", "a", "b"], metadata={"team": "x"}
    )
    assert record["company"] == {"id": str(acme.company.id), "name": "Acme"}
    assert (record["status"], record["phone"], record["tags"], record["metadata"], record["agent_id"]) == (
        "new", "", ["a", "b"], {"team": "x"}, None,
    )  # fmt: skip
    url = f"{API}{path}/{record['id']}"
    changed = acme_api.put(url, {"status": "qualified", "status_note": "Asked twice.", "phone": "123"}, format="json")
    body = changed.json()
    assert (changed.status_code, body["lead"]["status"], body["id"]) == (200, "qualified", record["id"])
    assert body["initiated_by"] == str(acme.admin.id)
    shown = acme_api.get(f"{API}/lead/{record['id']}").json()
    assert (shown["success"], shown["lead"]["phone"]) == (True, "123")
    gone = acme_api.delete(url)
    assert (gone.status_code, gone.json()["lead_id"]) == (200, record["id"])
    assert acme_api.get(f"{API}/lead/{record['id']}").status_code == 404
    assert acme_api.get(f"{API}/lead/company").json()["leads"] == []
    [archived] = acme_api.get(f"{API}/lead/deleted").json()["deleted_leads"]
    assert (archived["id"], archived["is_active"]) == (record["id"], False)
    assert acme_api.patch(f"{API}/lead/{record['id']}/restore").json()["lead"]["is_active"]
    assert acme_api.get(f"{API}/lead/company").json()["data"]["leads"][0]["id"] == record["id"]


def test_a_status_has_a_history(acme: Character, acme_api: APIClient) -> None:
    record = made(acme_api)
    for status in ("contacted", "contacted", "converted"):
        acme_api.put(f"{API}/lead/{record['id']}", {"status": status, "status_note": f"Now {status}."}, format="json")
    acme_api.post(f"{API}/lead/{record['id']}/note", {"note": "Likes tea."}, format="json")
    events = acme_api.get(f"{API}/lead/{record['id']}/timeline").json()["events"]
    assert [(row["kind"], row["from_status"], row["to_status"], row["note"]) for row in events] == [
        ("note", "", "", "Likes tea."),
        ("status", "contacted", "converted", "Now converted."),
        ("status", "new", "contacted", "Now contacted."),
        ("created", "", "", ""),
    ]
    assert {row["actor_label"] for row in events} == {acme.principal.label}


@pytest.mark.parametrize("is_on", [False, True])
def test_an_address_belongs_to_one_lead_of_an_agent(acme: Character, acme_api: APIClient, is_on: bool) -> None:
    Company.objects.filter(pk=acme.company.pk).update(encrypts_lead_data=is_on)
    made(acme_api)
    made(acme_api, agent_id=str(acme.agent.id))
    for agent_id in (None, str(acme.agent.id)):
        answer = acme_api.post(f"{API}/lead", {**VI, "email": "VI@example.com", "agent_id": agent_id}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (409, "LEAD_EXISTS")
    other = made(acme_api, email="other@example.com")
    answer = acme_api.put(f"{API}/lead/{other['id']}", {"email": "Vi@Example.com"}, format="json")
    assert (answer.status_code, answer.json()["errors"].keys()) == (409, {"email"})
    renamed = acme_api.put(f"{API}/lead/{other['id']}", {"email": "new@example.com"}, format="json")
    assert renamed.json()["lead"]["email"] == "new@example.com"
    found = acme_api.get(f"{API}/lead/company", {"search": "NEW@example.com"}).json()["leads"]
    assert [row["id"] for row in found] == [other["id"]]
    assert len(acme_api.get(f"{API}/lead/company", {"search": "vi@example.com"}).json()["leads"]) == 2


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["c", "b", "a"]),
        ({"sort": "created_at"}, ["a", "b", "c"]),
        ({"sort": "-name"}, ["c", "b", "a"]),
        ({"sort": "nonsense"}, ["c", "b", "a"]),
        ({"status": "lost"}, ["b"]),
        ({"status": "nonsense"}, []),
        ({"tag": "hot"}, ["c"]),
        ({"source": "fair"}, ["a"]),
        ({"agent_id": "{agent}"}, ["c"]),
        ({"agent_id": str(uuid.uuid4())}, []),
        ({"created_after": "{b}"}, ["c", "b"]),
        ({"created_before": "{b}"}, ["b", "a"]),
        ({"search": "b b@"}, ["b"]),
        ({"search": "x.example"}, ["c", "b", "a"]),
        ({"search": "x.example", "sort": "created_at"}, ["a", "b", "c"]),
        ({"search": "x.example", "sort": "name"}, ["a", "b", "c"]),
        ({"search": "x.example", "sort": "-score"}, ["b", "c", "a"]),
        ({"search": "x.example", "status": "lost"}, ["b"]),
        ({"search": " "}, ["c", "b", "a"]),
        ({"page": "2", "per_page": "2"}, ["a"]),
    ],
)
def test_filters(acme: Character, acme_api: APIClient, query: dict[str, str], names: list[str]) -> None:
    now = timezone.now()
    with tenant_context(acme.company):
        rows: list[dict[str, Any]] = [
            {"source": "fair"}, {"status": "lost", "score": 40}, {"tags": ["hot"], "agent": acme.agent, "score": 7},
        ]  # fmt: skip
        for day, (name, fields) in enumerate(zip("abc", rows, strict=True)):
            moment = now + timedelta(days=day)
            Lead.objects.create(**{"first_name": name, "email": f"{name}@x.example", "created_at": moment, **fields})
    places = {"{agent}": str(acme.agent.id), "{b}": (now + timedelta(days=1)).isoformat()}
    answer = acme_api.get(f"{API}/lead/company", {name: places.get(value, value) for name, value in query.items()})
    assert [row["first_name"] for row in answer.json()["leads"]] == names


@pytest.mark.parametrize("query", [{"agent_id": "x"}, {"created_after": "yesterday"}])
def test_filters_that_make_no_sense(acme_api: APIClient, query: dict[str, str]) -> None:
    answer = acme_api.get(f"{API}/lead/company", query)
    assert (answer.status_code, answer.json()["errors"].keys()) == (400, query.keys())


@pytest.mark.parametrize("count", [1, 3])
def test_a_list_costs_the_same_however_long(
    acme: Character, acme_api: APIClient, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with tenant_context(acme.company):
        for number in range(count):
            Lead.objects.create(agent=acme.agent, first_name="V", email=f"{number}@x.example")
    with django_assert_num_queries(5):
        assert len(acme_api.get(f"{API}/lead/company").json()["leads"]) == count


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "won"},
        {"email": "no address"},
        {"tags": "x"},
        {"tags": ["x" * 101]},
        {"metadata": []},
        {"metadata": {"x": "y" * 21_000}},
        {"consent_marketing": "perhaps"},
    ],
)
def test_bad_input_is_told_by_field(acme_api: APIClient, fields: dict[str, Any]) -> None:
    record = made(acme_api)
    for answer in (
        acme_api.post(f"{API}/lead", {**VI, "email": "b@example.com", **fields}, format="json"),
        acme_api.put(f"{API}/lead/{record['id']}", fields, format="json"),
    ):
        assert (answer.status_code, answer.json()["errors"].keys()) == (400, fields.keys())


def test_consents_have_a_history_with_the_version_of_the_text(acme: Character, acme_api: APIClient) -> None:
    lead = {**VI, "agent_id": str(acme.agent.id), "consent_text_version": "2026-11", "consent_marketing": True}
    lead_id = APIClient().post(f"{API}/lead/register", lead, format="json").json()["lead"]["id"]
    changed = {**lead, "consent_marketing": False, "consent_text_version": "2026-12"}
    for said in (lead, changed, changed):  # anybody may type it: it is written down, and the lead's own stay
        APIClient().post(f"{API}/lead/register", said, format="json")
    record = acme_api.get(f"{API}/lead/{lead_id}").json()["lead"]
    assert (record["consent_marketing"], record["consent_data_processing"]) == (True, True)
    acme_api.put(f"{API}/lead/{lead_id}", {"consent_marketing": False, "consent_text_version": "2027"}, format="json")
    acme_api.put(f"{API}/lead/{lead_id}", {"notes": "x", "consent_marketing": False}, format="json")
    with tenant_context(acme.company):
        rows = LeadConsent.objects.order_by("kind", "created_at")
        assert list(rows.values_list("kind", "is_given", "text_version", "actor_label", "is_unproven")) == [
            ("marketing", True, "2026-11", "", False),
            ("marketing", False, "2026-12", "", True),
            ("marketing", False, "2027", acme.principal.label, False),
        ]


@pytest.mark.parametrize("count", [1, 3])
def test_the_consents_of_a_lead_are_listed(
    acme: Character, acme_api: APIClient, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with tenant_context(acme.company):
        lead = Lead.objects.create(agent=acme.agent, first_name="V", email="v@x.example")
        for number in range(count):
            LeadConsent.objects.create(lead=lead, kind="marketing", is_given=not number, text_version=str(number))
    with django_assert_num_queries(4):
        listed = acme_api.get(f"{API}/lead/{lead.pk}/consents").json()["consents"]
    assert [(row["kind"], row["is_given"], row["text_version"]) for row in listed] == [
        ("marketing", not number, str(number)) for number in reversed(range(count))
    ]
    assert listed[0].keys() == {
        "id", "kind", "is_given", "is_unproven", "text_version", "actor_id", "actor_label", "created_at",
    }  # fmt: skip


def test_signals_tell_what_happened(acme: Character, acme_api: APIClient) -> None:
    heard: list[Any] = []

    def registered(lead: Lead, **_: Any) -> None:
        heard.append(("registered", lead.email))

    def updated(lead: Lead, fields: list[str], **_: Any) -> None:
        heard.append(("updated", fields))

    def changed(lead: Lead, from_status: str, to_status: str, **_: Any) -> None:
        heard.append((from_status, to_status))

    pairs: list[tuple[Signal, Any]] = [
        (lead_registered, registered),
        (lead_updated, updated),
        (lead_status_changed, changed),
    ]
    for signal, receiver in pairs:
        signal.connect(receiver, weak=False)
    try:
        record = made(acme_api)
        acme_api.put(f"{API}/lead/{record['id']}", {"phone": "1", "status": "lost", "first_name": "Vi"}, format="json")
        lead = {**VI, "agent_id": str(acme.agent.id)}
        for _ in range(2):
            APIClient().post(f"{API}/lead/register", lead, format="json")
    finally:
        for signal, receiver in pairs:
            signal.disconnect(receiver)
    assert heard == [("registered", VI["email"]), ("updated", ["phone"]), ("new", "lost"), ("registered", VI["email"])]


def test_the_log_names_no_visitor(acme: Character, acme_api: APIClient) -> None:
    record = made(acme_api, notes="Secret note", phone="12345678")
    acme_api.put(f"{API}/lead/{record['id']}", {"first_name": "Ada", "notes": "More", "email": "n@x.example"})
    with tenant_context(acme.company):
        told = repr(list(AuditEvent.objects.values_list("entity_label", "description", "changes")))
    for text in ("Vi", "Ada", "Secret", "More", "vi@example.com", "n@x.example", "12345678"):
        assert text not in told


def test_the_timeline_goes_with_the_lead(acme: Character, acme_api: APIClient) -> None:
    record = made(acme_api)
    acme_api.post(f"{API}/lead/{record['id']}/note", {"note": "x"}, format="json")
    with tenant_context(acme.company):
        Lead.objects.get(pk=record["id"]).delete()
        assert (LeadEvent.objects.count(), LeadConsent.objects.count()) == (0, 0)
