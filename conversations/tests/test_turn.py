"""The turn in one process: the worker's function called as the worker calls it, with real providers' protocols."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from agents.models import Agent
from agents.services import update_agent
from conftest import Character
from conversations import streams, turn
from conversations.models import Citation, Conversation, Message
from conversations.services import create_conversation, start_turn
from documents.chunks import replace_chunks
from documents.ingestion.base import Chunk
from documents.models import Document
from knowrithm.celery import app as celery
from knowrithm.db.redis import sync_redis
from knowrithm.jobs import TaskRecord, read_task
from knowrithm.llm.base import ProviderConfig
from knowrithm.llm.providers.extractive import NO_ANSWER
from knowrithm.llm.registry import embedder
from knowrithm.room import FEW, ROOM
from knowrithm.tests.providers import OpenAIServer

TEXTS = (
    "The warranty of the X200 pump lasts 37 months from the date of purchase.",
    "Returns are accepted within 30 days if the box is unopened.",
)


@pytest.fixture
def taught(in_acme: Character) -> Character:
    document = Document.objects.create(
        agent=in_acme.agent, original_filename="manual.txt", document_type="txt", status="processed"
    )
    model = embedder(ProviderConfig(provider="builtin", model="all-MiniLM-L6-v2"))
    chunks = [
        Chunk(n, text, {"type": "lines", "start": n + 1, "end": n + 1}, word_count=len(text.split()))
        for n, text in enumerate(TEXTS)
    ]
    replace_chunks(document, chunks, model.embed_documents(TEXTS), model.name)
    return in_acme


@pytest.fixture
def conversation(taught: Character) -> Conversation:
    return create_conversation(actor=taught.principal, agent=taught.agent)


@pytest.fixture
def server(taught: Character, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """A local server that speaks OpenAI's protocol, and the agent set to use it."""
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    with OpenAIServer(reply="It lasts 37 months [Source 1].") as running:
        choices = {
            "llm_provider": "openai",
            "llm_model": "gpt-4o-mini",
            "llm_api_key": "sk-test",
            "llm_api_base_url": running.base_url,
        }
        update_agent(actor=taught.principal, agent=taught.agent, changes={}, choices=choices)
        yield running


def ask(who: Character, conversation: Conversation, text: str) -> Message:
    started = start_turn(actor=who.principal, conversation_id=conversation.id, text=text)
    turn.run(started.reply.id)
    return Message.objects.get(pk=started.reply.pk)


def events(who: Character, conversation: Conversation) -> list[streams.Event]:
    key = streams.stream_key(who.company.schema_name, conversation.id)
    entries: Any = sync_redis().xrange(key)
    return streams.parse(entries)


def task_of(reply: Message) -> TaskRecord:
    record = read_task(str(reply.task_id))
    assert record is not None
    return record


def test_an_answer_quotes_and_cites_its_passage(taught: Character, conversation: Conversation) -> None:
    reply = ask(taught, conversation, "How long does the warranty of the X200 pump last?")

    assert reply.content == f"{TEXTS[0]} [Source 1]"
    citation = Citation.objects.get(message=reply, is_cited=True)
    assert (citation.number, citation.quote, citation.locator_label) == (1, TEXTS[0], "Line 1")
    assert citation.document_name == "manual.txt"
    document = task_of(reply).as_document()
    assert (document["status"], document["state"], document["role"]) == ("completed", "SUCCESS", "assistant")
    assert document["result"]["response"] == document["content"] == reply.content


def test_without_evidence_it_says_so_and_asks_no_model(
    taught: Character, conversation: Conversation, server: OpenAIServer
) -> None:
    reply = ask(taught, conversation, "Who won the football world cup in 1998?")

    assert (reply.content, reply.is_refusal, server.requests) == (NO_ANSWER, True, [])


def test_a_follow_up_is_understood_from_the_question_before(taught: Character, conversation: Conversation) -> None:
    ask(taught, conversation, "How long does the warranty of the X200 pump last?")
    reply = ask(taught, conversation, "And from when?")
    assert TEXTS[0] in reply.content


def test_the_question_before_does_not_hide_the_answer(taught: Character, conversation: Conversation) -> None:
    Agent.objects.update(retrieval_top_k=1)
    ask(taught, conversation, "Are returns accepted within 30 days, if the box of returns is unopened?")
    reply = ask(taught, conversation, "How long does the pump warranty last?")
    assert TEXTS[0] in reply.content
    assert reply.trace["query"] == "How long does the pump warranty last?"


