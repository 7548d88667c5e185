"""Home, an agent's pages, the test chat, cited passages, and the demo."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.test.html import parse_html
from django.utils import timezone
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries, Settings

from agents.models import Agent
from conftest import Character, page_client
from conversations.dashboard import agent_figures
from conversations.demo import create_demo, demo_agent
from conversations.enums import EntityType, MessageRole, MessageStatus
from conversations.models import Citation, Conversation, Message
from documents.indexes import hold_or_make_index
from documents.models import Document, DocumentChunk
from knowrithm.principal import Principal, PrincipalKind, Role
from leads.api.authentication import lead_from_token
from leads.models import Lead
from tenants.models import Company, User

QUOTE = "sale items within 30 days"
CONTENT = f"Customers may return {QUOTE} of delivery."


def conversation_of(who: Character, *, title: str = "Returns", **fields: Any) -> Conversation:
    with tenant_context(who.company):
        owner = fields or {"entity_type": EntityType.USER, "user_id": who.admin.pk}
        conversation: Conversation = Conversation.objects.create(agent=who.agent, title=title, **owner)
        return conversation


def lead_of(who: Character) -> Lead:
    with tenant_context(who.company):
        lead: Lead = Lead.objects.create(agent=who.agent, first_name="Vi", last_name="Sitor", email="vi@example.com")
        return lead


def exchange(conversation: Conversation, number: int = 0, **reply: Any) -> Message:
    """A question and its reply. Call inside the company."""
    position = 2 * number + 1
    question = Message.objects.create(
        conversation=conversation, position=position, role=MessageRole.USER, content=f"Question {number}?"
    )
    answer: Message = Message.objects.create(
        conversation=conversation, position=position + 1, role=MessageRole.ASSISTANT, reply_to=question, **reply
    )
    return answer


def cite(reply: Message, *, quote: str = QUOTE, with_chunk: bool = True) -> Citation:
    """A citation of a chunk of the conversation's agent. Call inside the company."""
    document = Document.objects.create(agent=reply.conversation.agent, original_filename="returns.md")
    locator = {"type": "lines", "start": 4, "end": 4}
    index = hold_or_make_index(document.home)
    chunk = DocumentChunk.objects.create(
        document=document, search_index=index, index=0, content=CONTENT, locator=locator
    )
    citation: Citation = Citation.objects.create(
        message=reply, number=1, document=document, chunk=chunk if with_chunk else None, document_name="Returns",
        content=CONTENT, headings=["Policy"], quote=quote, locator=locator, score=1, evidence=1, is_cited=True,
    )  # fmt: skip
    return citation


def cited_answer(who: Character, **options: Any) -> Citation:
    conversation = conversation_of(who)
    with tenant_context(who.company):
        return cite(exchange(conversation, content=f"Yes: {QUOTE} [Source 1]."), **options)


# --- Home ---------------------------------------------------------------------------------------------------------


def test_home_leads_through_the_first_steps(acme: Character, acme_client: Client) -> None:
    context = acme_client.get("/home").context
    assert [(step.title, step.done) for step in context["steps"]] == [
        ("Create an agent", True),
        ("Give it documents", False),
        ("Ask it something", False),
        ("Put it on your site", False),
    ]
    assert context["steps"][2].url == f"/agents/{acme.agent.pk}/chat"
    assert "1 of 4 done" in acme_client.get("/home").content.decode()


@pytest.mark.parametrize("path", ["/home", "/agents", "/documents", "/websites"])
@pytest.mark.parametrize(("role", "is_offered"), [(Role.ADMIN, True), (Role.USER, False)])
def test_a_new_agent_is_offered_to_those_who_may_make_one(
    acme: Character, acme_client: Client, path: str, role: Role, is_offered: bool
) -> None:
    with tenant_context(acme.company):
        Agent.objects.update(archived_at=timezone.now())
    User.objects.filter(pk=acme.admin.pk).update(role=role)
    assert ('href="/agents/new"' in acme_client.get(path).content.decode()) is is_offered


