"""Which version answered, drafts that only the company's people ask, hours, figures and tests of an agent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from agents.drafts import publish_draft, save_draft
from agents.models import Agent, AgentVersion
from agents.selectors import get_agent
from agents.services import clone_agent, update_agent
from conftest import Character
from conversations import tasks, trial, turn
from conversations.brief import brief_of, closed_answer
from conversations.engine.prompt import AgentBrief
from conversations.enums import EntityType
from conversations.models import Citation, Conversation, Guardrail, Message
from conversations.records import message_record
from conversations.services import create_conversation, start_test, start_turn
from conversations.tests.test_turn import TEXTS, taught
from documents.models import Document, DocumentChunk, LexicalTerm
from documents.retrieval import retrieve
from documents.services import create_dataset
from documents.tasks import copy_knowledge
from knowrithm.errors import InvalidInputError
from knowrithm.jobs import read_task
from leads.services import register_lead

__all__ = ["taught"]  # a fixture

QUESTION = "How long does the warranty of the X200 pump last?"
CLOSED = {"timezone": "UTC", "monday": [["09:00", "17:00"]], "outside": "closed", "closed_text": "Back on Monday."}
MONDAY_NOON = datetime.fromisoformat("2026-01-05T12:00+00:00")
SUNDAY = datetime.fromisoformat("2026-01-04T12:00+00:00")


def current(who: Character) -> Agent:
    return get_agent(who.agent.pk)


def ask(who: Character, *, is_draft: bool = False) -> Message:
    conversation = create_conversation(actor=who.principal, agent=current(who))
    started = start_turn(actor=who.principal, conversation_id=conversation.id, text=QUESTION, is_draft=is_draft)
    turn.run(started.reply.id)
    return Message.objects.get(pk=started.reply.pk)


def test_a_message_records_the_version_that_answered(taught: Character) -> None:
    first = ask(taught)
    update_agent(actor=taught.principal, agent=current(taught), changes={"welcome_text": "Hi!"})
    second = ask(taught)
    assert (first.agent_version, second.agent_version) == (1, 2)
    assert (message_record(second)["agent_version"], message_record(second)["is_draft"]) == (2, False)


def test_the_draft_answers_only_whoever_asks_it(taught: Character) -> None:
    save_draft(actor=taught.principal, agent=current(taught), changes={"retrieval_threshold": 1.0})
    assert ask(taught).content == f"{TEXTS[0]} [Source 1]"
    drafted = ask(taught, is_draft=True)
    assert (drafted.is_refusal, drafted.is_draft, drafted.agent_version) == (True, True, None)
    publish_draft(actor=taught.principal, agent=current(taught))
    published = ask(taught, is_draft=True)  # there is no draft any more
    assert (published.is_refusal, published.is_draft, published.agent_version) == (True, False, 2)


def test_a_visitor_cannot_ask_the_draft(taught: Character) -> None:
    registered = register_lead(
        agent=taught.agent, company_id=taught.company.id, email="eve@example.org", first_name="Eve", last_name="E"
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {registered.tokens.access}")
    conversation = client.post("/api/v1/conversation", {"agent_id": str(taught.agent.pk)}).json()["id"]
    answer = client.post(f"/api/v1/conversation/{conversation}/chat", {"message": "Hello", "draft": True})
    assert answer.status_code == 403
    assert client.post(f"/api/v1/conversation/{conversation}/chat", {"message": "Hello"}).status_code == 202


def test_the_test_chat_says_what_it_asks(acme: Character, acme_client: Client) -> None:
    url = f"/agents/{acme.agent.pk}/chat"
    assert acme_client.get(f"{url}?draft=1").context["is_draft"] is False
    with tenant_context(acme.company):
        save_draft(actor=acme.principal, agent=acme.agent, changes={"welcome_text": "Soon"})
    page = acme_client.get(f"{url}?draft=1")
    assert (page.context["is_draft"], page.context["agent"].welcome_text) == (True, "Soon")
    assert "You are asking the draft." in page.content.decode()
    assert acme_client.get(url).context["agent"].welcome_text == ""


@pytest.mark.parametrize(("length", "sentences"), [("short", 1), ("balanced", 2)])
def test_the_built_in_model_keeps_to_the_length(taught: Character, length: str, sentences: int) -> None:
    changes = {"answer_length": length}
    update_agent(actor=taught.principal, agent=current(taught), changes=changes)
    conversation = create_conversation(actor=taught.principal, agent=current(taught))
    text = "How long is the warranty, and within how many days are returns accepted?"
    started = start_turn(actor=taught.principal, conversation_id=conversation.id, text=text)
    turn.run(started.reply.id)
    assert Message.objects.get(pk=started.reply.pk).content.count("[Source") <= sentences


def test_the_brief_holds_the_persona_and_whether_somebody_is_there(in_acme: Character) -> None:
    agent = current(in_acme)
    assert brief_of(agent) == AgentBrief("Acme helper")
    changes = {"languages": ["English", "German"], "answer_length": "short", "operating_hours": CLOSED}
    agent = update_agent(actor=in_acme.principal, agent=agent, changes=changes)
    brief = brief_of(agent, now=SUNDAY)
    assert (brief.languages, brief.length) == (("English", "German"), "short")
    assert brief.reachable == (
        "The company's people cannot be reached now; their hours are: Monday 09:00 to 17:00 (UTC)."
    )
    assert brief_of(agent, now=MONDAY_NOON).reachable.startswith("The company's people can be reached now")


def test_only_visitors_find_an_agent_closed_and_only_outside_its_hours(in_acme: Character) -> None:
    agent = update_agent(actor=in_acme.principal, agent=current(in_acme), changes={"operating_hours": CLOSED})
    visitor, team = Conversation(entity_type=EntityType.LEAD), Conversation(entity_type=EntityType.USER)
    assert closed_answer(agent, visitor, now=SUNDAY) == ("Back on Monday.", [])
    assert closed_answer(agent, visitor, now=MONDAY_NOON) is None
    assert closed_answer(agent, team, now=SUNDAY) is None
    agent.operating_hours = {**CLOSED, "outside": "answer"}
    assert closed_answer(agent, visitor, now=SUNDAY) is None


def test_a_closed_agent_asks_no_model(taught: Character) -> None:
    never = {"timezone": "UTC", "monday": [["00:00", "00:01"]], "outside": "closed", "closed_text": "Closed."}
    agent = update_agent(actor=taught.principal, agent=current(taught), changes={"operating_hours": never})
    conversation = create_conversation(actor=taught.principal, agent=agent)
    Conversation.objects.update(entity_type=EntityType.LEAD)
    started = start_turn(actor=taught.principal, conversation_id=conversation.id, text=QUESTION)
    turn.run(started.reply.id)
    reply = Message.objects.get(pk=started.reply.pk)
    assert (reply.content, reply.model_used, reply.is_refusal, reply.status) == ("Closed.", "none", False, "completed")


# --- Figures and tests --------------------------------------------------------------------------------------------


def test_stats_count_the_rows_that_are_there(taught: Character, acme_api: APIClient) -> None:
    ask(taught)
    archived = ask(taught)
    Conversation.objects.filter(pk=archived.conversation_id).update(archived_at=archived.created_at)
    stats = acme_api.get(f"/api/v1/agent/{taught.agent.pk}/stats").json()
    counted = {name: stats[name] for name in ("total_conversations", "total_messages", "unanswered", "failed")}
    assert counted == {"total_conversations": 1, "total_messages": 2, "unanswered": 0, "failed": 0}
    assert (stats["documents_count"], stats["version"], stats["llm_provider"]) == (1, 1, "builtin")
    assert stats["average_response_time"] > 0


def test_the_totals_of_an_agent_leave_tests_out(
    taught: Character, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        ask(taught)
        run_test(taught)
    assert (current(taught).total_conversations, current(taught).total_messages) == (1, 2)


def run_test(who: Character, **options: Any) -> dict[str, Any]:
    task_id = start_test(actor=who.principal, agent=current(who), **options)
    reply = Message.objects.get(role="assistant", conversation__archived_at__isnull=False)
    trial.run(reply.pk, task_id)
    trial.run(reply.pk, task_id)  # delivered twice
    record = read_task(task_id)
    assert record is not None
    assert record.result is not None
    return dict(record.result)


def test_testing_an_agent_answers_as_a_turn_does_and_leaves_nothing_behind(taught: Character) -> None:
    result = run_test(taught, query=QUESTION)
    assert (result["response"], result["query"], result["status"]) == (f"{TEXTS[0]} [Source 1]", QUESTION, "success")
    assert result["agent"] == {"id": str(taught.agent.pk), "name": "Acme helper", "version": 1, "is_draft": False}
    assert result["llm_config"] == {"provider": "builtin", "model": "extractive"}
    first = result["citations"][0]
    assert (first["source_number"], first["document_name"], first["cited"]) == (1, "manual.txt", True)
    assert result["metadata"]["cited_sources"] == [1]
    assert [model.objects.count() for model in (Conversation, Message, Citation)] == [0, 0, 0]


def test_a_test_without_a_question_asks_the_first_starter_question(taught: Character) -> None:
    assert run_test(taught)["query"] == "What can you help me with?"
    update_agent(actor=taught.principal, agent=current(taught), changes={"starter_questions": [QUESTION]})
    assert run_test(taught)["query"] == QUESTION


def test_the_draft_can_be_tested(taught: Character) -> None:
    save_draft(actor=taught.principal, agent=current(taught), changes={"name": "Drafted"})
    assert run_test(taught, query=QUESTION, is_draft=True)["agent"] == {
        "id": str(taught.agent.pk), "name": "Drafted", "version": None, "is_draft": True,
    }  # fmt: skip


def test_guardrails_hold_in_a_test_as_for_a_visitor(taught: Character) -> None:
    rules = [
        {"name": "No", "kind": "words", "action": "refuse", "on": "input", "values": ["lawsuit"]},
        {"name": "Data", "kind": "personal", "action": "mask", "on": "input", "values": ["email"]},
    ]
    Guardrail.objects.create(name="Shop", applies_to_all=True, rules=rules, refusal_text="Not here.")
    refused = run_test(taught, query="What about my lawsuit?")
    assert (refused["response"], refused["model_used"], refused["is_refusal"]) == ("Not here.", "none", True)
    assert run_test(taught, query=f"I am ada@example.org. {QUESTION}")["query"] == (
        f"I am [e-mail address removed]. {QUESTION}"
    )


def test_the_endpoint_of_the_test(
    acme: Character, acme_api: APIClient, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks():
        accepted = acme_api.post(f"/api/v1/agent/{acme.agent.pk}/test")
    body = accepted.json()
    assert (accepted.status_code, body["status"]) == (202, "accepted")
    with tenant_context(acme.company):
        tasks.test_agent.run(acme.company.schema_name, str(Message.objects.get(role="assistant").pk), body["task_id"])
    done = acme_api.get(body["status_url"]).json()
    assert (done["status"], done["result"]["status"], bool(done["result"]["response"])) == (
        "completed",
        "success",
        True,
    )
    assert acme_api.post(f"/api/v1/agent/{acme.agent.pk}/test", {"query": "x" * 16_001}).status_code == 400


# --- Clones -------------------------------------------------------------------------------------------------------


def test_a_clone_with_knowledge_answers_from_copies_that_were_not_embedded_again(taught: Character) -> None:
    dataset = create_dataset(actor=taught.principal, name="Shared", agent_ids=[taught.agent.pk])
    counts = dict(LexicalTerm.objects.values_list("term", "chunk_count"))
    clone = clone_agent(actor=taught.principal, agent=current(taught), name="Twin", with_knowledge=True)

    assert retrieve(get_agent(clone.pk), QUESTION)[0].content == TEXTS[0]
    (copy,) = Document.objects.filter(agent=clone)
    original = Document.objects.get(agent=taught.agent)
    rows = [
        list(
            DocumentChunk.objects.filter(document=document).values_list(
                "index", "content", "locator", "embedding_model"
            )
        )
        for document in (original, copy)
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == len(TEXTS)
    assert dict(LexicalTerm.objects.values_list("term", "chunk_count")) == {
        term: 2 * count for term, count in counts.items()
    }
    assert Agent.objects.get(pk=clone.pk).documents_count == 1
    assert [grant.dataset_id for grant in clone.grants.all()] == [dataset.pk]
    assert AgentVersion.objects.get(agent=clone).configuration["datasets"] == [str(dataset.pk)]
    copy_knowledge.run(taught.company.schema_name, str(taught.agent.pk), str(clone.pk))  # delivered again
    assert Document.objects.filter(agent=clone).count() == 1


def test_a_clone_without_knowledge_has_none(taught: Character) -> None:
    clone = clone_agent(actor=taught.principal, agent=current(taught))
    assert (Document.objects.filter(agent=clone).count(), clone.version, clone.has_draft) == (0, 1, False)


def test_many_chunks_are_copied_by_a_worker(taught: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("documents.services.cloning.AT_ONCE", 1)
    clone = clone_agent(actor=taught.principal, agent=current(taught), with_knowledge=True)
    assert Document.objects.filter(agent=clone).count() == 0
    copy_knowledge.run(taught.company.schema_name, str(taught.agent.pk), str(clone.pk))
    assert Document.objects.filter(agent=clone).count() == 1


def test_a_clone_with_another_embedder_cannot_take_the_vectors(taught: Character) -> None:
    from agents.services import create_settings

    choices = {"embedding_provider": "openai", "embedding_model": "text-embedding-3-small", "embedding_api_key": "sk"}
    other = create_settings(actor=taught.principal, choices=choices)
    with pytest.raises(InvalidInputError):
        clone_agent(actor=taught.principal, agent=current(taught), settings_id=other.pk, with_knowledge=True)


def test_stats_need_the_same_queries_for_any_number(
    taught: Character, acme_api: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ask(taught)
    with django_assert_num_queries(6):
        acme_api.get(f"/api/v1/agent/{taught.agent.pk}/stats")