def test_an_unanswerable_question_after_an_answered_one_is_refused(
    taught: Character, conversation: Conversation
) -> None:
    ask(taught, conversation, "How long does the warranty of the X200 pump last?")
    assert ask(taught, conversation, "Which football team won the world cup in 1998?").is_refusal


def test_events_tell_the_whole_turn_in_order(
    taught: Character,
    conversation: Conversation,
    server: OpenAIServer,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks():
        reply = ask(taught, conversation, "How long does the warranty last?")

    told = events(taught, conversation)
    names = [event.name for event in told]
    assert names[0] == "chat_status"
    assert names[-1] == "chat_response"
    assert "".join(event.data["text"] for event in told if event.name == "chat_delta") == server.reply
    assert told[-1].data["message"]["content"] == reply.content
    assert {event.data["task_id"] for event in told} == {str(reply.task_id)}


def test_the_prompt_holds_passages_as_data_and_the_history(
    taught: Character, conversation: Conversation, server: OpenAIServer
) -> None:
    ask(taught, conversation, "How long does the warranty of the pump last?")
    ask(taught, conversation, "Are returns accepted after the warranty?")

    messages = server.requests[-1].json["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert all(text in messages[0]["content"] for text in TEXTS)
    assert messages[1]["content"] == "How long does the warranty of the pump last?"


@pytest.mark.parametrize(("budget", "read"), [(4000, 6), (6000, 9)])
def test_as_many_exchanges_are_read_as_the_conversation_has_room_for(
    taught: Character, conversation: Conversation, server: OpenAIServer, budget: int, read: int
) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(max_context_length=budget)
    for number in range(12):
        place = 2 * number + 1
        asked = Message.objects.create(conversation=conversation, position=place, role="user", content="Returns?")
        Message.objects.create(
            conversation=conversation, position=place + 1, role="assistant", content="30 days.", reply_to=asked
        )
    Conversation.objects.filter(pk=conversation.pk).update(last_position=24)
    ask(taught, conversation, "How long does the warranty of the pump last?")
    assert len(server.requests[-1].json["messages"]) == 2 + 2 * read


def test_questions_sent_at_once_are_answered_in_order_each_with_the_answer_before(
    taught: Character, conversation: Conversation, server: OpenAIServer
) -> None:
    texts = ["How long does the warranty of the pump last?", "Are returns accepted?", "And for how many days?"]
    first, *others = [
        start_turn(actor=taught.principal, conversation_id=conversation.id, text=text).reply for text in texts
    ]
    for reply in reversed(others):  # whoever is at them first
        turn.run(reply.pk)
        reply.refresh_from_db()
        assert (reply.status, reply.attempts, reply.lease_until) == ("pending", 0, None)
    assert server.requests == []

    turn.run(first.pk)
    asked = [[message["content"] for message in request.json["messages"][1:]] for request in server.requests]
    assert [messages[::2] for messages in asked] == [texts[:1], texts[:2], texts]
    assert set(conversation.messages.filter(role="assistant").values_list("status", flat=True)) == {"completed"}


def test_one_that_fails_holds_up_nobody(taught: Character, conversation: Conversation, server: OpenAIServer) -> None:
    first, second = [
        start_turn(actor=taught.principal, conversation_id=conversation.id, text="How long is the warranty?").reply
        for _ in range(2)
    ]
    server.reply = ""
    turn.run(first.pk)
    assert list(conversation.messages.filter(role="assistant").values_list("status", flat=True)) == ["failed", "failed"]
    assert second.position == 4


def test_a_marker_without_a_passage_is_removed(
    taught: Character, conversation: Conversation, server: OpenAIServer
) -> None:
    server.reply = "37 months [Source 1], surely [Source 44]."
    reply = ask(taught, conversation, "How long does the warranty of the pump last?")
    assert reply.content == "37 months [Source 1], surely."
    assert reply.warnings == ["The answer pointed to source 44, which it was not given."]


def test_a_refused_key_fails_the_turn_in_words_without_the_key(
    taught: Character, conversation: Conversation, server: OpenAIServer
) -> None:
    server.fail(401, "Incorrect API key provided: sk-test")
    reply = ask(taught, conversation, "How long does the warranty of the pump last?")

    assert (reply.status, reply.error_code) == ("failed", "LLM_AUTHENTICATION")
    assert "sk-test" not in reply.error
    record = task_of(reply)
    assert (record.status, record.error) == ("failed", reply.error)
    assert events(taught, conversation)[-1].data["status"] == "failed"


def test_a_passing_fault_is_tried_again(taught: Character, conversation: Conversation, server: OpenAIServer) -> None:
    server.fail(503, "overloaded", times=1)
    assert ask(taught, conversation, "How long does the warranty of the pump last?").status == "completed"
    assert len(server.requests) == 2


def test_a_turn_runs_once_however_often_it_is_delivered(
    taught: Character, conversation: Conversation, server: OpenAIServer
) -> None:
    reply = ask(taught, conversation, "How long does the warranty of the pump last?")
    turn.run(reply.id)
    assert len(server.requests) == 1


def test_the_turn_of_a_dead_worker_is_taken_up(taught: Character, conversation: Conversation) -> None:
    started = start_turn(
        actor=taught.principal, conversation_id=conversation.id, text="How long is the pump's warranty?"
    )
    dead = Message.claim(started.reply.id)
    assert dead is not None
    turn.run(started.reply.id)
    assert Message.objects.get(pk=dead.pk).status == "processing"  # its lease is still good

    Message.objects.filter(pk=dead.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert list(Message.abandoned()) == [dead]
    turn.run(started.reply.id)

    reply = Message.objects.get(pk=dead.pk)
    assert (reply.status, reply.attempts) == ("completed", 2)
    assert not dead.update_if_held(content="too late")


@pytest.fixture
def eager_worker() -> Iterator[None]:
    celery.conf.task_always_eager = True
    yield
    celery.conf.task_always_eager = False


def test_a_turn_that_kills_every_worker_ends_failed_and_the_next_is_answered(
    taught: Character,
    conversation: Conversation,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    eager_worker: None,
) -> None:
    from conversations.tasks import answer

    first, second = [
        start_turn(actor=taught.principal, conversation_id=conversation.id, text="How long is the warranty?").reply
        for _ in range(2)
    ]
    Message.objects.filter(pk=first.pk).update(
        status="processing", attempts=3, lease_until=timezone.now() - timedelta(seconds=1)
    )
    with django_capture_on_commit_callbacks(execute=True):
        turn.resume_abandoned(answer)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.error_code, second.status) == ("TURN_ABANDONED", "completed")


def test_a_question_for_which_there_is_no_room_is_tried_again_later(
    taught: Character,
    conversation: Conversation,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from conversations.tasks import answer

    reply = start_turn(actor=taught.principal, conversation_id=conversation.id, text="How long is the warranty?").reply
    schema = taught.company.schema_name
    monkeypatch.setattr(ROOM, "threads", 4)
    with ExitStack() as holding:
        for number in range(FEW):
            holding.enter_context(ROOM.place_for(schema, str(number)))
        with django_capture_on_commit_callbacks() as queued:
            for _ in range(2):  # delivered twice
                answer.run(schema, str(reply.pk))
        reply.refresh_from_db()
        assert (reply.status, reply.attempts, len(queued)) == ("pending", 0, 1)
    answer.run(schema, str(reply.pk))
    reply.refresh_from_db()
    assert (reply.status, reply.attempts) == ("completed", 1)


def test_two_messages_at_once_get_different_places(taught: Character, conversation: Conversation) -> None:
    for text in ("first question", "second question"):
        start_turn(actor=taught.principal, conversation_id=conversation.id, text=text)
    places = list(Message.objects.filter(conversation=conversation).values_list("position", "role"))
    assert places == [(1, "user"), (2, "assistant"), (3, "user"), (4, "assistant")]


def test_an_unknown_reply_is_no_turn(in_acme: Character) -> None:
    turn.run(uuid.uuid4())
    assert Message.objects.count() == 0


def test_a_short_question_about_something_else_is_not_answered_from_the_one_before(
    taught: Character, conversation: Conversation
) -> None:
    ask(taught, conversation, "How long does the warranty of the X200 pump last?")
    assert ask(taught, conversation, "What does a spanner cost?").is_refusal