def test_home_shows_the_numbers_and_no_steps_once_all_is_done(
    acme: Character, acme_client: Client, globex_client: Client
) -> None:
    cited_answer(acme)
    lead_of(acme)
    context = acme_client.get("/home").context
    stats = context["stats"]
    assert (stats.agents, stats.documents, stats.conversations, stats.leads) == (1, 1, 1, 1)
    assert context["steps"] == []
    assert [row.title for row in context["recent_conversations"]] == ["Returns"]
    foreign = globex_client.get("/home").context
    assert (foreign["stats"].documents, list(foreign["recent_conversations"])) == (0, [])


@pytest.mark.parametrize("count", [1, 3])
def test_home_queries(
    acme: Character, acme_client: Client, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    for number in range(count):
        conversation_of(acme, title=f"Conversation {number}")
        with tenant_context(acme.company):
            Document.objects.create(agent=acme.agent, original_filename=f"{number}.md")
    # two search paths, session, person with company, four counts, newest agent, documents, conversations
    with django_assert_num_queries(11):
        assert len(acme_client.get("/home").context["recent_conversations"]) == count


# --- One agent ----------------------------------------------------------------------------------------------------


def test_overview_counts_what_the_agent_has_and_could_not_answer(acme: Character, acme_client: Client) -> None:
    cited_answer(acme)
    conversation = conversation_of(acme)
    with tenant_context(acme.company):
        exchange(conversation, is_refusal=True)
        exchange(conversation, number=1, is_refusal=True, is_blocked=True)  # by a guardrail: no gap in the documents
        figures = agent_figures(acme.agent)
    stats = acme_client.get(f"/agents/{acme.agent.pk}").context["stats"]
    assert (stats.documents, stats.chunks, stats.conversations, stats.unanswered) == (1, 1, 2, 1)
    assert figures["unanswered"] == 1


def test_documents_tab_lists_this_agent_s_documents(acme: Character, acme_client: Client) -> None:
    cited_answer(acme)
    page = acme_client.get(f"/agents/{acme.agent.pk}?tab=documents").context["page_obj"]
    assert [document.original_filename for document in page] == ["returns.md"]


def test_an_archived_agent_can_be_seen_and_restored_but_not_asked(acme: Character, acme_client: Client) -> None:
    url = f"/agents/{acme.agent.pk}"
    acme_client.post(f"{url}/archive")
    body = acme_client.get(url).content.decode()
    assert (f'action="{url}/restore"' in body, f'href="{url}/chat"' in body) == (True, False)
    assert acme_client.get(f"{url}/chat").status_code == 404


def test_an_agent_with_conversations_is_archived_after_they_are(acme: Character, acme_client: Client) -> None:
    conversation = conversation_of(acme)
    refused = acme_client.post(f"/agents/{acme.agent.pk}/archive")
    assert [str(message) for message in get_messages(refused.wsgi_request)] == [
        "This agent has an active conversation. Close or archive it first."
    ]
    archived = acme_client.post(f"/conversations/{conversation.pk}/archive")
    *_, message = get_messages(archived.wsgi_request)
    assert (str(message), message.extra_tags) == (
        "“Returns” was archived.",
        f"/conversations/{conversation.pk}/restore",
    )
    acme_client.post(f"/agents/{acme.agent.pk}/archive")
    assert list(acme_client.get("/agents").context["page_obj"]) == []


def test_archiving_a_conversation_can_be_undone(acme: Character, acme_client: Client) -> None:
    conversation = conversation_of(acme)
    url = f"/agents/{acme.agent.pk}?tab=conversations"
    acme_client.post(f"/conversations/{conversation.pk}/archive")
    assert list(acme_client.get(url).context["page_obj"]) == []
    assert acme_client.post(f"/conversations/{conversation.pk}/restore", {"next": url}).url == url  # type: ignore[attr-defined]
    assert list(acme_client.get(url).context["page_obj"]) == [conversation]


@pytest.mark.parametrize("action", ["archive", "restore"])
def test_another_company_s_conversation_cannot_be_changed(acme: Character, globex_client: Client, action: str) -> None:
    conversation = conversation_of(acme)
    assert globex_client.post(f"/conversations/{conversation.pk}/{action}").status_code == 404
    with tenant_context(acme.company):
        assert not Conversation.objects.get(pk=conversation.pk).is_archived


@pytest.mark.parametrize("count", [1, 3])
def test_conversations_tab_queries(
    acme: Character, acme_client: Client, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    lead = lead_of(acme)
    for number in range(count):
        conversation_of(acme, title=f"{number}", entity_type=EntityType.LEAD, lead=lead)
    # two search paths, session, person with company, agent, count, conversations
    with django_assert_num_queries(7):
        response = acme_client.get(f"/agents/{acme.agent.pk}?tab=conversations")
    assert response.content.decode().count("Vi Sitor") == count


# --- The test chat ------------------------------------------------------------------------------------------------


def test_chat_shows_the_messages_of_the_conversation(acme: Character, acme_client: Client) -> None:
    citation = cited_answer(acme)
    with tenant_context(acme.company):
        conversation = Conversation.objects.get()
        exchange(conversation, 1, is_refusal=True, content="I do not know.")
        exchange(conversation, 2, status=MessageStatus.FAILED, error="The model is down.")
        exchange(conversation, 3, status=MessageStatus.PENDING)
    response = acme_client.get(f"/agents/{acme.agent.pk}/chat?conversation={conversation.pk}")
    body = response.content.decode()
    states = [state for state in ("answered", "refused", "failed", "waiting") if f'data-state="{state}"' in body]
    assert states == ["answered", "refused", "failed", "waiting"]
    assert f'data-passage="/conversations/passage/{citation.pk}"' in body
    assert "The model is down." in body


def test_a_long_conversation_shows_its_end(acme: Character, acme_client: Client) -> None:
    conversation = conversation_of(acme)
    with tenant_context(acme.company):
        for number in range(51):
            exchange(conversation, number, content=f"Answer {number}")
    shown = acme_client.get(f"/agents/{acme.agent.pk}/chat?conversation={conversation.pk}").context["chat_messages"]
    assert (len(shown), shown[0]["content"], shown[-1]["content"]) == (100, "Question 1?", "Answer 50")


def test_a_visitor_s_conversation_is_only_to_be_read(acme: Character, acme_client: Client) -> None:
    chat = f"/agents/{acme.agent.pk}/chat"
    assert "data-chat-form" in acme_client.get(chat).content.decode()
    conversation = conversation_of(acme, entity_type=EntityType.LEAD, lead=lead_of(acme))
    body = acme_client.get(f"{chat}?conversation={conversation.pk}").content.decode()
    assert ("data-chat-form" in body, "only the visitor can ask" in body) == (False, True)


def test_a_conversation_that_is_not_this_agent_s_is_not_found(
    acme: Character, globex: Character, globex_client: Client
) -> None:
    conversation = conversation_of(acme)
    for wanted in (conversation.pk, "nonsense", uuid.uuid4()):
        assert globex_client.get(f"/agents/{globex.agent.pk}/chat?conversation={wanted}").status_code == 404


@pytest.mark.parametrize("count", [1, 3])
def test_chat_queries(
    acme: Character, acme_client: Client, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    conversation = conversation_of(acme)
    with tenant_context(acme.company):
        for number in range(count):
            cite(exchange(conversation, number, content="Yes [Source 1]."))
    # two search paths, session, person with company, agent, conversation, messages, citations
    with django_assert_num_queries(9):
        acme_client.get(f"/agents/{acme.agent.pk}/chat?conversation={conversation.pk}")


# --- Passages -----------------------------------------------------------------------------------------------------


def test_passage_marks_the_quoted_words_and_leads_to_the_document(acme: Character, acme_client: Client) -> None:
    citation = cited_answer(acme)
    body = acme_client.get(f"/conversations/passage/{citation.pk}").content.decode()
    marked = f"Customers may return <mark>{QUOTE}</mark> of delivery."
    assert parse_html(body).count(parse_html(f'<blockquote class="passage">{marked}</blockquote>')) == 1
    address = f"/documents/{citation.document_id}?page=1#chunk-{citation.chunk_id}"
    assert [text in body for text in ("Line 4", "Policy", f'href="{address}"')] == [True] * 3


def test_passage_without_a_quote_marks_nothing(acme: Character, acme_client: Client) -> None:
    citation = cited_answer(acme, quote="")
    body = acme_client.get(f"/conversations/passage/{citation.pk}").content.decode()
    assert (CONTENT in body, "<mark>" in body) == (True, False)


def test_passage_of_a_document_that_was_read_anew_leads_to_the_document(acme: Character, acme_client: Client) -> None:
    citation = cited_answer(acme, with_chunk=False)
    body = acme_client.get(f"/conversations/passage/{citation.pk}").content.decode()
    assert f'href="/documents/{citation.document_id}"' in body


def test_passage_is_only_for_its_company(acme: Character, globex_client: Client) -> None:
    citation = cited_answer(acme)
    assert globex_client.get(f"/conversations/passage/{citation.pk}").status_code == 404
    assert Client().get(f"/conversations/passage/{citation.pk}").status_code == 404


@pytest.mark.parametrize("step", ["requires_two_factor", "requires_sso"])
def test_passage_is_not_for_who_has_not_done_what_the_company_asks(acme: Character, step: str) -> None:
    citation = cited_answer(acme)
    User.objects.filter(pk=acme.admin.pk).update(role="user")
    browser = page_client(acme)
    assert browser.get(f"/conversations/passage/{citation.pk}").status_code == 200
    Company.objects.filter(pk=acme.company.pk).update(**{step: True})
    assert browser.get(f"/conversations/passage/{citation.pk}").status_code == 404


# --- The demo -----------------------------------------------------------------------------------------------------


@pytest.fixture
def demo(db: None) -> None:
    create_demo()


def visitor_of(client: Client) -> Principal:
    visitor = lead_from_token(client.get("/demo").context["visitor_token"], {})
    assert visitor is not None
    return visitor


def demo_citation(visitor: Principal) -> Citation:
    found = demo_agent()
    assert found is not None
    company, agent = found
    with tenant_context(company):
        conversation = Conversation.objects.create(agent=agent, entity_type=EntityType.LEAD, lead_id=visitor.id)
        return cite(exchange(conversation, content="Yes [Source 1]."))


def test_without_a_demo_there_is_no_page(db: None) -> None:
    assert Client().get("/demo").status_code == 404


def test_demo_makes_one_nameless_lead_for_each_browser(demo: None) -> None:
    browser = Client()
    first, again, other = visitor_of(browser), visitor_of(browser), visitor_of(Client())
    assert (first.kind, first.id == again.id, first.id == other.id) == (PrincipalKind.LEAD, True, False)
    assert first.label == "Visitor Demo"  # never the address: labels stand in the audit log


def test_demo_is_limited(demo: None, settings: Settings) -> None:
    settings.RATE_LIMIT_ENABLED = True
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"lead": "1/hour"}
    browser = Client(REMOTE_ADDR=f"192.0.2.{uuid.uuid4().int % 250}")
    responses = [browser.get("/demo") for _ in range(2)]
    assert [response.status_code for response in responses] == [200, 429]
    assert int(responses[1].headers["Retry-After"]) > 0


def test_visitor_opens_the_passages_of_their_own_answers_only(demo: None) -> None:
    mine, other = Client(), Client()
    citation = demo_citation(visitor_of(mine))
    visitor_of(other)
    url = f"/conversations/passage/{citation.pk}"
    assert [client.get(url).status_code for client in (mine, other, Client())] == [200, 404, 404]
    assert "Show in the document" not in mine.get(url).content.decode()


def test_signed_in_people_can_try_the_demo_too(demo: None, acme_client: Client, globex_client: Client) -> None:
    citation = demo_citation(visitor_of(acme_client))
    url = f"/conversations/passage/{citation.pk}"
    assert [client.get(url).status_code for client in (acme_client, globex_client)] == [200, 404]
