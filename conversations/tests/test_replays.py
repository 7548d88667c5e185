"""What an answer keeps of its making, what has changed since, and the answer made again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from agents.models import LLMSettings
from agents.services import create_settings, update_agent
from conftest import Character
from conversations import replays, turn
from conversations.engine.prompt import fingerprint
from conversations.enums import ReplayInputs
from conversations.exceptions import NotReplayableError
from conversations.inputs import compare_inputs
from conversations.models import Conversation, Message
from conversations.selectors import get_answer
from conversations.services import create_conversation, start_replay, start_turn
from conversations.tests.test_turn import TEXTS
from documents.chunks import replace_chunks, rewrite_chunk
from documents.ingestion.base import Chunk
from documents.models import Document, DocumentChunk
from documents.services import set_reranker
from knowrithm.jobs import complete_task, create_task, read_task
from knowrithm.llm.base import ProviderConfig
from knowrithm.llm.providers.extractive import NO_ANSWER
from knowrithm.llm.registry import embedder
from knowrithm.tests.providers import OpenAIServer

QUESTION = "How long does the warranty of the X200 pump last?"
REPLY = "It lasts 37 months [Source 1]."


@pytest.fixture(scope="module", autouse=True)
def loaded_sdk() -> None:
    """On a busy machine loading it takes longer than a test's lease, whose row no other connection sees."""
    import_module("openai")


@pytest.fixture
def taught(in_acme: Character, monkeypatch: pytest.MonkeyPatch) -> Character:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    document = Document.objects.create(
        agent=in_acme.agent, original_filename="manual.txt", document_type="txt", status="processed"
    )
    read(document, TEXTS)
    return in_acme


def read(document: Document, texts: tuple[str, ...]) -> None:
    model = embedder(ProviderConfig(provider="builtin", model="all-MiniLM-L6-v2"))
    chunks = [
        Chunk(n, text, {"type": "lines", "start": n + 1, "end": n + 1}, word_count=len(text.split()))
        for n, text in enumerate(texts)
    ]
    replace_chunks(document, chunks, model.embed_documents(texts), model.name)


@pytest.fixture
def conversation(taught: Character) -> Conversation:
    return create_conversation(actor=taught.principal, agent=taught.agent)


@pytest.fixture
def server(taught: Character) -> Iterator[OpenAIServer]:
    with OpenAIServer(reply=REPLY) as running:
        choices = {
            "llm_provider": "openai",
            "llm_model": "gpt-4o-mini",
            "llm_api_key": "sk-secret-0123456789",
            "llm_api_base_url": running.base_url,
            "llm_additional_params": {"seed": 7, "api_token": "hidden"},
        }
        update_agent(actor=taught.principal, agent=taught.agent, changes={}, choices=choices)
        yield running


def ask(who: Character, conversation: Conversation, text: str = QUESTION) -> Message:
    started = start_turn(actor=who.principal, conversation_id=conversation.id, text=text)
    turn.run(started.reply.id)
    return get_answer(who.principal, started.reply.pk)


def changed(reply: Message) -> dict[str, tuple[Any, Any]]:
    return {one.input: (one.before, one.after) for one in compare_inputs(get_answer_again(reply)).changes}


def get_answer_again(reply: Message) -> Message:
    found: Message = Message.objects.select_related("conversation", "reply_to").get(pk=reply.pk)
    return found


def states(reply: Message) -> list[str]:
    return [one.state for one in compare_inputs(get_answer_again(reply)).passages if one.is_cited]


def again(reply: Message, inputs: str) -> dict[str, Any]:
    return replays.answer_again(get_answer_again(reply), inputs)


# --- What is kept -------------------------------------------------------------------------------------------------


