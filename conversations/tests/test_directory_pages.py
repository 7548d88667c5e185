"""The pages on which a company reads what was said."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries

from conftest import Character
from conversations import views_directory
from conversations.enums import EntityType
from conversations.models import Conversation, GuardrailDecision, Message
from conversations.selectors import conversations_with
from conversations.tests.test_pages import cite, conversation_of, exchange, lead_of
from leads.models import Lead


def titles(client: Client, **query: str) -> list[str]:
    return [row.title for row in client.get("/conversations", query).context["page_obj"]]


def test_conversations_are_found_by_what_became_of_them(acme: Character, acme_client: Client) -> None:
    lead = lead_of(acme)
    good, bad, silent, broken, visitor = (
        conversation_of(acme, title=title) for title in ("Good", "Bad", "Silent", "Broken", "Visitor")
    )
    with tenant_context(acme.company):
        exchange(good, content="Yes.", user_feedback=1)
        exchange(bad, content="No.", user_feedback=-1)
        exchange(silent, content="I do not know.", is_refusal=True)
        exchange(good, number=1, content="Not here.", is_refusal=True, is_blocked=True)  # no gap in the documents
        exchange(broken, status="failed", error="The model is down.")
        exchange(good, number=2, status="failed", error="Stopped.", error_code="STOPPED")  # by its reader: no fault
        Conversation.objects.filter(pk=visitor.pk).update(entity_type=EntityType.LEAD, lead=lead, tags=["vip"])
    assert len(titles(acme_client)) == 5
    shown = {show: titles(acme_client, show=show) for show in ("good", "bad", "unanswered", "failed")}
    assert shown == {"good": ["Good"], "bad": ["Bad"], "unanswered": ["Silent"], "failed": ["Broken"]}
    rows = acme_client.get("/conversations").content.decode().split("<tbody>")[1].split("<tr>")[1:]
    marks = ("Rated well", "Rated badly", "Not answered", "Answer failed")
    assert [[mark for mark in marks if mark in row] for row in rows] == [
        [], ["Answer failed"], ["Not answered"], ["Rated badly"], ["Rated well"]
    ]  # fmt: skip
    assert titles(acme_client, **{"with": "lead"}) == ["Visitor"]
    assert titles(acme_client, tag="vip") == ["Visitor"]
    assert titles(acme_client, q="i do not KNOW") == ["Silent"]
    assert len(titles(acme_client, agent=str(acme.agent.pk))) == 5
    assert titles(acme_client, agent="00000000-0000-4000-8000-000000000000") == []


def test_an_answer_that_broke_off_is_shown_with_its_cause_and_what_it_had_said(
    acme: Character, acme_client: Client
) -> None:
    conversation, cause = conversation_of(acme), "The model broke off."
    failures = [
        {"model": "first", "code": "LLM_TIMEOUT", "error": "Silent."},
        {"model": "m", "code": "X", "error": cause},
    ]
    with tenant_context(acme.company):
        reply = exchange(
            conversation, status="failed", content="Twelve mo", error=cause, error_code="X", model_failures=failures
        )
    chat = f"/agents/{conversation.agent_id}/chat?conversation={conversation.pk}"
    for page in (f"/conversations/{conversation.pk}", f"/conversations/messages/{reply.pk}", chat):
        shown = acme_client.get(page).content.decode()
        assert (shown.count(cause), "Twelve mo" in shown, "Silent." in shown) == (1, True, page != chat), page


def test_half_an_answer_is_none_in_the_inbox(acme: Character, acme_client: Client) -> None:
    conversation = conversation_of(acme)
    with tenant_context(acme.company):
        exchange(conversation, status="failed", content="Twelve mo", error="The model broke off.")
        Conversation.objects.filter(pk=conversation.pk).update(owner="waiting")
    shown = acme_client.get(f"/inbox?conversation={conversation.pk}").content.decode()
    assert ("Twelve mo" in shown, "No answer could be given." in shown) == (False, True)
    assert shown.count("Question 0?") > 1  # in the list as well: nothing was said after it


def test_what_has_no_title_is_known_by_its_first_question_or_its_visitor(acme: Character, acme_client: Client) -> None:
    lead = lead_of(acme)
    asked, silent = (
        conversation_of(acme, title="Website Chat", entity_type=EntityType.LEAD, lead=lead) for _ in range(2)
    )
    mine = conversation_of(acme, title="New Conversation")
    with tenant_context(acme.company):
        exchange(asked)
        exchange(asked, number=1)
    shown = {row.pk: (row.shown_title, row.who) for row in acme_client.get("/conversations").context["page_obj"]}
    assert shown == {
        asked.pk: ("Question 0?", "Vi Sitor"),
        silent.pk: ("Vi Sitor", "Vi Sitor"),
        mine.pk: ("New Conversation", "Your team"),
    }
    pages = [
        acme_client.get(path).content.decode()
        for path in (
            f"/conversations/{asked.pk}",
            f"/leads/{lead.pk}",
            f"/agents/{acme.agent.pk}?tab=conversations",
            "/home",
        )
    ]
    assert [("Question 0?" in page, "Website Chat" in page.split('name="title"')[0]) for page in pages] == [
        (True, False)
    ] * 4


@pytest.mark.parametrize(
    ("metadata", "who"),
    [
        ({"page_title": "Pumps", "page_url": "https://shop.example/pumps"}, "Visitor on Pumps"),
        ({"page_url": "https://shop.example/pumps"}, "Visitor on https://shop.example/pumps"),
        ({"page_title": ["Pumps"]}, "Visitor"),
        ({}, "Visitor"),
    ],
)
def test_a_visitor_without_a_name_is_known_by_the_page(acme: Character, metadata: dict[str, object], who: str) -> None:
    lead = Lead(first_name="Visitor", is_nameless=True)
    assert Conversation(lead=lead, metadata=metadata).who == who


def test_closed_and_archived_ones_are_set_apart(acme: Character, acme_client: Client) -> None:
    closed, gone = conversation_of(acme, title="Closed"), conversation_of(acme, title="Gone")
    acme_client.post(f"/conversations/{closed.pk}/close")
    acme_client.post(f"/conversations/{gone.pk}/archive")
    assert [titles(acme_client, show=show) for show in ("", "archived", "deleted")] == [[], ["Closed"], ["Gone"]]
    assert "Restore" in acme_client.get(f"/conversations/{gone.pk}").content.decode()
    acme_client.post(f"/conversations/{closed.pk}/reopen")
    assert titles(acme_client) == ["Closed"]


def test_a_conversation_is_read_with_the_facts_of_its_answers(acme: Character, acme_client: Client) -> None:
    conversation = conversation_of(acme)
    with tenant_context(acme.company):
        reply = exchange(
            conversation, content="Yes [Source 1].", model_used="extractive", timings={"retrieval": 0.25},
            user_feedback=-1, feedback_comment="Too short <b>",
        )  # fmt: skip
        cite(reply)
    page = acme_client.get(f"/conversations/{conversation.pk}")
    text = page.content.decode()
    assert [message["timings"] for message in page.context["chat_messages"]] == [{}, {"Retrieval": 0.25}]
    assert ("extractive" in text, "Too short &lt;b&gt;" in text, "Returns" in text) == (True, True, True)


def test_a_long_conversation_is_read_back_to_its_beginning(
    acme: Character, acme_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_directory, "SHOWN_MESSAGES", 4)
    conversation = conversation_of(acme)
    with tenant_context(acme.company):
        for number in range(5):
            exchange(conversation, number, content=f"Answer {number}.")

    def read(query: str = "") -> tuple[list[str], str, bool]:
        page = acme_client.get(f"/conversations/{conversation.pk}{query}")
        said = [message["content"] for message in page.context["chat_messages"]]
        return said[1::2], str(page.context["earlier"] or ""), "The newest messages" in page.content.decode()

    assert read() == (["Answer 3.", "Answer 4."], "7", False)
    assert read("?before=7") == (["Answer 1.", "Answer 2."], "3", True)
    assert read("?before=3") == (["Answer 0."], "", True)
    assert read("?before=x")[0] == ["Answer 3.", "Answer 4."]


@pytest.mark.parametrize("count", [1, 3])
def test_what_guardrails_decided_stands_below_the_answer(
    acme: Character, acme_client: Client, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    conversation = conversation_of(acme)
    with tenant_context(acme.company):
        for number in range(count):
            reply = exchange(conversation, number, content="Yes.")
            GuardrailDecision.objects.create(
                message=reply, stage="output", action="mask", rule="No <names>", kind="words"
            )
    # two search paths, session, person with company, conversation, messages, citations, decisions
    with django_assert_num_queries(8):
        page = acme_client.get(f"/conversations/{conversation.pk}").content.decode()
    assert page.count("No &lt;names&gt;") == count


def test_words_are_found_by_indexes(in_acme: Character) -> None:
    rows = [
        Conversation(agent=in_acme.agent, entity_type="user", user_id=in_acme.admin.pk, title=f"On pumps {number}")
        for number in range(200)
    ]
    Conversation.objects.bulk_create(rows)
    Message.objects.bulk_create(
        Message(conversation=row, position=position, role="user", content="On valves, hoses and their prices. " * 8)
        for row in rows
        for position in range(10)
    )
    with CaptureQueriesContext(connection) as captured:
        list(conversations_with(in_acme.principal, search="refund"))
    [statement] = [query["sql"] for query in captured]
    with connection.cursor() as cursor:
        for table, index in (
            ("conversations_message", "message_words"),
            ("conversations_conversation", "conversation_titles"),
        ):
            cursor.execute("SELECT gin_clean_pending_list(%s::regclass)", [index])  # as autovacuum does
            cursor.execute(f"ANALYZE {table}")
        # A planner that sees so few rows would rather read them all, or all of an agent.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
        cursor.execute(f"EXPLAIN {statement}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert ("message_words" in plan, "conversation_titles" in plan) == (True, True), plan


def test_title_and_tags_are_changed(acme: Character, acme_client: Client) -> None:
    conversation = conversation_of(acme)
    acme_client.post(f"/conversations/{conversation.pk}", {"title": "Refunds", "tags": "vip, , new"})
    with tenant_context(acme.company):
        row = Conversation.objects.get(pk=conversation.pk)
    assert (row.title, row.tags) == ("Refunds", ["vip", "new"])
    refused = acme_client.post(f"/conversations/{conversation.pk}", {"title": "", "tags": ""})
    assert refused.context["form"].errors["title"] == ["This field is required."]


@pytest.mark.parametrize("count", [1, 3])
def test_list_queries(
    acme: Character, acme_client: Client, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    for number in range(count):
        conversation = conversation_of(acme, title=f"Conversation {number}")
        with tenant_context(acme.company):
            exchange(conversation, content="Yes.")
    # two search paths, session, person with company, count, page, agents
    with django_assert_num_queries(7):
        assert len(titles(acme_client)) == count
