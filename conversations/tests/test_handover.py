"""Who has a conversation: the rules, the services, the races."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from django.utils import timezone
from django_tenants.utils import tenant_context
from psycopg import sql
from pytest_django import DjangoAssertNumQueries
from pytest_django.plugin import DjangoDbBlocker
from rest_framework.test import APIClient

from agents.exceptions import AgentUnavailableError
from agents.models import Agent
from agents.services import update_agent
from conftest import Character, character
from conversations import jobs, streams, turn
from conversations.enums import Owner
from conversations.exceptions import ConversationTakenError, HandoverStateError
from conversations.handover import NEXT, REFUSED, Act, owner_after
from conversations.models import Conversation, Guardrail, Handover, Message, PrivateNote
from conversations.selectors import exchanges_before
from conversations.services import (
    add_note,
    archive_conversation,
    assign_conversation,
    close_conversation,
    create_conversation,
    hand_back,
    mark_conversation_read,
    rate_message,
    request_handover,
    restore_conversation,
    send_as_person,
    start_turn,
    take_conversation,
    update_conversation,
)
from conversations.tests.test_turn_models import QUESTION, no_circuits, taught
from integrations.models import Webhook, WebhookDelivery
from integrations.notifications.models import Notification
from knowrithm.db.lease import LostLeaseError
from knowrithm.db.redis import sync_redis
from knowrithm.db.schema import leave_company
from knowrithm.errors import ServiceError
from knowrithm.jobs import read_task
from knowrithm.principal import Principal, PrincipalKind
from knowrithm.tests.providers import OpenAIServer
from leads.services import register_lead
from tenants.audit.models import AuditEvent
from tenants.models import User
from tenants.services import archive_user, change_user_status, create_user, principal_of

__all__ = ["no_circuits", "taught"]
QUERIES_OF_A_QUESTION = 9  # as before there were handovers


def visitor(who: Character, *, email: str = "vic@example.org") -> tuple[Principal, Conversation, str]:
    """A lead in a conversation of its own, and its token."""
    registered = register_lead(agent=who.agent, company_id=who.company.id, email=email, first_name="Vic")
    actor = Principal(
        kind=PrincipalKind.LEAD, id=registered.lead.id, company=who.company, agent_id=who.agent.id, label="Vic"
    )
    return actor, create_conversation(actor=actor, agent=who.agent), registered.tokens.access


def colleague(who: Character, name: str = "Grace") -> Principal:
    user = create_user(
        actor=who.principal, email=f"{name.lower()}@acme.example", username=name, password="a-long-enough-password",
        first_name=name, last_name="Hopper",
    )  # fmt: skip
    user.status = "active"
    user.save()
    return principal_of(User.objects.select_related("company").get(pk=user.pk))


def with_rules(who: Character, **rules: Any) -> None:
    Agent.objects.filter(pk=who.agent.pk).update(handover=rules)


def ask(actor: Principal, conversation: Conversation, text: str = "How long is the warranty?") -> Message:
    started = start_turn(actor=actor, conversation_id=conversation.pk, text=text)
    turn.run(started.reply.pk)
    return Message.objects.get(pk=started.reply.pk)


def texts(conversation: Conversation, role: str) -> list[str]:
    rows = Message.objects.live().filter(conversation=conversation, role=role).order_by("position")
    return list(rows.values_list("content", flat=True))


# --- The rules ----------------------------------------------------------------------------------------------------


def test_every_act_is_allowed_or_refused_for_every_owner() -> None:
    every = {(owner, act) for owner in Owner for act in Act}
    assert set(NEXT) | set(REFUSED) == every
    assert set(NEXT) & set(REFUSED) == set()


def test_the_way_there_and_back() -> None:
    owner = Owner.AGENT
    for act, expected in [
        (Act.REQUEST, "waiting"), (Act.TAKE, "person"), (Act.HAND_BACK, "agent"), (Act.CLOSE, "closed"),
        (Act.WRITE, "agent"),
    ]:  # fmt: skip
        owner = owner_after(owner, act)
        assert owner == expected
    with pytest.raises(HandoverStateError):
        owner_after(Owner.AGENT, Act.HAND_BACK)


@pytest.mark.parametrize(
    "leave", [partial(change_user_status, status="suspended"), archive_user], ids=["suspended", "archived"]
)
def test_who_cannot_sign_in_any_more_leaves_their_conversations(
    in_acme: Character, globex: Character, leave: Callable[..., User]
) -> None:
    grace, ada = colleague(in_acme), in_acme.principal
    _, hers, _ = visitor(in_acme)
    _, others, _ = visitor(in_acme, email="una@example.org")
    take_conversation(actor=grace, conversation_id=hers.pk)
    take_conversation(actor=ada, conversation_id=others.pk)
    with tenant_context(globex.company):
        _, foreign, _ = visitor(globex)
        Conversation.objects.filter(pk=foreign.pk).update(owner=Owner.PERSON, person_id=grace.id)
    leave_company()  # whoever suspends somebody may stand in no company's schema

    leave(actor=ada, user_id=grace.id)

    with tenant_context(in_acme.company):
        hers.refresh_from_db()
        others.refresh_from_db()
        assert (hers.owner, hers.person_id, hers.person_name) == ("waiting", None, "")
        assert (others.owner, others.person_id) == ("person", ada.id)
        rows = Handover.objects.filter(conversation=hers).order_by("created_at")
        assert [(row.reason, row.end, row.user_id) for row in rows] == [
            ("person", "left", grace.id),
            ("left", "", None),
        ]
        told = Message.objects.filter(conversation=hers).latest("position")
        assert (told.role, told.notices[0]["code"]) == ("system", "waiting")
        take_conversation(actor=ada, conversation_id=hers.pk)
    with tenant_context(globex.company):
        foreign.refresh_from_db()
        assert (foreign.owner, foreign.person_id) == ("person", grace.id)


# --- One conversation, from the visitor's asking to its end -------------------------------------------------------


def test_from_the_agent_to_a_person_and_back(in_acme: Character) -> None:
    Webhook.objects.create(name="All", url="https://example.com/", secret="s", event_types=[])
    actor, conversation, _ = visitor(in_acme)
    waiting = request_handover(actor=actor, conversation_id=conversation.pk, words="My order is lost")
    assert waiting.owner == "waiting"
    request_handover(actor=actor, conversation_id=conversation.pk)  # once more changes nothing
    assert Handover.objects.count() == 1

    taken = take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    assert (taken.owner, taken.person_name) == ("person", "Acme Admin")
    asked = start_turn(actor=actor, conversation_id=conversation.pk, text="Where is it?")
    assert asked.delivered_to == "Acme Admin"
    said = send_as_person(actor=in_acme.principal, conversation_id=conversation.pk, text="It comes on Monday. Sorry.")
    assert (said.role, said.author_name, said.author_id) == ("assistant", "Acme Admin", in_acme.admin.pk)

    back = hand_back(actor=in_acme.principal, conversation_id=conversation.pk)
    assert (back.owner, back.person_id, back.person_name) == ("agent", None, "")
    assert back.handover_summary == "Visitor: Where is it?\nAcme Admin: It comes on Monday."
    row = Handover.objects.get()
    assert (row.reason, row.words, row.end, row.user_name) == (
        "visitor",
        "My order is lost",
        "handed_back",
        "Acme Admin",
    )
    assert row.summary == back.handover_summary
    assert texts(conversation, "system") == [
        "We have told our people. Somebody will answer here as soon as possible. "
        "Until then Acme helper goes on answering.",
        "Acme Admin answers here now.",
        "Acme helper answers again.",
    ]
    assert texts(conversation, "assistant") == ["It comes on Monday. Sorry."]
    events = [event for event in WebhookDelivery.objects.values_list("event_type", flat=True) if "handover" in event]
    assert sorted(events) == ["handover.assigned", "handover.ended", "handover.requested"]
    ended = json.loads(WebhookDelivery.objects.get(event_type="handover.ended").payload)
    assert (ended["end"], ended["owner"], ended["summary"]) == ("handed_back", "agent", row.summary)
    assert conversation.pk == uuid.UUID(ended["conversation_id"])
    kinds = list(AuditEvent.objects.order_by("position").values_list("event_type", flat=True))
    assert kinds[-6:] == [
        "handover.requested", "handover.requested", "handover.taken", "message.sent", "message.sent_by_person",
        "handover.handed_back",
    ]  # fmt: skip


def test_while_a_person_has_it_the_agent_does_not_answer(
    in_acme: Character, django_capture_on_commit_callbacks: Any
) -> None:
    actor, conversation, _ = visitor(in_acme)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    with django_capture_on_commit_callbacks(execute=True):
        asked = start_turn(actor=actor, conversation_id=conversation.pk, text="Anybody there?")
    assert not Message.objects.filter(reply_to=asked.question).exists()
    assert Message.objects.get(pk=asked.question.pk).content == "Anybody there?"
    task = read_task(asked.task_id)
    assert task is not None
    assert (task.is_over, task.result is None) == (True, False)
    assert task.result is not None
    assert task.result["content"] == "Acme Admin has your message and answers here."
    [message] = [event for event in heard(in_acme, conversation) if event.name == streams.MESSAGE]
    assert (message.data["message"]["content"], message.data["message"]["author"]["kind"]) == (
        "Anybody there?",
        "visitor",
    )
    [ended] = [event for event in heard(in_acme, conversation) if event.name == streams.RESPONSE]
    assert (ended.turn, ended.data["owner"], ended.data["person"]) == (asked.task_id, "person", {"name": "Acme Admin"})


def heard(who: Character, conversation: Conversation) -> list[streams.Event]:
    entries: Any = sync_redis().xrange(streams.stream_key(who.company.schema_name, conversation.pk))
    return streams.parse(entries)


def test_while_nobody_has_come_the_agent_goes_on(in_acme: Character) -> None:
    actor, conversation, _ = visitor(in_acme)
    request_handover(actor=actor, conversation_id=conversation.pk)
    assert ask(actor, conversation).status == "completed"


def test_a_late_answer_does_not_appear_after_the_take_over(in_acme: Character) -> None:
    actor, conversation, _ = visitor(in_acme)
    started = start_turn(actor=actor, conversation_id=conversation.pk, text="How long is the warranty?")
    claimed = Message.claim(started.reply.pk, *turn.RELATED)  # a worker is answering
    assert claimed is not None
    working = turn._Turn(claimed)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    with pytest.raises(LostLeaseError):
        working._say("Too late.", [])
    reply = Message.objects.get(pk=started.reply.pk)
    assert (reply.content, reply.status, reply.error_code, reply.is_archived) == ("", "failed", "TAKEN_OVER", True)
    assert texts(conversation, "assistant") == []
    conversation.refresh_from_db()
    assert conversation.message_count == 2  # the question, and that somebody answers here now
    assert Message.claim(started.reply.pk) is None  # nor does another worker take it up
    turn.run(started.reply.pk)
    assert texts(conversation, "assistant") == []


def test_after_the_take_over_a_turn_that_still_holds_its_lease_writes_nothing(in_acme: Character) -> None:
    """The conversation's row decides, not only the answer's."""
    actor, conversation, _ = visitor(in_acme)
    started = start_turn(actor=actor, conversation_id=conversation.pk, text="How long is the warranty?")
    claimed = Message.claim(started.reply.pk, *turn.RELATED)
    assert claimed is not None
    Conversation.objects.filter(pk=conversation.pk).update(owner="person", person_name="Ada")
    with pytest.raises(LostLeaseError):
        turn._Turn(claimed)._say("Too late.", [])
    assert Message.objects.get(pk=started.reply.pk).content == ""


def test_who_comes_second_hears_who_was_first(in_acme: Character) -> None:
    _, conversation, _ = visitor(in_acme)
    grace = colleague(in_acme)
    take_conversation(actor=grace, conversation_id=conversation.pk)
    with pytest.raises(ConversationTakenError, match="Grace Hopper has this conversation"):
        take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    with pytest.raises(ConversationTakenError):
        send_as_person(actor=in_acme.principal, conversation_id=conversation.pk, text="Me too")
    # An admin may give it to somebody; others may not take it away.
    assign_conversation(actor=in_acme.principal, conversation_id=conversation.pk, user_id=in_acme.admin.pk)
    with pytest.raises(ConversationTakenError, match="Acme Admin"):
        assign_conversation(actor=grace, conversation_id=conversation.pk, user_id=grace.id)
    with pytest.raises(ConversationTakenError, match="Acme Admin"):
        close_conversation(actor=grace, conversation_id=conversation.pk)


def test_who_is_given_a_conversation_is_told(in_acme: Character) -> None:
    _, conversation, _ = visitor(in_acme)
    grace = colleague(in_acme)
    assign_conversation(actor=in_acme.principal, conversation_id=conversation.pk, user_id=grace.id)
    row = Notification.objects.get(kind="assigned")
    assert (row.user_id, row.is_mail_due, row.path) == (grace.id, True, f"/inbox?conversation={conversation.pk}")
    stranger = character("globex")
    with pytest.raises(ServiceError, match="no such person"):
        assign_conversation(actor=in_acme.principal, conversation_id=conversation.pk, user_id=stranger.admin.pk)


def test_a_conversation_that_is_archived_is_nobodys_when_it_comes_back(in_acme: Character) -> None:
    _, conversation, _ = visitor(in_acme)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.id)
    archive_conversation(actor=in_acme.principal, conversation=conversation)  # as it was read before it was taken

    handover = Handover.objects.get(conversation=conversation)
    assert (handover.end, handover.ended_at is None) == ("closed", False)
    restored = restore_conversation(actor=in_acme.principal, conversation_id=conversation.id)
    assert (restored.owner, restored.person_id, restored.person_name) == ("closed", None, "")


def test_one_that_was_archived_in_somebodys_hands_is_let_go_when_it_comes_back(in_acme: Character) -> None:
    _, conversation, _ = visitor(in_acme)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.id)
    Conversation.objects.filter(pk=conversation.pk).update(archived_at=timezone.now())
    restored = restore_conversation(actor=in_acme.principal, conversation_id=conversation.id)
    assert (restored.owner, Handover.objects.get(conversation=conversation).end) == ("closed", "closed")


def test_all_conversations_with_an_agent_are_closed_so_that_it_can_be_archived(
    in_acme: Character, acme_api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor, conversation, _ = visitor(in_acme)
    create_conversation(actor=in_acme.principal, agent=in_acme.agent)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.id)
    agent, close = f"/api/v1/agent/{in_acme.agent.pk}", f"/api/v1/conversation/agent/{in_acme.agent.pk}/close"
    assert acme_api.delete(agent).json()["code"] == "AGENT_HAS_ACTIVE_CONVERSATIONS"

    monkeypatch.setattr("conversations.services.directory.MOST_CLOSED", 1)
    told = [acme_api.post(close).json() for _ in range(3)]
    assert [(answer["closed"], answer["left"]) for answer in told] == [(1, 1), (1, 0), (0, 0)]
    with tenant_context(in_acme.company):
        conversation.refresh_from_db()
        assert (conversation.status, conversation.owner) == ("archived", "closed")
        assert Handover.objects.get(conversation=conversation).end == "closed"

    assert acme_api.delete(agent).status_code == 200
    with tenant_context(in_acme.company):
        for who in (actor, in_acme.principal):
            with pytest.raises(AgentUnavailableError):
                start_turn(actor=who, conversation_id=conversation.id, text="Are you there?")


def test_a_person_is_written_to_also_while_the_agent_is_inactive(in_acme: Character) -> None:
    actor, conversation, _ = visitor(in_acme)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.id)
    update_agent(actor=in_acme.principal, agent=in_acme.agent, changes={"status": "inactive"})
    told = start_turn(actor=actor, conversation_id=conversation.id, text="Are you still there?")
    assert told.delivered_to == "Acme Admin"
    hand_back(actor=in_acme.principal, conversation_id=conversation.id)
    with pytest.raises(AgentUnavailableError):
        start_turn(actor=actor, conversation_id=conversation.id, text="And now?")


def test_whoever_writes_opens_a_closed_conversation_again(in_acme: Character) -> None:
    actor, conversation, _ = visitor(in_acme)
    update_conversation(actor=in_acme.principal, conversation=conversation, status="archived")
    start_turn(actor=actor, conversation_id=conversation.id, text="One more thing.")
    conversation.refresh_from_db()
    assert (conversation.status, conversation.owner) == ("active", "agent")


def test_a_conversation_that_is_put_away_otherwise_waits_for_nobody(in_acme: Character) -> None:
    actor, conversation, _ = visitor(in_acme)
    request_handover(actor=actor, conversation_id=conversation.pk)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    conversation.refresh_from_db()
    update_conversation(actor=in_acme.principal, conversation=conversation, status="archived")
    conversation.refresh_from_db()
    assert (conversation.owner, conversation.person_id, conversation.person_name) == ("closed", None, "")
    handover = Handover.objects.get()
    assert (handover.end, handover.ended_at is None) == ("closed", False)
    start_turn(actor=actor, conversation_id=conversation.pk, text="One more thing.")
    conversation.refresh_from_db()
    assert (conversation.owner, conversation.status) == ("agent", "active")


def test_a_closed_conversation_is_the_agents_when_the_visitor_writes_again(in_acme: Character) -> None:
    actor, conversation, _ = visitor(in_acme)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    closed = close_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    assert (closed.owner, closed.status) == ("closed", "archived")
    ask(actor, conversation)
    conversation.refresh_from_db()
    assert (conversation.owner, conversation.status) == ("agent", "active")


def test_a_test_chat_of_the_team_can_be_handed_over_too(in_acme: Character) -> None:
    conversation = create_conversation(actor=in_acme.principal, agent=in_acme.agent)
    assert request_handover(actor=in_acme.principal, conversation_id=conversation.pk).owner == "waiting"


# --- What triggers it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "owner"),
    [("I want to TALK  to a\nhuman, now", "waiting"), ("talk to a humanist", "agent"), ("How long?", "agent")],
)
def test_a_phrase_hands_over(in_acme: Character, text: str, owner: str) -> None:
    with_rules(in_acme, phrases=["talk to a human"])
    actor, conversation, _ = visitor(in_acme)
    ask(actor, conversation, text)
    conversation.refresh_from_db()
    assert conversation.owner == owner
    if owner == "waiting":
        assert Handover.objects.get().words == "“talk to a human”"


def test_questions_that_stay_open_in_a_row_hand_over(in_acme: Character) -> None:
    with_rules(in_acme, unanswered=2)
    actor, conversation, _ = visitor(in_acme)
    assert ask(actor, conversation).is_refusal
    conversation.refresh_from_db()
    assert conversation.owner == "agent"
    ask(actor, conversation, "And the colour?")
    conversation.refresh_from_db()
    assert conversation.owner == "waiting"
    assert (Handover.objects.get().reason, Handover.objects.get().words) == ("evidence", "And the colour?")
    assert AuditEvent.objects.filter(event_type="handover.requested", actor_kind="system").count() == 1


def test_an_answer_between_starts_the_count_anew(in_acme: Character) -> None:
    with_rules(in_acme, unanswered=2)
    actor, conversation, _ = visitor(in_acme)
    first = ask(actor, conversation)
    ask_between = ask(actor, conversation, "Second")
    Handover.objects.all().delete()
    Conversation.objects.update(owner="agent")
    Message.objects.filter(pk=ask_between.pk).update(is_refusal=False)
    ask(actor, conversation, "Third")
    conversation.refresh_from_db()
    assert (first.is_refusal, conversation.owner) == (True, "agent")


def test_bad_ratings_hand_over(in_acme: Character) -> None:
    with_rules(in_acme, bad_ratings=2)
    actor, conversation, _ = visitor(in_acme)
    answers = [ask(actor, conversation, text) for text in ("One?", "Two?")]
    rate_message(actor=actor, message_id=answers[0].pk, rating=-1)
    rate_message(actor=actor, message_id=answers[0].pk, rating=-1)  # the same answer counts once
    conversation.refresh_from_db()
    assert conversation.owner == "agent"
    rate_message(actor=actor, message_id=answers[1].pk, rating=-1)
    conversation.refresh_from_db()
    assert conversation.owner == "waiting"
    assert Handover.objects.get().words == "Rated badly 2 times"


def test_a_guardrails_refusal_hands_over(in_acme: Character) -> None:
    rule = {"name": "No", "kind": "words", "action": "refuse", "on": "input", "values": ["lawsuit"], "threshold": 0.5}
    Guardrail.objects.create(name="Shop", applies_to_all=True, rules=[rule], refusal_text="Not here.")
    actor, conversation, _ = visitor(in_acme)
    ask(actor, conversation, "A lawsuit")
    conversation.refresh_from_db()
    assert conversation.owner == "agent"
    with_rules(in_acme, on_guardrail=True)
    ask(actor, conversation, "A lawsuit")
    conversation.refresh_from_db()
    assert conversation.owner == "waiting"
    assert Handover.objects.get().reason == "guardrail"


def test_rules_are_for_visitors_alone(in_acme: Character) -> None:
    with_rules(in_acme, unanswered=1, phrases=["human"])
    conversation = create_conversation(actor=in_acme.principal, agent=in_acme.agent)
    ask(in_acme.principal, conversation, "A human?")
    conversation.refresh_from_db()
    assert conversation.owner == "agent"


def test_where_people_are_not_offered_a_visitor_cannot_ask(in_acme: Character) -> None:
    with_rules(in_acme, is_offered=False)
    actor, conversation, _ = visitor(in_acme)
    with pytest.raises(ServiceError) as refused:
        request_handover(actor=actor, conversation_id=conversation.pk)
    assert refused.value.code == "HANDOVER_NOT_OFFERED"


# --- Notes --------------------------------------------------------------------------------------------------------


def test_a_private_note_reaches_neither_the_visitor_nor_the_model(
    in_acme: Character, django_capture_on_commit_callbacks: Any
) -> None:
    actor, conversation, token = visitor(in_acme)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    with django_capture_on_commit_callbacks(execute=True):
        add_note(actor=in_acme.principal, conversation_id=conversation.pk, text="Canary: a difficult one")
    back = hand_back(actor=in_acme.principal, conversation_id=conversation.pk)
    assert back.handover_summary == ""
    reply = ask(actor, conversation)
    assert exchanges_before(reply, limit=6) == []
    said = json.dumps([event.data for event in heard(in_acme, conversation)])
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    said += client.get(f"/api/v1/conversation/{conversation.pk}/messages").content.decode()
    assert "Canary" not in said
    assert client.get(f"/api/v1/conversation/{conversation.pk}/notes").status_code == 403
    with tenant_context(in_acme.company):
        assert PrivateNote.objects.get().text == "Canary: a difficult one"


# --- Nobody comes -------------------------------------------------------------------------------------------------


def said(*messages: Message, minutes_ago: int) -> None:
    """That long ago; without `messages` all that was said so far."""
    rows = Message.objects.filter(pk__in=[one.pk for one in messages]) if messages else Message.objects.all()
    rows.update(created_at=timezone.now() - timedelta(minutes=minutes_ago))


@contextmanager
def online(who: Character) -> Iterator[None]:
    key = streams.person_key(who.company.schema_name, who.admin.pk)
    streams.note_present(key)
    yield
    sync_redis().delete(key)


def waited(minutes: int) -> None:
    Handover.objects.update(created_at=timezone.now() - timedelta(minutes=minutes))


def test_a_visitor_whom_nobody_answers_is_told_once_and_the_team_is_mailed(in_acme: Character) -> None:
    with_rules(in_acme, wait_minutes=3)
    actor, conversation, _ = visitor(in_acme, email="nameless@demo.invalid")
    request_handover(actor=actor, conversation_id=conversation.pk)
    assert texts(conversation, "system")[0].endswith("Leave your e-mail address, and we can answer there too.")
    waited(2)
    jobs.alert_unanswered()
    assert len(texts(conversation, "system")) == 1
    waited(4)
    jobs.alert_unanswered()
    jobs.alert_unanswered()
    assert texts(conversation, "system")[1:] == [
        "Nobody could answer yet. Your conversation stays with us. "
        "Leave your e-mail address, and we will answer you by mail."
    ]
    conversation.refresh_from_db()
    assert conversation.owner == "waiting"
    rows = Notification.objects.filter(kind="handover").order_by("created_at")
    assert list(rows.values_list("is_mail_due", flat=True)) == [False, True]


def test_outside_the_hours_nobody_is_called_late(in_acme: Character) -> None:
    tomorrow = (timezone.now() + timedelta(days=1)).strftime("%A").lower()
    Agent.objects.update(operating_hours={"timezone": "UTC", tomorrow: [["00:00", "23:59"]]})
    actor, conversation, _ = visitor(in_acme)
    request_handover(actor=actor, conversation_id=conversation.pk)
    assert texts(conversation, "system")[0].startswith("Our people cannot be reached at the moment. Their hours are: ")
    waited(60)
    jobs.alert_unanswered()
    assert len(texts(conversation, "system")) == 1


def test_a_visitor_whose_person_does_not_answer_waits_for_another_one(in_acme: Character) -> None:
    with_rules(in_acme, wait_minutes=3)
    actor, conversation, _ = visitor(in_acme)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    said(minutes_ago=60)
    jobs.return_unanswered()  # nobody has asked anything: the person took it unasked
    send_as_person(actor=in_acme.principal, conversation_id=conversation.pk, text="Can I help?")
    said(minutes_ago=50)
    first = start_turn(actor=actor, conversation_id=conversation.pk, text="Yes. Where is my order?")
    start_turn(actor=actor, conversation_id=conversation.pk, text="Hello?")
    said(first.question, minutes_ago=2)
    jobs.return_unanswered()
    conversation.refresh_from_db()
    assert conversation.owner == "person"

    said(first.question, minutes_ago=4)  # the second message does not begin the time anew
    with online(in_acme):
        jobs.return_unanswered()
    conversation.refresh_from_db()
    assert conversation.owner == "person"  # who is there has twice the time
    jobs.return_unanswered()
    jobs.return_unanswered()
    conversation.refresh_from_db()
    assert (conversation.owner, conversation.person_id, conversation.person_name) == ("waiting", None, "")
    assert texts(conversation, "system")[1:] == [
        "We have told our people. Somebody will answer here as soon as possible. "
        "Until then Acme helper goes on answering."
    ]
    shown = Handover.objects.order_by("created_at").values_list("reason", "end")
    assert list(shown) == [("person", "silent"), ("silent", "")]
    assert AuditEvent.objects.filter(event_type="handover.returned").count() == 1
    assert ask(actor, conversation).role == "assistant"


def test_who_was_suspended_at_the_instant_of_taking_does_not_keep_it(in_acme: Character) -> None:
    _, conversation, _ = visitor(in_acme)
    grace = colleague(in_acme)
    take_conversation(actor=grace, conversation_id=conversation.pk)
    jobs.return_unanswered()
    conversation.refresh_from_db()
    assert conversation.owner == "person"
    User.objects.filter(pk=grace.id).update(status="suspended")  # and nobody looked at the conversation
    jobs.return_unanswered()
    conversation.refresh_from_db()
    assert (conversation.owner, conversation.person_id) == ("waiting", None)
    assert list(Handover.objects.order_by("created_at").values_list("end", flat=True)) == ["left", ""]


def test_who_takes_a_waiting_visitor_and_says_nothing_loses_them_again(in_acme: Character) -> None:
    actor, conversation, _ = visitor(in_acme)
    request_handover(actor=actor, conversation_id=conversation.pk)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    said(minutes_ago=4)
    jobs.return_unanswered()
    conversation.refresh_from_db()
    assert conversation.owner == "person"
    said(minutes_ago=6)
    jobs.return_unanswered()
    conversation.refresh_from_db()
    assert conversation.owner == "waiting"


def test_who_has_a_conversation_is_told_of_what_they_have_not_seen(in_acme: Character) -> None:
    actor, conversation, _ = visitor(in_acme)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)

    def hear(text: str) -> list[tuple[str, bool]]:
        jobs.tell_person(start_turn(actor=actor, conversation_id=conversation.pk, text=text).question.pk)
        rows = Notification.objects.filter(kind="message").order_by("created_at")
        assert {row.user_id for row in rows} == {in_acme.admin.pk}
        return list(rows.values_list("text", "is_mail_due"))

    wrote = f"A visitor of {in_acme.agent.name} wrote to you"
    assert hear("One") == [(wrote, True)]
    assert hear("Two") == [(wrote, True)]  # once, until they look
    send_as_person(actor=in_acme.principal, conversation_id=conversation.pk, text="Hello")
    with online(in_acme):
        assert hear("Three") == [(wrote, True), (wrote, False)]  # who is online is not mailed
    seen = start_turn(actor=actor, conversation_id=conversation.pk, text="Four")
    mark_conversation_read(actor=in_acme.principal, conversation_id=conversation.pk)
    jobs.tell_person(seen.question.pk)
    hand_back(actor=in_acme.principal, conversation_id=conversation.pk)
    asked = ask(actor, conversation).reply_to_id
    assert asked is not None
    jobs.tell_person(asked)
    assert Notification.objects.filter(kind="message").count() == 2


# --- Races --------------------------------------------------------------------------------------------------------


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Character]:
    """Acme in a copy of the database, in which transactions really end. Nothing of it is left."""
    with django_db_blocker.unblock():
        settings = connection.settings_dict  # shared by the connections of all threads
        connection.close()  # a database is copied only while nobody is connected to it
        name, copy = str(settings["NAME"]), f"{settings['NAME']}_handover"
        server = f"postgresql://{settings['USER']}:{settings['PASSWORD']}@{settings['HOST']}:{settings['PORT']}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(copy), sql.Identifier(name)))
            settings["NAME"] = copy
            try:
                yield character("acme")
            finally:
                leave_company()
                connections.close_all()
                settings["NAME"] = name
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(copy)))


def _at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Each in a thread with its own connection, all let go at the same instant. What each returned or raised."""
    gate = threading.Barrier(len(calls))
    outcomes: list[Any] = [None] * len(calls)

    def run(place: int, call: Callable[[], Any]) -> None:
        try:
            gate.wait(10)
            outcomes[place] = call()
        except Exception as error:
            outcomes[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return outcomes


def test_of_two_who_take_it_at_the_same_instant_one_gets_it(committed: Character) -> None:
    with tenant_context(committed.company):
        people = [committed.principal, colleague(committed)]
        names = {people[0].id: "Acme Admin", people[1].id: "Grace Hopper"}
        for round_ in range(8):
            _, conversation, _ = visitor(committed, email=f"v{round_}@example.org")

            def take(actor: Principal, conversation_id: uuid.UUID = conversation.pk) -> Conversation:
                with tenant_context(committed.company):
                    return take_conversation(actor=actor, conversation_id=conversation_id)

            outcomes = _at_once(*(partial(take, actor) for actor in people))
            conversation.refresh_from_db()
            assert conversation.person_id is not None
            won = [one for one in outcomes if isinstance(one, Conversation)]
            [lost] = [one for one in outcomes if not isinstance(one, Conversation)]
            assert [one.person_id for one in won] == [conversation.person_id]
            assert isinstance(lost, ConversationTakenError), repr(lost)
            assert (lost.status, str(lost)) == (409, f"{names[conversation.person_id]} has this conversation.")
            assert Handover.objects.filter(conversation=conversation).count() == 1


def test_an_answer_and_a_take_over_at_the_same_instant(committed: Character) -> None:
    """The answer stands before the take-over, or there is none; and neither waits for the other for ever."""
    with tenant_context(committed.company):
        for round_ in range(8):
            actor, conversation, _ = visitor(committed, email=f"v{round_}@example.org")
            started = start_turn(actor=actor, conversation_id=conversation.pk, text="How long is the warranty?")

            def answer(reply_id: uuid.UUID = started.reply.pk) -> None:
                with tenant_context(committed.company):
                    claimed = Message.claim(reply_id, *turn.RELATED)
                    if claimed is not None:
                        turn._Turn(claimed)._say("Said.", [])

            def take(conversation_id: uuid.UUID = conversation.pk) -> None:
                with tenant_context(committed.company):
                    take_conversation(actor=committed.principal, conversation_id=conversation_id)

            outcomes = _at_once(answer, take)
            assert outcomes[1] is None, repr(outcomes[1])
            assert outcomes[0] is None or isinstance(outcomes[0], LostLeaseError), repr(outcomes[0])
            reply = Message.objects.get(pk=started.reply.pk)
            taken = Message.objects.get(conversation=conversation, role="system")
            if reply.is_archived:
                assert (reply.content, reply.error_code) == ("", "TAKEN_OVER")
            else:
                assert (reply.content, reply.position < taken.position) == ("Said.", True)


def test_a_question_and_a_take_over_at_the_same_instant(committed: Character) -> None:
    """It is answered by nobody but the person, whichever came first."""
    with tenant_context(committed.company):
        for round_ in range(6):
            actor, conversation, _ = visitor(committed, email=f"v{round_}@example.org")

            def write(actor: Principal = actor, conversation_id: uuid.UUID = conversation.pk) -> None:
                with tenant_context(committed.company):
                    started = start_turn(actor=actor, conversation_id=conversation_id, text="Hello?")
                    if not started.delivered_to:
                        turn.run(started.reply.pk)

            def take(conversation_id: uuid.UUID = conversation.pk) -> None:
                with tenant_context(committed.company):
                    take_conversation(actor=committed.principal, conversation_id=conversation_id)

            outcomes = _at_once(write, take)
            assert outcomes == [None, None]
            taken = Message.objects.get(conversation=conversation, role="system").position
            answers = Message.objects.live().filter(conversation=conversation, role="assistant")
            assert [row.position for row in answers if row.position > taken] == []
            assert texts(conversation, "user") == ["Hello?"]


def test_a_question_and_a_hand_back_at_the_same_instant(committed: Character) -> None:
    """The agent answers it once, whichever came first."""
    with tenant_context(committed.company):
        for round_ in range(6):
            actor, conversation, _ = visitor(committed, email=f"v{round_}@example.org")
            take_conversation(actor=committed.principal, conversation_id=conversation.pk)

            def write(actor: Principal = actor, conversation_id: uuid.UUID = conversation.pk) -> None:
                with tenant_context(committed.company):
                    start_turn(actor=actor, conversation_id=conversation_id, text="Hello?")

            def back(conversation_id: uuid.UUID = conversation.pk) -> None:
                with tenant_context(committed.company):
                    hand_back(actor=committed.principal, conversation_id=conversation_id)

            assert _at_once(write, back) == [None, None]
            question = Message.objects.get(conversation=conversation, role="user")
            assert Message.objects.get(conversation=conversation, role="assistant").reply_to_id == question.pk


# --- The chat path ------------------------------------------------------------------------------------------------


def test_a_question_to_the_agent_costs_what_it_did(
    in_acme: Character, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    actor, conversation, _ = visitor(in_acme)
    with_rules(in_acme, phrases=["human"], unanswered=3, bad_ratings=3, on_guardrail=True)
    with django_assert_num_queries(QUERIES_OF_A_QUESTION):
        start_turn(actor=actor, conversation_id=conversation.pk, text="How long is the warranty?")


# --- With a model -------------------------------------------------------------------------------------------------


def test_the_agents_model_writes_the_summary_and_never_hears_a_note(taught: Character) -> None:
    told = "The visitor lost order 17. It comes on Monday."

    def reply(body: Any) -> str:
        return told if "Say in at most five sentences" in json.dumps(body) else "It lasts 37 months [Source 1]."

    with OpenAIServer(reply=reply) as server:
        choices = {
            "llm_provider": "openai", "llm_model": "gpt-4o-mini", "llm_api_key": "k",
            "llm_api_base_url": server.base_url,
        }  # fmt: skip
        update_agent(actor=taught.principal, agent=taught.agent, changes={}, choices=choices)
        actor, conversation, _ = visitor(taught)
        take_conversation(actor=taught.principal, conversation_id=conversation.pk)
        start_turn(actor=actor, conversation_id=conversation.pk, text="Where is order 17?")
        add_note(actor=taught.principal, conversation_id=conversation.pk, text="Canary")
        send_as_person(actor=taught.principal, conversation_id=conversation.pk, text="It comes on Monday.")
        hand_back(actor=taught.principal, conversation_id=conversation.pk)
        jobs.summarise(Handover.objects.get().pk)
        assert Handover.objects.get().summary == told
        conversation.refresh_from_db()
        assert conversation.handover_summary == told
        assert ask(actor, conversation, QUESTION).status == "completed"
        heard_by_model = json.dumps([request.json for request in server.requests])
    assert len(server.requests) == 2
    assert "Canary" not in heard_by_model
    assert told in json.dumps(server.requests[1].json)


def test_where_the_model_fails_the_extract_stays(taught: Character) -> None:
    with OpenAIServer() as server:
        server.fail(500, "down")
        choices = {
            "llm_provider": "openai", "llm_model": "gpt-4o-mini", "llm_api_key": "k",
            "llm_api_base_url": server.base_url,
        }  # fmt: skip
        update_agent(actor=taught.principal, agent=taught.agent, changes={}, choices=choices)
        actor, conversation, _ = visitor(taught)
        take_conversation(actor=taught.principal, conversation_id=conversation.pk)
        start_turn(actor=actor, conversation_id=conversation.pk, text="Where is order 17?")
        hand_back(actor=taught.principal, conversation_id=conversation.pk)
        jobs.summarise(Handover.objects.get().pk)
    assert Handover.objects.get().summary == "Visitor: Where is order 17?"
