"""Django admin: super admins read what a company knows, and change nothing there."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client
from django.urls import reverse
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries

from conftest import PASSWORD, Character, super_admin_in_browser
from documents.models import (
    Crawl,
    Dataset,
    DatasetGrant,
    Document,
    IndexBuild,
    IngestionJob,
    SearchIndex,
    WebsiteSource,
)
from documents.services import create_dataset
from tenants.models import User


@pytest.fixture
def root(db: None) -> Client:
    return super_admin_in_browser(User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD))


def page(who: Character, part: str = "") -> str:
    address = reverse("knowledge_of_company", args=[who.company.pk])
    return f"{address}?part={part}" if part else address


def teach(who: Character, count: int = 1) -> None:
    with tenant_context(who.company):
        for number in range(count):
            url = f"https://{who.company.name.lower()}{number}.example/"
            source = WebsiteSource.objects.create(agent=who.agent, base_url=url, last_error=f"<b>Cause</b> {number}")
            Crawl.objects.create(source=source, status="failed", max_pages=7, processed_count=3, error="Too slow.")
            dataset = create_dataset(actor=who.principal, name=f"Terms {number} of {who.company.name}")
            DatasetGrant.objects.create(dataset=dataset, agent=who.agent)
            home = {"dataset": dataset} if number else {"agent": who.agent}
            document = Document.objects.create(
                **home, original_filename=f"{who.company.name} {number}.pdf", document_type="pdf", status="failed",
                processing_error="This PDF is damaged.",
            )  # fmt: skip
            IngestionJob.objects.create(document=document, status="failed", attempts=4, error="No worker.")
            index = SearchIndex(**home, state="building")
            index.copy_embedder(who.agent.llm_settings)
            index.save()
            IndexBuild.objects.create(search_index=index, status="failed", error="The key was refused.")


def test_super_admins_read_what_one_company_has_taught(acme: Character, globex: Character, root: Client) -> None:
    teach(acme)
    teach(globex)
    assert page(acme) in root.get(reverse("admin:tenants_company_changelist")).content.decode()
    for part, told in (
        ("", ["https://acme0.example/", "&lt;b&gt;Cause&lt;/b&gt; 0"]),
        ("crawls", ["https://acme0.example/", "3 of 7", "Too slow."]),
        ("datasets", ["Terms 0 of Acme", acme.agent.name]),
        ("documents", ["Acme 0.pdf", "This PDF is damaged."]),
        ("jobs", ["Acme 0.pdf", "No worker."]),
        ("builds", [acme.agent.name, "The key was refused."]),
        ("no such part", ["https://acme0.example/"]),
    ):
        text = root.get(page(acme, part)).content.decode()
        assert [words for words in told if words not in text] == []
        assert "globex" not in text.lower()
    assert root.get(reverse("knowledge_of_company", args=[uuid.uuid4()])).status_code == 404


@pytest.mark.parametrize("count", [1, 3])
def test_a_part_costs_the_same_however_long_it_is(
    acme: Character, root: Client, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    teach(acme, count)
    queries = {}
    for part, expected in (
        ("websites", 2), ("crawls", 2), ("datasets", 4), ("documents", 2), ("jobs", 2), ("builds", 2),
    ):  # fmt: skip
        root.get(page(acme, part))
        with django_assert_num_queries(QUERIES + expected):
            queries[part] = root.get(page(acme, part)).status_code
    assert set(queries.values()) == {200}
    with tenant_context(acme.company):
        assert Dataset.objects.count() == count


QUERIES = 5  # the session, the person, the company


def test_nobody_else_reads_it(acme: Character, globex_client: Client, acme_client: Client) -> None:
    for client in (acme_client, globex_client):
        answer = client.get(page(acme))
        assert (answer.status_code, answer["Location"].startswith(reverse("admin:login"))) == (302, True)