def test_an_answer_keeps_what_it_was_made_of(
    taught: Character, conversation: Conversation, server: OpenAIServer
) -> None:
    first = ask(taught, conversation)
    reply = ask(taught, conversation, "And are returns accepted within 30 days if the box is unopened?")

    kept = reply.trace
    assert (kept["trace_id"], kept["attempt"]) == (str(reply.pk), 1)
    assert kept["prompt"]["history"] == [str(first.pk)]
    assert kept["model"] == {
        "settings_id": str(taught.agent.llm_settings_id),
        "provider": "openai",
        "model": "gpt-4o-mini",
        "api_base_url": server.base_url,
        "temperature": 0.7,
        "max_tokens": 1000,
        "additional_params": {"seed": 7},
    }
    assert len(kept["passages"]) == reply.citations.count()
    assert kept["retrieval"]["threshold"] == 0.41
    assert "sk-secret" not in str(kept)


def test_what_is_kept_is_enough_to_rebuild_the_prompt_to_the_character(
    taught: Character, conversation: Conversation, server: OpenAIServer
) -> None:
    ask(taught, conversation)
    reply = ask(taught, conversation, "And are returns accepted within 30 days if the box is unopened?")
    update_agent(actor=taught.principal, agent=taught.agent, changes={"description": "Another one."})

    rebuilt = replays._as_it_was(get_answer_again(reply)).request

    assert rebuilt is not None
    assert fingerprint(rebuilt) == reply.trace["prompt"]["hash"]
    assert [[m.role, m.content] for m in rebuilt.messages] == [
        [m["role"], m["content"]] for m in server.requests[-1].json["messages"]
    ]


def test_keeping_it_costs_no_statement(
    taught: Character, conversation: Conversation, django_assert_num_queries: Any
) -> None:
    started = start_turn(actor=taught.principal, conversation_id=conversation.id, text=QUESTION)
    with django_assert_num_queries(17):  # nothing kept has a statement of its own
        turn.run(started.reply.id)


def test_the_log_of_a_turn_names_its_trace(
    taught: Character, conversation: Conversation, caplog: pytest.LogCaptureFixture
) -> None:
    started = start_turn(actor=taught.principal, conversation_id=conversation.id, text=QUESTION)
    with caplog.at_level("INFO", logger="conversations.turn"):
        turn.run(started.reply.id)
    lines: list[Any] = [record.msg for record in caplog.records if record.name == "conversations.turn"]
    assert [line["trace_id"] for line in lines if line["event"] == "turn_answered"] == [str(started.reply.pk)]


# --- What has changed ---------------------------------------------------------------------------------------------


def test_nothing_has_changed_at_first(taught: Character, conversation: Conversation, server: OpenAIServer) -> None:
    compared = compare_inputs(ask(taught, conversation))
    assert (compared.changes, compared.changed_passages, compared.why_not) == ([], [], "")


def test_changes_of_the_agent_are_told(taught: Character, conversation: Conversation, server: OpenAIServer) -> None:
    reply = ask(taught, conversation)
    version = reply.agent_version
    assert version is not None
    update_agent(
        actor=taught.principal,
        agent=taught.agent,
        changes={"description": "A guide to pumps.", "retrieval_threshold": 0.3},
        choices={"llm_temperature": 0.1},
    )

    found = changed(reply)

    assert found["version"] == (version, version + 1)
    assert found["version.description"] == ("", "A guide to pumps.")
    assert found["retrieval.threshold"] == (0.41, 0.3)
    assert found["settings.temperature"] == (0.7, 0.1)
    assert "A guide to pumps." in found["instructions"][1]
    assert "template" not in found


