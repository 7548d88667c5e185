"""The dashboard's pages about leads."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries

from conftest import Character
from conversations.enums import EntityType, MessageRole
from conversations.models import Conversation, Message
from leads.models import Lead, LeadConsent, LeadEvent
from leads.selectors import lead_board

pytestmark = pytest.mark.django_db
FORM = {
    "first_name": "Ada", "last_name": "Byron", "email": "ada@x.example", "status": "qualified", "tags": "a, b",
    "metadata": "team: sales\nsize: 5", "consent_data_processing": "on", "consent_text_version": "3",
}  # fmt: skip


def lead_of(who: Character, name: str = "Vi", **fields: Any) -> Lead:
    with tenant_context(who.company):
        made: Lead = Lead.objects.create(agent=who.agent, first_name=name, email=f"{name}@x.example", **fields)
    return made


def read(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_no_leads_yet(acme_client: Client) -> None:
    assert "No leads yet" in read(acme_client, "/leads")
    assert read(acme_client, "/leads/board").count("Nobody") == 5
    assert "No duplicates" in read(acme_client, "/leads/duplicates")
    assert "Nobody found" in read(acme_client, "/leads?status=lost")


@pytest.mark.parametrize(("path", "queries"), [("/leads", 9), ("/leads/board", 11)])
@pytest.mark.parametrize("count", [1, 3])
def test_pages_cost_the_same_however_many(
    acme: Character,
    acme_client: Client,
    path: str,
    queries: int,
    count: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(count):
        lead_of(acme, f"v{number}")
    with django_assert_num_queries(queries):
        assert "v0" in read(acme_client, path)


def test_added_edited_archived_and_brought_back(acme: Character, acme_client: Client) -> None:
    assert acme_client.post("/leads/new", {**FORM, "agent": acme.agent.pk}).status_code == 302
    with tenant_context(acme.company):
        lead = Lead.objects.get()
        assert (lead.agent_id, lead.tags, lead.metadata, lead.status) == (
            acme.agent.pk, ["a", "b"], {"team": "sales", "size": 5}, "qualified",
        )  # fmt: skip
    assert (
        "There is a lead with this e-mail address"
        in acme_client.post("/leads/new", {**FORM, "agent": acme.agent.pk}).content.decode()
    )
    edited = {**FORM, "first_name": "Grace", "status": "lost", "metadata": "no pair"}
    assert "Line 1 is no pair" in acme_client.post(f"/leads/{lead.pk}/edit", edited).content.decode()
    acme_client.post(f"/leads/{lead.pk}/edit", {**edited, "metadata": "", "consent_marketing": "on"})
    with tenant_context(acme.company):
        lead.refresh_from_db()
        assert (lead.first_name, lead.status, lead.metadata) == ("Grace", "lost", {})
        assert LeadConsent.objects.get(kind="marketing", is_given=True).text_version == "3"
    page = acme_client.post(f"/leads/{lead.pk}/archive", follow=True).content.decode()
    assert f"/leads/{lead.pk}/restore" in page
    assert "Grace" in read(acme_client, "/leads?archived=1")
    acme_client.post(f"/leads/{lead.pk}/restore")
    assert "Grace" in read(acme_client, "/leads")


def test_moved_on_the_board(acme: Character, acme_client: Client) -> None:
    lead = lead_of(acme)
    answer = acme_client.post(f"/leads/{lead.pk}/status", {"status": "contacted"}, HTTP_HX_REQUEST="true")
    board = answer.content.decode()
    assert board.index('id="column-contacted"') < board.index(str(lead.pk)) < board.index('id="column-qualified"')
    assert "<html" not in board
    answer = acme_client.post(f"/leads/{lead.pk}/status", {"status": "won"}, follow=True)
    assert "Use one of new, contacted" in answer.content.decode()
    with tenant_context(acme.company):
        assert LeadEvent.objects.get().to_status == "contacted"


def test_the_board_counts_all_and_shows_those_seen_last(acme: Character) -> None:
    seen = timezone.now()
    with tenant_context(acme.company):
        for number, status in enumerate(["new", "new", "new", "lost"]):
            lead_of(acme, f"v{number}", status=status, last_activity=seen + timedelta(minutes=number), tags=["a"])
        Lead.objects.create(first_name="Own", email="own@x.example", last_activity=seen)
        lead_of(acme, "gone", archived_at=seen)

        def told(**options: Any) -> dict[str, tuple[int, list[str]]]:
            columns = lead_board(per_column=2, **options)
            return {column.status.value: (column.count, [str(lead) for lead in column.leads]) for column in columns}

        nobody: dict[str, tuple[int, list[str]]] = dict.fromkeys(("contacted", "qualified", "converted"), (0, []))
        assert told() == {"new": (4, ["v2", "v1"]), "lost": (1, ["v3"]), **nobody}
        assert told(agent_id=acme.agent.id) == {"new": (3, ["v2", "v1"]), "lost": (1, ["v3"]), **nobody}
        assert told(agent_id=uuid.uuid4()) == {"new": (0, []), "lost": (0, []), **nobody}


def test_one_lead_s_page_tells_all(
    acme: Character, acme_client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    lead, other = lead_of(acme, tags=["hot"], notes="Met at a fair."), lead_of(acme, "Twin", phone="+49 89 123456")
    with tenant_context(acme.company):
        talk = Conversation.objects.create(agent=acme.agent, entity_type=EntityType.LEAD, lead=other, title="Prices")
        Message.objects.create(conversation=talk, position=1, role=MessageRole.USER, content="We need it <b>today</b>.")
        Message.objects.create(conversation=talk, position=2, role=MessageRole.ASSISTANT, content="Our budget is big.")
    acme_client.post(f"/leads/{lead.pk}/status", {"status": "lost", "note": "Too dear."})
    acme_client.post(f"/leads/{lead.pk}/note", {"note": "<script>alert(1)</script>"})
    acme_client.post(f"/leads/{lead.pk}/merge", {"other": other.pk})
    with django_assert_num_queries(14):
        page = read(acme_client, f"/leads/{lead.pk}")
    for text in (
        "New → Lost", "Too dear.", "&lt;script&gt;alert(1)", "Merged with a lead of Acme helper", "Prices",
        "Met at a fair.", "Twin@x.example", "Says what they need", "Names a near date", "&lt;b&gt;today",
        "<strong>38</strong> of 100",
    ):  # fmt: skip
        assert text in page
    assert "Speaks of a budget" not in page  # the assistant said it
    assert acme_client.get(f"/leads/{other.pk}").url == f"/leads/{lead.pk}"  # type: ignore[attr-defined]  # a redirect
    acme_client.post(f"/leads/{other.pk}/unmerge")
    assert "Prices" not in read(acme_client, f"/leads/{lead.pk}")


def test_duplicates_are_merged_on_their_page(acme: Character, acme_client: Client) -> None:
    lead = lead_of(acme)
    with tenant_context(acme.company):
        other = Lead.objects.create(first_name="Vi", email=lead.email)
    assert str(other.pk) in read(acme_client, "/leads/duplicates")
    page = acme_client.post(f"/leads/{lead.pk}/merge", {"other": [other.pk]}, follow=True).content.decode()
    assert f"/leads/{other.pk}/unmerge" in page  # the way back
    assert str(other.pk) not in read(acme_client, "/leads/duplicates")


@pytest.mark.parametrize("query", ["agent=x", "start=x&end=2026-99-99", "sort=x", "page=x", "tag=%00", "q=%00"])
def test_queries_that_make_no_sense(acme: Character, acme_client: Client, query: str) -> None:
    read(acme_client, f"/leads?{query}")
