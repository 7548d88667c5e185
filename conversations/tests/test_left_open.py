"""What a person leaves open when they go: the agent answers all of it, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context

from agents.models import Agent
from agents.services import update_agent
from conftest import Character
from conversations import handing, streams, tasks, turn
from conversations.models import Conversation, Guardrail, Message
from conversations.replays import answer_again
from conversations.services import (
    ask_again,
    hand_back,
    request_handover,
    send_as_person,
    start_turn,
    take_conversation,
)
from conversations.tests.test_handover import ask, colleague, heard, said, texts, visitor
from conversations.tests.test_turn_models import QUESTION, no_circuits, taught
from knowrithm.celery import app as celery
from knowrithm.jobs import current_schema
from knowrithm.principal import Principal
from knowrithm.tests.providers import OpenAIServer
from tenants.services import change_user_status

__all__ = ["no_circuits", "taught"]


@pytest.fixture
def eager() -> Iterator[None]:
    """Tasks run where they are queued."""
    celery.conf.task_always_eager = True
    yield
    celery.conf.task_always_eager = False


def _hands_back(grace: Principal, admin: Principal, conversation: Conversation) -> None:
    hand_back(actor=admin, conversation_id=conversation.pk)


def _is_suspended(grace: Principal, admin: Principal, conversation: Conversation) -> None:
    change_user_status(actor=admin, user_id=grace.id, status="suspended")


def _says_nothing(grace: Principal, admin: Principal, conversation: Conversation) -> None:
    said(minutes_ago=60)
    tasks.alert_unanswered(current_schema())


GOES = [_hands_back, _is_suspended, _says_nothing]


@pytest.mark.parametrize("go", GOES)
def test_what_a_person_leaves_open_the_agent_answers(
    taught: Character,
    eager: None,
    django_capture_on_commit_callbacks: Any,
    go: Callable[[Principal, Principal, Conversation], None],
) -> None:
    actor, conversation, _ = visitor(taught)
    grace = colleague(taught)
    ask(actor, conversation, QUESTION)
    take_conversation(actor=grace, conversation_id=conversation.pk)
    send_as_person(actor=grace, conversation_id=conversation.pk, text="Can I help?")
    start_turn(actor=actor, conversation_id=conversation.pk, text="Yes.")
    start_turn(actor=actor, conversation_id=conversation.pk, text=QUESTION)
    with django_capture_on_commit_callbacks(execute=True):
        go(grace, taught.principal, conversation)
    with tenant_context(taught.company):
        assert texts(conversation, "user") == [QUESTION, "Yes.", QUESTION]
        first, person, last = Message.objects.live().filter(conversation=conversation, role="assistant")
        assert (first.is_taken_up, person.is_taken_up, last.is_taken_up) == (False, False, True)
        assert (last.status, last.content) == ("completed", first.content)
        conversation.refresh_from_db()
        assert conversation.message_count == Message.objects.live().filter(conversation=conversation).count()
        # Whoever listens hears it, though nobody who has asked waits for it.
        told = [event.data["message"] for event in heard(taught, conversation) if event.name == streams.MESSAGE]
        [answer] = [one for one in told if one["id"] == str(last.pk)]
        assert (answer["content"], answer["author"]["kind"]) == (last.content, "agent")
        assert str(first.pk) not in {one["id"] for one in told}


def left_with(who: Character, *messages: str, **options: Any) -> tuple[Principal, Conversation, Message]:
    """What a visitor has written to a person who hands back without a word, and the agent's reply to that."""
    actor, conversation, _ = visitor(who, **options)
    take_conversation(actor=who.principal, conversation_id=conversation.pk)
    for message in messages:
        start_turn(actor=actor, conversation_id=conversation.pk, text=message)
    hand_back(actor=who.principal, conversation_id=conversation.pk)
    [reply] = Message.objects.live().filter(conversation=conversation, role="assistant")
    return actor, conversation, reply


