"""Django admin: super admins read how a company's leads stand, and not who they are."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries

from conftest import PASSWORD, Character, page_client, super_admin_in_browser
from leads.models import Lead, LeadImport, ScoreRules
from tenants.models import Company, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(db: None) -> Client:
    return super_admin_in_browser(User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD))


def lead_of(who: Character, name: str, **fields: Any) -> None:
    with tenant_context(who.company):
        Lead.objects.create(
            agent=who.agent, first_name=name, last_name="Byron", email=f"{name}@x.example", phone="+49 89 1234567",
            notes="Likes tea.", tags=["hot"], **fields,
        )  # fmt: skip


def page_of(who: Character, query: str = "") -> str:
    return reverse("leads_of_company", args=[who.company.pk]) + query


def test_the_leads_of_one_company_without_who_they_are(acme: Character, globex: Character, root: Client) -> None:
    lead_of(acme, "zelda", score=42, source="a fair")
    lead_of(acme, "quentin", is_nameless=True)
    lead_of(globex, "yolanda")
    assert page_of(acme) in root.get(reverse("admin:tenants_company_changelist")).content.decode()
    text = root.get(page_of(acme)).content.decode()
    for words in ("z…@x.example", "Acme helper", "42", "a fair", "Visitor"):
        assert words in text
    for words in ("zelda", "quentin", "q…@", "Byron", "1234567", "Likes tea", "hot<", "y…@", "Globex helper"):
        assert words not in text
    Company.objects.filter(pk=acme.company.pk).update(encrypts_lead_data=True)
    text = root.get(page_of(acme)).content.decode()
    assert ("a fair" in text, "x.example" in text) == (True, False)


def test_imports_and_the_rules_of_the_score(acme: Character, root: Client) -> None:
    with tenant_context(acme.company):
        LeadImport.objects.create(filename="people.csv", encoding="utf-16", total=77, errors=[[2, "A fault."]])
        ScoreRules.objects.create(weights={"need": 100}, learned_from={"won": 31, "lost": 44})
    text = root.get(page_of(acme, "?part=imports")).content.decode()
    assert [words for words in ("utf-16", "77") if words not in text] == []
    text = root.get(page_of(acme, "?part=score")).content.decode()
    assert [words for words in ("need 100", "31 won, 44 lost") if words not in text] == []


@pytest.mark.parametrize("count", [1, 3])
def test_the_page_costs_the_same_however_many(
    acme: Character, root: Client, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        lead_of(acme, f"v{number}")
    with django_assert_num_queries(8):
        assert "x.example" in root.get(page_of(acme)).content.decode()


def test_nobody_else_reads_it_and_nothing_is_changed(acme: Character, root: Client) -> None:
    assert page_client(acme).get(page_of(acme)).status_code == 302  # to admin's own sign-in
    assert root.get(reverse("leads_of_company", args=[uuid.uuid4()])).status_code == 404