def test_another_prompt_of_the_platform_is_told(
    taught: Character, conversation: Conversation, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = ask(taught, conversation)
    monkeypatch.setattr("conversations.engine.prompt.END", "\nThe end.")
    assert set(changed(reply)) == {"template"}


def test_an_archived_exchange_is_told(taught: Character, conversation: Conversation, server: OpenAIServer) -> None:
    first = ask(taught, conversation)
    reply = ask(taught, conversation, "And are returns accepted within 30 days if the box is unopened?")
    Message.objects.filter(pk=first.pk).update(archived_at=first.created_at)
    assert changed(reply) == {"history": (1, 0)}


def test_a_model_that_it_falls_back_on_is_compared_with_itself(
    taught: Character, conversation: Conversation, server: OpenAIServer
) -> None:
    with OpenAIServer(reply=REPLY) as other:
        own = {"llm_provider": "openai", "llm_model": "gpt-4o-mini", "llm_api_key": "k"}
        second = create_settings(
            actor=taught.principal, choices={**own, "llm_api_base_url": other.base_url, "name": "Second"}
        )
        update_agent(actor=taught.principal, agent=taught.agent, changes={}, choices={"fallback_models": [second.pk]})
        server.fail(401, "No credit.")
        reply = ask(taught, conversation)

        assert reply.trace["model"]["settings_id"] == str(second.pk)
        assert changed(reply) == {}
        LLMSettings.objects.filter(pk=second.pk).update(llm_temperature=0.1)
        assert set(changed(reply)) == {"settings.temperature"}


def test_what_else_the_model_read_is_compared_too(
    taught: Character, conversation: Conversation, server: OpenAIServer
) -> None:
    conversation.metadata = {"page_title": "Pumps", "page_url": "https://acme.example/pumps"}
    conversation.save()
    reply = ask(taught, conversation)
    assert changed(reply) == {}

    conversation.metadata = {}
    conversation.max_context_length, conversation.handover_summary = 100, "It was sent back."
    conversation.save()
    set_reranker(
        actor=taught.principal, agent=taught.agent,
        choices={"provider": "vllm", "model": "m", "base_url": server.base_url},
    )  # fmt: skip

    found = changed(reply)
    assert set(found) == {"visitor", "max_context_tokens", "told", "reranker"}
    assert found["max_context_tokens"][1] == 100
    assert found["told"] == ([], ["It was sent back."])
    assert (found["reranker"][0], "m" in found["reranker"][1]) == (None, True)


def test_what_became_of_each_passage_is_told(taught: Character, conversation: Conversation) -> None:
    reply = ask(taught, conversation)
    chunk = DocumentChunk.objects.get(content=TEXTS[0])
    document = chunk.document
    assert states(reply) == ["same"]

    rewrite_chunk(chunk, "The warranty lasts 12 months.", [0.1] * 384)
    assert states(reply) == ["edited"]

    DocumentChunk.objects.filter(pk=chunk.pk).update(archived_at=reply.created_at, content=TEXTS[0])
    assert states(reply) == ["switched_off"]

    read(document, TEXTS)  # the same text again, as another row
    DocumentChunk.objects.update(archived_at=None)
    assert states(reply) == ["same"]

    read(document, TEXTS[1:])
    assert states(reply) == ["replaced"]

    Document.objects.filter(pk=document.pk).update(archived_at=reply.created_at)
    assert states(reply) == ["removed"]

    newer = Document.objects.create(agent=taught.agent, original_filename="manual.txt", replaces=document)
    assert states(reply) == ["replaced"]

    newer.delete()
    document.delete()
    assert states(reply) == ["removed"]


@pytest.mark.parametrize("count", [1, 3])
def test_however_many_passages_it_takes_as_many_queries(
    taught: Character, conversation: Conversation, django_assert_num_queries: Any, count: int
) -> None:
    document = Document.objects.get()
    read(document, tuple(f"{TEXTS[0]} {'It is red. ' * n}{n}" for n in range(count)) if count > 1 else TEXTS[:1])
    reply = get_answer_again(ask(taught, conversation))
    assert reply.citations.count() >= min(count, 1)
    with django_assert_num_queries(16):
        compare_inputs(reply)


# --- Answering again ----------------------------------------------------------------------------------------------


def test_an_answer_is_made_again_as_it_was_and_as_it_would_be_today(
    taught: Character, conversation: Conversation, server: OpenAIServer
) -> None:
    reply = ask(taught, conversation)
    update_agent(
        actor=taught.principal, agent=taught.agent, changes={"description": "New."}, choices={"llm_temperature": 0.1}
    )
    before = [*Message.objects.order_by("pk").values()]
    Document.objects.get().delete()
    read(Document.objects.create(agent=taught.agent, original_filename="new.txt"), TEXTS[1:])
    server.reply = "Three years [Source 1]."

    then = again(reply, ReplayInputs.THEN)
    asked = server.requests[-1].json
    now = again(reply, ReplayInputs.NOW)

    assert then["original"]["content"] == now["original"]["content"] == REPLY
    assert (then["replayed"]["content"], then["replayed"]["is_same_prompt"]) == ("Three years [Source 1].", True)
    assert (asked["temperature"], asked["seed"], TEXTS[0] in asked["messages"][0]["content"]) == (0.7, 7, True)
    assert (now["replayed"]["content"], now["replayed"]["is_refusal"]) == (NO_ANSWER, True)
    assert not now["replayed"]["is_same_prompt"]
    assert [*Message.objects.order_by("pk").values()] == before


def test_a_refusal_for_want_of_evidence_is_the_same_again(taught: Character, conversation: Conversation) -> None:
    reply = ask(taught, conversation, "Who won the football world cup in 1998?")
    then = again(reply, ReplayInputs.THEN)
    assert (then["replayed"]["content"], then["replayed"]["is_same_prompt"]) == (NO_ANSWER, True)


def test_a_model_that_is_gone_cannot_answer_as_it_did(
    taught: Character, conversation: Conversation, server: OpenAIServer
) -> None:
    reply = ask(taught, conversation)
    update_agent(actor=taught.principal, agent=taught.agent, changes={}, choices={"llm_provider": "builtin"})
    assert LLMSettings.objects.filter(llm_api_key="").count() == LLMSettings.objects.count()

    assert changed(reply)["model"] == ("openai / gpt-4o-mini", None)
    with pytest.raises(NotReplayableError, match="cannot be asked any more"):
        start_replay(actor=taught.principal, message_id=reply.pk, inputs=ReplayInputs.THEN)
    assert again(reply, ReplayInputs.NOW)["replayed"]["model_used"] == "extractive"


def test_a_provider_that_fails_fails_the_replays_task(
    taught: Character, conversation: Conversation, server: OpenAIServer
) -> None:
    reply = ask(taught, conversation)
    server.fail(401)
    task_id = create_task()
    replays.run(reply.pk, ReplayInputs.THEN, task_id)
    record = read_task(task_id)
    assert record is not None
    assert (record.status, record.error_code) == ("failed", "LLM_AUTHENTICATION")


# --- Over the API and in the browser ------------------------------------------------------------------------------


def test_the_api_tells_and_replays(
    acme_api: APIClient,
    taught: Character,
    conversation: Conversation,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    reply = ask(taught, conversation)

    told = acme_api.get(f"/api/v1/message/{reply.reply_to_id}/replay")  # the question's id does as well
    assert told["X-Agent-Trace-Id"] == str(reply.pk)
    record = told.json()["replay"]
    assert (record["message_id"], record["has_changed"], record["can_replay_then"]) == (str(reply.pk), False, True)
    assert record["trace"]["model"]["model"] == "extractive"

    with django_capture_on_commit_callbacks():  # the worker's part is done below
        accepted = acme_api.post(f"/api/v1/message/{reply.pk}/replay", {}, format="json")
    assert (accepted.status_code, accepted["X-Agent-Trace-Id"]) == (202, str(reply.pk))
    task_id = accepted.json()["task_id"]
    with tenant_context(taught.company):
        replays.run(reply.pk, ReplayInputs.THEN, task_id)
    result = acme_api.get(f"/api/v1/tasks/{task_id}/status").json()["result"]
    assert result["original"]["content"] == result["replayed"]["content"] == reply.content
    assert [one["source_number"] for one in result["replayed"]["sources"] if one["cited"]] == [1]

    assert acme_api.post(f"/api/v1/message/{reply.pk}/replay", {"inputs": "x"}, format="json").status_code == 400


@pytest.mark.parametrize("role", ["assistant", "system"])
def test_what_no_agent_has_said_is_no_answer(
    taught: Character, conversation: Conversation, acme_api: APIClient, acme_client: Client, role: str
) -> None:
    author = taught.admin.pk if role == "assistant" else None
    said = Message.objects.create(conversation=conversation, position=1, role=role, content="Hello", author_id=author)
    told = [acme_api.get(f"/api/v1/message/{said.pk}/replay"), acme_api.post(f"/api/v1/message/{said.pk}/replay")]
    assert [(one.status_code, one.json()["error"]) for one in told] == [
        (404, "This message is no answer of an agent: a person or the platform has written it.")
    ] * 2
    assert acme_api.post(f"/api/v1/message/{said.pk}/regenerate").status_code == 409
    assert acme_client.get(f"/conversations/messages/{said.pk}").status_code == 404


def test_the_page_shows_how_an_answer_was_made(
    acme_client: Client, taught: Character, conversation: Conversation, unknown_id: uuid.UUID
) -> None:
    reply = ask(taught, conversation)
    task_id = create_task()
    replays.run(reply.pk, ReplayInputs.NOW, task_id)

    page = acme_client.get(f"/conversations/messages/{reply.pk}?task={task_id}").content.decode()

    for shown in ("Retrieval", "extractive", str(reply.pk), "manual.txt", "Nothing that is known of", "With today"):
        assert shown in page
    assert page.count(TEXTS[0]) == 3  # the passage, and both answers
    assert acme_client.get(f"/conversations/messages/{unknown_id}").status_code == 404
    with tenant_context(taught.company):
        complete_task(other := create_task(), {"response": "Hi!"})  # no replay's
    assert acme_client.get(f"/conversations/messages/{reply.pk}?task={other}").context["result"] is None


def test_the_page_says_whether_a_model_is_paid(
    acme_client: Client, taught: Character, conversation: Conversation
) -> None:
    def said(reply: Message) -> str:
        page = acme_client.get(f"/conversations/messages/{reply.pk}").content.decode()
        return page.split("Today's guardrails hold. ")[1].split("</p>")[0]

    def choose(**choices: str) -> None:
        with tenant_context(taught.company):
            update_agent(actor=taught.principal, agent=taught.agent, changes={}, choices=choices)

    built_in = ask(taught, conversation)
    assert said(built_in) == "No model is paid for the answer."
    with OpenAIServer(reply=REPLY) as running:
        choose(
            llm_provider="openai", llm_model="gpt-4o-mini", llm_api_key="sk-secret", llm_api_base_url=running.base_url
        )
        with tenant_context(taught.company):
            bought = ask(taught, conversation)
    assert [said(built_in), said(bought)] == ["A model is paid for the answer."] * 2  # today's costs something
    choose(llm_provider="builtin", llm_model="extractive")
    assert said(built_in) == "No model is paid for the answer."


def test_chat_and_its_message_endpoints_name_the_trace(
    acme_api: APIClient, taught: Character, conversation: Conversation
) -> None:
    asked = acme_api.post(f"/api/v1/conversation/{conversation.pk}/chat", {"message": QUESTION}, format="json")
    assert asked["X-Agent-Trace-Id"] == asked.json()["assistant_message_id"]
    direct = acme_api.post(
        "/api/v1/chat",
        {"bot_id": str(taught.agent.pk), "messages": [{"role": "user", "content": QUESTION}]},
        format="json",
    )
    assert direct["X-Agent-Trace-Id"] == direct.json()["assistant_message_id"]
    with tenant_context(taught.company):
        turn.run(uuid.UUID(asked["X-Agent-Trace-Id"]))
    rated = acme_api.post(
        f"/api/v1/message/{asked['X-Agent-Trace-Id']}/feedback", {"rating": 1, "comment": ""}, format="json"
    )
    assert rated["X-Agent-Trace-Id"] == asked["X-Agent-Trace-Id"]
    anew = acme_api.post(f"/api/v1/message/{asked['X-Agent-Trace-Id']}/regenerate")
    assert anew["X-Agent-Trace-Id"] == anew.json()["assistant_message_id"] != asked["X-Agent-Trace-Id"]