def test_all_that_was_left_open_is_one_question(taught: Character) -> None:
    with OpenAIServer(reply="It lasts 37 months [Source 1].") as server:
        choices = {
            "llm_provider": "openai", "llm_model": "gpt-4o-mini", "llm_api_key": "sk-test",
            "llm_api_base_url": server.base_url,
        }  # fmt: skip
        update_agent(actor=taught.principal, agent=taught.agent, changes={}, choices=choices)
        actor, conversation, reply = left_with(taught, QUESTION, "I bought it in May.", "Thank you!")
        turn.run(reply.pk)
        reply.refresh_from_db()
        asked = f"{QUESTION}\nI bought it in May.\nThank you!"
        assert (reply.status, reply.content, reply.asked) == ("completed", "It lasts 37 months [Source 1].", asked)
        [request] = server.requests
        assert asked in request.json["messages"][-1]["content"]

        # Answered once more, and made again later, it is the same question.
        again = ask_again(actor=actor, message_id=reply.pk)
        turn.run(again.reply.pk)
        again.reply.refresh_from_db()
        assert (again.reply.asked, again.question.content) == (asked, "Thank you!")
        for inputs in ("then", "now"):
            assert answer_again(again.reply, inputs)["replayed"]["is_same_prompt"]
        assert len(server.requests) == 4
    # What comes next is a question of its own.
    following = start_turn(actor=actor, conversation_id=conversation.pk, text="And which one?")
    assert following.reply.asked == "And which one?"


def test_what_has_an_answer_is_left_out(in_acme: Character) -> None:
    actor, conversation, _ = visitor(in_acme)
    ask(actor, conversation, "How long is the warranty?")
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    start_turn(actor=actor, conversation_id=conversation.pk, text="Where is my order?")
    send_as_person(actor=in_acme.principal, conversation_id=conversation.pk, text="It comes on Monday.")
    for text in ("At noon?", "In Bonn?"):
        start_turn(actor=actor, conversation_id=conversation.pk, text=text)
    hand_back(actor=in_acme.principal, conversation_id=conversation.pk)
    assert Message.objects.get(status="pending").asked == "At noon?\nIn Bonn?"


def test_answers_that_were_withdrawn_are_made_as_one(in_acme: Character) -> None:
    actor, conversation, _ = visitor(in_acme)
    for text in ("How long is the warranty?", "And abroad?"):
        start_turn(actor=actor, conversation_id=conversation.pk, text=text)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    hand_back(actor=in_acme.principal, conversation_id=conversation.pk)
    assert Message.objects.live().get(status="pending").asked == "How long is the warranty?\nAnd abroad?"


def test_of_too_much_the_newest_is_answered(in_acme: Character) -> None:
    long = ["a" * handing.LONGEST_OPEN, "b" * (handing.LONGEST_OPEN - 10), "Where is it?"]
    assert left_with(in_acme, *long)[2].asked == "Where is it?"
    many = [f"Where is {n}?" for n in range(handing.MOST_OPEN + 5)]
    assert left_with(in_acme, *many, email="una@example.org")[2].asked == "\n".join(many[5:])


@pytest.mark.parametrize(
    ("messages", "asked", "refusal"),
    [
        (["A lawsuit?", "How long is the warranty?"], "How long is the warranty?", ""),
        (["How long is the warranty?", "A lawsuit?"], "How long is the warranty?", ""),
        (["A lawsuit?", "Thank you!"], "Thank you!", "Not here."),
        (["A lawsuit?", "Another lawsuit?"], "Another lawsuit?", "Not here."),
    ],
)
def test_what_a_guardrail_refuses_does_not_take_the_rest_with_it(
    in_acme: Character, messages: list[str], asked: str, refusal: str
) -> None:
    rule = {"name": "No", "kind": "words", "action": "refuse", "on": "input", "values": ["lawsuit"], "threshold": 0.5}
    Guardrail.objects.create(name="Shop", applies_to_all=True, rules=[rule], refusal_text="Not here.")
    _, _, reply = left_with(in_acme, *messages)
    assert (reply.asked, reply.content, reply.is_blocked) == (asked, refusal, bool(refusal))
    assert reply.decisions.count() == sum("lawsuit" in message for message in messages)


