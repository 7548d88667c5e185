from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django_tenants.utils import tenant_context

from analytics.models import CompanyDaily
from analytics.tests.test_console_api import add_conversation, add_document
from conftest import PASSWORD, Character, super_admin_in_browser
from documents.models import IndexBuild, SearchIndex
from tenants.models import User
from tenants.services import update_company

pytestmark = pytest.mark.usefixtures("made_today")


@pytest.fixture
def admin_client(db: None) -> Client:
    return super_admin_in_browser(User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD))


def test_the_first_page_shows_every_company_what_happened_and_how_things_are(
    acme: Character, globex: Character, admin_client: Client, django_assert_num_queries: Any
) -> None:
    add_document(acme, "a.txt", 2048)
    add_conversation(globex)
    update_company(actor=acme.principal, company=globex.company, changes={"phone": "+49 30 1"})
    admin_client.get("/admin/")
    CompanyDaily.objects.all().delete()

    with django_assert_num_queries(27):
        answer = admin_client.get("/admin/")

    context = answer.context
    assert [row[1:] for row in context["companies_table"]["rows"]] == [
        [1, 1, 0, 1, "0\xa0bytes"],
        [1, 1, 1, 0, "2.0\xa0KB"],
    ]
    assert [chart["total"] for chart in context["charts"]] == [1, 1, 2]
    assert context["events"][0]["title"] == "admin@acme.example updated the company “Globex”."
    assert context["health"]["status"] == "warning"  # nothing was measured yet
    html = answer.content.decode()
    assert (html.count("<rect"), html.count("No metrics were collected")) == (93, 1)


def test_people_of_companies_do_not_see_it(acme_client: Client) -> None:
    assert acme_client.get("/admin/").status_code == 302


def test_the_first_page_lists_the_search_indexes_in_the_making(
    acme: Character, globex: Character, admin_client: Client
) -> None:
    assert admin_client.get("/admin/").context["builds_table"]["rows"] == []
    for who, status, error in (
        (acme, "pending", ""),
        (globex, "failed", "The key was refused."),
        (acme, "completed", ""),
    ):
        with tenant_context(who.company):
            index, _ = SearchIndex.objects.get_or_create(
                agent=who.agent,
                defaults={
                    "embedding_provider_id": who.agent.llm_settings.embedding_provider_id,
                    "embedding_model_id": who.agent.llm_settings.embedding_model_id,
                },
            )
            IndexBuild.objects.create(search_index=index, status=status, error=error)
    assert admin_client.get("/admin/").context["builds_table"]["rows"] == [
        ["Globex", "Globex helper", "all-MiniLM-L6-v2", "failed", "The key was refused."],
        ["Acme", "Acme helper", "all-MiniLM-L6-v2", "pending", ""],
    ]
