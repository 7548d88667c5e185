"""Answers that are stopped: by their reader, while a model speaks or before it does."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import pytest
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from agents.services import update_agent
from conftest import Character
from conversations import streams, turn
from conversations.models import Message
from conversations.records import message_record
from conversations.services import Turn, create_conversation, start_turn
from conversations.tests.test_turn_models import QUESTION, taught
from knowrithm.tests.providers import OpenAIServer

__all__ = ["taught"]
LONG = " ".join(["It lasts 37 months [Source 1]."] * 60)


class Answer(Protocol):
    def __call__(self, *, first_delay: float, token_delay: float) -> Message: ...


def ask(who: Character, server: OpenAIServer) -> Turn:
    choices = {
        "llm_provider": "openai", "llm_model": "gpt-4o-mini", "llm_api_key": "k", "llm_api_base_url": server.base_url,
    }  # fmt: skip
    update_agent(actor=who.principal, agent=who.agent, changes={}, choices=choices)
    conversation = create_conversation(actor=who.principal, agent=who.agent)
    return start_turn(actor=who.principal, conversation_id=conversation.id, text=QUESTION)


@pytest.fixture
def stopped(taught: Character) -> Answer:
    """The reply to a question whose reader had enough soon after the model had been asked."""

    def answer(*, first_delay: float, token_delay: float) -> Message:
        timers: list[threading.Timer] = []

        def reply_of(_: Any) -> str:
            timers.append(threading.Timer(0.8, streams.ask_to_stop, (taught.company.schema_name, started.reply.pk)))
            timers[-1].start()
            return LONG

        with OpenAIServer(reply=reply_of, first_delay=first_delay, token_delay=token_delay) as server:
            started = ask(taught, server)
            turn.run(started.reply.pk)
        for timer in timers:
            timer.join()
        return Message.objects.get(pk=started.reply.pk)

    return answer


def test_what_was_said_by_then_stays(stopped: Answer) -> None:
    reply = stopped(first_delay=0, token_delay=0.05)
    assert (reply.status, reply.warnings) == ("completed", ["The answer was stopped and ends early."])
    assert reply.notices == [{"code": "stopped", "values": {}}]
    assert message_record(reply, language="fr")["content"] == reply.content, "a remark does not replace it"
    assert LONG.startswith(reply.content.removesuffix("…").strip()[:20])
    assert 0 < len(reply.content) < len(LONG)


def test_a_model_that_is_silent_is_not_waited_for(stopped: Answer) -> None:
    reply = stopped(first_delay=8, token_delay=0)
    assert (reply.status, reply.error_code, reply.content) == ("failed", "STOPPED", "")
    assert reply.model_failures == []


def test_between_two_tries_nobody_is_asked_again(taught: Character) -> None:
    timers: list[threading.Timer] = []

    def refuse(handler: Any) -> None:
        timers.append(threading.Timer(1, streams.ask_to_stop, (taught.company.schema_name, started.reply.pk)))
        timers[-1].start()
        handler.send_json(429, server.error_body(429, "Slow down"), {"Retry-After": "3"})

    with OpenAIServer() as server:
        server.by_hand = refuse
        started = ask(taught, server)
        turn.run(started.reply.pk)
        for timer in timers:
            timer.join()
        reply = Message.objects.get(pk=started.reply.pk)
        assert (reply.status, reply.error_code, len(server.requests)) == ("failed", "STOPPED", 1)


def test_an_answer_is_stopped_by_the_api_and_one_that_ended_stays(acme_api: APIClient, taught: Character) -> None:
    conversation = create_conversation(actor=taught.principal, agent=taught.agent)
    started = start_turn(actor=taught.principal, conversation_id=conversation.id, text=QUESTION)
    flag = streams.StopFlag(taught.company.schema_name, started.reply.pk)
    assert flag.is_wanted()
    answer = acme_api.post(f"/api/v1/message/{started.question.pk}/stop")
    assert (answer.status_code, answer.json()["message_id"]) == (202, str(started.reply.pk))
    with tenant_context(taught.company):
        turn.run(started.reply.pk)  # the built-in model is too quick to be stopped
        assert Message.objects.get(pk=started.reply.pk).status == "completed"
    assert acme_api.post(f"/api/v1/message/{started.reply.pk}/stop").status_code == 202