@pytest.mark.parametrize("go", GOES)
@pytest.mark.parametrize("status", ["inactive", "archived"])
def test_an_agent_that_takes_no_question_answers_none_that_was_left_open(
    in_acme: Character, status: str, go: Callable[[Principal, Principal, Conversation], None]
) -> None:
    actor, conversation, _ = visitor(in_acme)
    grace = colleague(in_acme)
    take_conversation(actor=grace, conversation_id=conversation.pk)
    start_turn(actor=actor, conversation_id=conversation.pk, text="Are you there?")
    change = {"archived_at": timezone.now()} if status == "archived" else {"status": status}
    Agent.objects.filter(pk=in_acme.agent.pk).update(**change)
    go(grace, in_acme.principal, conversation)
    with tenant_context(in_acme.company):
        conversation.refresh_from_db()
        assert conversation.owner != "person"
        assert not Message.objects.filter(conversation=conversation, role="assistant").exists()


def test_what_was_answered_or_never_asked_is_not_taken_up(in_acme: Character) -> None:
    _, silent, _ = visitor(in_acme)
    take_conversation(actor=in_acme.principal, conversation_id=silent.pk)
    hand_back(actor=in_acme.principal, conversation_id=silent.pk)
    actor, settled, _ = visitor(in_acme, email="una@example.org")
    ask(actor, settled)
    request_handover(actor=actor, conversation_id=settled.pk)
    hand_back(actor=in_acme.principal, conversation_id=settled.pk)  # the agent has answered while they waited
    take_conversation(actor=in_acme.principal, conversation_id=settled.pk)
    start_turn(actor=actor, conversation_id=settled.pk, text="Where is my order?")
    send_as_person(actor=in_acme.principal, conversation_id=settled.pk, text="It comes on Monday.")
    hand_back(actor=in_acme.principal, conversation_id=settled.pk)
    take_conversation(actor=in_acme.principal, conversation_id=settled.pk)
    start_turn(actor=actor, conversation_id=settled.pk, text="Thank you!")
    hand_back(actor=in_acme.principal, conversation_id=settled.pk)
    assert not Message.objects.filter(status="pending").exists()


def test_an_answer_that_was_withdrawn_for_a_person_is_made_when_they_leave_it_open(in_acme: Character) -> None:
    actor, conversation, _ = visitor(in_acme)
    started = start_turn(actor=actor, conversation_id=conversation.pk, text="How long is the warranty?")
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    hand_back(actor=in_acme.principal, conversation_id=conversation.pk)
    reply = Message.objects.live().get(reply_to=started.question)
    assert (reply.status, reply.pk == started.reply.pk) == ("pending", False)
    turn.run(reply.pk)
    assert len(texts(conversation, "assistant")) == 1


def test_a_guardrail_holds_for_what_was_left_open(in_acme: Character) -> None:
    rule = {"name": "No", "kind": "words", "action": "refuse", "on": "input", "values": ["lawsuit"], "threshold": 0.5}
    Guardrail.objects.create(name="Shop", applies_to_all=True, rules=[rule], refusal_text="Not here.")
    actor, conversation, _ = visitor(in_acme)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    start_turn(actor=actor, conversation_id=conversation.pk, text="A lawsuit?")
    hand_back(actor=in_acme.principal, conversation_id=conversation.pk)
    reply = Message.objects.get(conversation=conversation, role="assistant")
    turn.run(reply.pk)
    reply.refresh_from_db()
    assert (reply.content, reply.is_blocked, reply.decisions.count()) == ("Not here.", True, 1)
