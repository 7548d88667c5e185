"""One person who is several leads."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from conftest import Character
from leads import jobs
from leads.models import Lead
from leads.services import merge_leads, register_lead, unmerge_lead
from tenants.models import Company

pytestmark = pytest.mark.django_db
API = "/api/v1/lead"


def lead_of(name: str, **fields: Any) -> Lead:
    made: Lead = Lead.objects.create(**{"first_name": name, "email": f"{name}@x.example", **fields})
    return made


@pytest.mark.parametrize("is_on", [False, True])
def test_those_who_share_an_address_or_a_number_are_found(acme: Character, acme_api: APIClient, is_on: bool) -> None:
    Company.objects.filter(pk=acme.company.pk).update(encrypts_lead_data=is_on)
    with tenant_context(acme.company):
        lead_of("a", phone="+49 (89) 123-456")
        lead_of("b", email="A@x.example", agent=acme.agent)
        lead_of("c", phone="0049 89 123456", agent=acme.agent)
        lead_of("d", phone="12", agent=acme.agent)
        lead_of("e", phone="12")  # too short to tell anybody by
        jobs.apply_encryption()
    groups = acme_api.get(f"{API}/duplicates").json()["duplicates"]
    assert [(group["reason"], [lead["first_name"] for lead in group["leads"]]) for group in groups] == [
        ("the same e-mail address", ["a", "b"]),
        ("the same telephone number", ["a", "c"]),
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_finding_costs_the_same(
    acme: Character, acme_api: APIClient, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with tenant_context(acme.company):
        for number in range(count):
            for agent in (None, acme.agent):
                lead_of(f"v{number}", agent=agent)
    with django_assert_num_queries(6):
        assert len(acme_api.get(f"{API}/duplicates").json()["duplicates"]) == count


def test_merged_and_taken_apart_all_is_as_it_was(acme: Character, acme_api: APIClient) -> None:
    with tenant_context(acme.company):
        one = lead_of("a", tags=["x"], metadata={"team": "one"})
        two = lead_of("a2", tags=["x", "y"], metadata={"team": "two", "size": 5}, agent=acme.agent)
        three = lead_of("a3")
        merge_leads(actor=acme.principal, lead=two, other_ids=[three.pk])
    answer = acme_api.post(f"{API}/{one.pk}/merge", {"lead_ids": [str(two.pk)]}, format="json").json()["lead"]
    assert (answer["tags"], answer["metadata"]) == (["x", "y"], {"team": "one", "size": 5})
    assert [lead["id"] for lead in acme_api.get(f"{API}/company").json()["leads"]] == [str(one.pk)]
    assert acme_api.get(f"{API}/{two.pk}").json()["lead"]["merged_into_id"] == str(one.pk)
    with tenant_context(acme.company):
        assert set(one.merged.values_list("pk", flat=True)) == {two.pk, three.pk}
    answer = acme_api.post(f"{API}/{two.pk}/unmerge").json()["lead"]
    assert (answer["id"], answer["merged_into_id"]) == (str(two.pk), None)
    with tenant_context(acme.company):
        one.refresh_from_db()
        assert (one.tags, one.metadata) == (["x"], {"team": "one"})
        assert list(two.merged.values_list("pk", flat=True)) == [three.pk]
        assert [event.kind for event in one.events.all()] == ["unmerged", "merged"]


@pytest.mark.parametrize("merged", ["bcd", "dcb"])
@pytest.mark.parametrize("taken", [*map("".join, permutations("bcd"))])
def test_taken_apart_in_any_order_all_is_as_it_was(in_acme: Character, merged: str, taken: str) -> None:
    own = {"tags": ["x"], "metadata": {"team": "one"}, "custom_fields": {"size": 1}}
    one = lead_of("a", **own)
    others = {
        name: lead_of(name, tags=["x", name, "all"], metadata={"team": name, name: None, "all": [name]})
        for name in "bcd"
    }
    for name in merged:
        merge_leads(actor=in_acme.principal, lead=one, other_ids=[others[name].pk])
    for name in taken:
        unmerge_lead(actor=in_acme.principal, lead=others[name])
        one.refresh_from_db()
        assert name not in one.tags
        assert name not in one.metadata
    assert {name: getattr(one, name) for name in own} == own


def test_what_was_changed_since_stays(in_acme: Character) -> None:
    one, two = lead_of("a", tags=["x"]), lead_of("b", tags=["y"], metadata={"size": 5})
    merge_leads(actor=in_acme.principal, lead=one, other_ids=[two.pk])
    Lead.objects.filter(pk=one.pk).update(tags=["new"], metadata={"size": 6, "new": None})
    unmerge_lead(actor=in_acme.principal, lead=two)
    one.refresh_from_db()
    assert (one.tags, one.metadata) == (["new"], {"size": 6, "new": None})


def test_a_merged_visitor_goes_on_with_their_agent(in_acme: Character) -> None:
    """The token stays good, and a visit is seen on the lead that is listed."""
    register: dict[str, Any] = {
        "agent": in_acme.agent,
        "company_id": in_acme.company.pk,
        "email": "v@x.example",
        "first_name": "V",
    }
    visitor, other = register_lead(**register).lead, lead_of("b")
    merge_leads(actor=in_acme.principal, lead=other, other_ids=[visitor.pk])
    other.refresh_from_db()
    before = other.last_activity
    assert register_lead(**register).lead == visitor
    other.refresh_from_db()
    assert other.last_activity > before
    assert list(Lead.objects.listed()) == [other]


@pytest.mark.parametrize(
    ("others", "status", "code"),
    [(["self"], 400, "VALIDATION_ERROR"), (["merged"], 409, "LEAD_MERGED"), (["archived"], 404, "NOT_FOUND")],
)
def test_what_cannot_be_merged(acme: Character, acme_api: APIClient, others: list[str], status: int, code: str) -> None:
    with tenant_context(acme.company):
        one = lead_of("a")
        rows = {"self": one, "merged": lead_of("b", merged_into=lead_of("c"))}
        rows["archived"] = lead_of("d", archived_at=one.created_at)
    answer = acme_api.post(
        f"{API}/{one.pk}/merge", {"lead_ids": [str(rows[name].pk) for name in others]}, format="json"
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_only_what_is_merged_is_taken_apart(acme: Character, acme_api: APIClient) -> None:
    with tenant_context(acme.company):
        one = lead_of("a")
    answer = acme_api.post(f"{API}/{one.pk}/unmerge")
    assert (answer.status_code, answer.json()["code"]) == (409, "LEAD_NOT_MERGED")
