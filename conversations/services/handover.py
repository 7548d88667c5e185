"""Conversations between the agent and the company's people: asked for, taken, assigned, handed back and closed.

Each of these locks the conversation's row, so that of two people at the same instant one gets it and the other is told
who has.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from agents.handover import read_handover
from conversations import handing, streams, tasks
from conversations.enums import ConversationStatus, HandoverEnd, HandoverReason, Owner
from conversations.exceptions import HandoverNotOfferedError, HandoverStateError
from conversations.handover import Act, check_has, check_may, owner_after
from conversations.models import Conversation, Handover, Message, PrivateNote
from conversations.outbox import publish_conversation, publish_handover
from conversations.selectors import get_conversation, lock_conversation
from conversations.services.turns import clean_message
from conversations.summary import extract_summary
from conversations.wording import Notice, notice, sentence
from integrations.enums import EventType
from integrations.notifications.enums import Kind
from integrations.notifications.services import notify
from knowrithm.errors import InvalidInputError, NotFoundError
from knowrithm.jobs import current_schema, enqueue
from knowrithm.principal import Principal, PrincipalKind
from tenants.audit.services import changed_fields, record_event
from tenants.enums import UserStatus
from tenants.models import User

LONGEST_SUMMARY, LONGEST_NOTE = 4000, 8000


def display_name(user: User, language: str = "") -> str:
    """As the visitor reads it, who is not told the address of a person without a name."""
    return (user.full_name or sentence("our_team", language))[:200]


# --- Asking for a person ------------------------------------------------------------------------------------------


@transaction.atomic
def request_handover(*, actor: Principal, conversation_id: uuid.UUID, words: str = "") -> Conversation:
    """A visitor, or who talks for one, wants a person. Asking again changes nothing.

    Raises `NotFoundError`, `HandoverNotOfferedError`.
    """
    conversation = lock_conversation(actor, conversation_id)
    rules = read_handover(conversation.agent.handover)
    if actor.kind == PrincipalKind.LEAD and not rules.is_offered:
        raise HandoverNotOfferedError("Nobody can be asked for here. Please ask the assistant.")
    before = conversation.owner
    entity: Handover | Conversation | None = None
    if before in {Owner.AGENT, Owner.CLOSED}:
        entity = handing.begin(conversation, reason=HandoverReason.VISITOR, words=words)
    _record(actor, "handover.requested", entity or conversation, conversation, {"owner": before})
    return conversation


@transaction.atomic
def leave_address(*, actor: Principal, conversation_id: uuid.UUID, email: str) -> Handover:
    """Where the visitor can be answered who waits for a person and has said no address before.

    Raises `HandoverStateError` when nobody is waited for.
    """
    conversation = lock_conversation(actor, conversation_id)
    handover = handing.open_handover(conversation)
    if handover is None:
        raise HandoverStateError("Ask for a person first; then leave your address.")
    handover.contact_email = email
    handover.save(update_fields=["contact_email", "updated_at"])
    handing.announce_owner(conversation)
    _record(actor, "handover.address_left", handover, conversation)
    return handover


# --- Who has it ---------------------------------------------------------------------------------------------------


@transaction.atomic
def take_conversation(*, actor: Principal, conversation_id: uuid.UUID) -> Conversation:
    """The caller has it from now on. Raises `ConversationTakenError`, which names who has it instead."""
    conversation = lock_conversation(actor, conversation_id)
    _check(Act.TAKE, actor, conversation)
    before = _owner_of(conversation)
    user = _person(actor.company_id, actor.person_id)
    if conversation.person_id != user.pk:
        handover = _give(conversation, user, Act.TAKE)
        publish_handover(EventType.HANDOVER_ASSIGNED, handover, conversation)
    _record(actor, "handover.taken", conversation, conversation, before)
    return conversation


@transaction.atomic
def assign_conversation(*, actor: Principal, conversation_id: uuid.UUID, user_id: uuid.UUID) -> Conversation:
    """Somebody of the company has it from now on, and is notified.

    Raises `NotFoundError` for people who are not there, `ConversationTakenError` for somebody else's conversation.
    """
    conversation = lock_conversation(actor, conversation_id)
    _check(Act.ASSIGN, actor, conversation)
    before = _owner_of(conversation)
    user = _person(actor.company_id, user_id)
    if conversation.person_id != user.pk:
        handover = _give(conversation, user, Act.ASSIGN)
        publish_handover(EventType.HANDOVER_ASSIGNED, handover, conversation)
        if user.pk != actor.user_id:
            notify(
                kind=Kind.ASSIGNED, key=str(uuid.uuid4()), user_ids=[user.pk], path=handing.inbox_path(conversation),
                text=f"A conversation with {conversation.agent.name} was given to you",
            )  # fmt: skip
    _record(actor, "handover.assigned", conversation, conversation, before)
    return conversation


def _give(conversation: Conversation, user: User, act: Act) -> Handover:
    now, name = timezone.now(), display_name(user, conversation.language)
    handover = handing.open_handover(conversation) or Handover(conversation=conversation, reason=HandoverReason.PERSON)
    handover.user_id, handover.user_name = user.pk, name
    handover.assigned_at = handover.assigned_at or now
    handover.save()
    conversation.owner = owner_after(conversation.owner, act)
    conversation.status = ConversationStatus.ACTIVE
    conversation.person_id, conversation.person_name = user.pk, name
    handing.withdraw_answers(conversation)
    handing.tell(conversation, notice("taken", name=name))
    handing.save(conversation)
    handing.announce_owner(conversation)
    return handover


@transaction.atomic
def hand_back(*, actor: Principal, conversation_id: uuid.UUID, summary: str = "") -> Conversation:
    """The agent answers again, first what the visitor has written that nobody has answered.

    It knows what was settled: by `summary`, or else by one that is taken from the messages at once, and for which the
    agent's model, where it has one, writes a better one afterwards.
    """
    conversation = lock_conversation(actor, conversation_id)
    _check(Act.HAND_BACK, actor, conversation)
    before = _owner_of(conversation)
    conversation.owner = owner_after(conversation.owner, Act.HAND_BACK)
    given = summary.strip()
    if len(given) > LONGEST_SUMMARY:
        raise InvalidInputError(
            f"The summary has at most {LONGEST_SUMMARY:,} characters.", fields={"summary": ["Shorten it."]}
        )
    handover = handing.open_handover(conversation)
    text = given or (extract_summary(conversation, handover) if handover else "")
    conversation.handover_summary = text or conversation.handover_summary
    _end(conversation, handover, HandoverEnd.HANDED_BACK, text, notice("handed_back", agent=conversation.agent.name))
    if reply := handing.take_up_question(conversation):
        enqueue(tasks.answer, str(reply.pk), expires=3600)
    if handover is not None and text and not given:
        enqueue(tasks.summarise, str(handover.pk), expires=3600)
    _record(actor, "handover.handed_back", conversation, conversation, before)
    return conversation


@transaction.atomic
def close_conversation(*, actor: Principal, conversation_id: uuid.UUID) -> Conversation:
    """Nothing is left to do. When the visitor writes again, the agent answers."""
    conversation = lock_conversation(actor, conversation_id)
    _check(Act.CLOSE, actor, conversation)
    before = _owner_of(conversation)
    conversation.owner = owner_after(conversation.owner, Act.CLOSE)
    conversation.status = ConversationStatus.CLOSED
    handover = handing.open_handover(conversation)
    text = extract_summary(conversation, handover) if handover else ""
    conversation.handover_summary = text or conversation.handover_summary
    _end(conversation, handover, HandoverEnd.CLOSED, text, notice("ended"))
    _record(actor, "handover.closed", conversation, conversation, before)
    return conversation


def _end(conversation: Conversation, handover: Handover | None, end: HandoverEnd, summary: str, told: Notice) -> None:
    conversation.person_id, conversation.person_name = None, ""
    handing.tell(conversation, told)
    conversation.read_position = conversation.last_position
    handing.save(conversation)
    handing.announce_owner(conversation)
    if end == HandoverEnd.CLOSED:
        publish_conversation(EventType.CONVERSATION_ENDED, conversation)
    if handover is not None:
        handover.ended_at, handover.end, handover.summary = timezone.now(), end, summary
        handover.save()
        publish_handover(EventType.HANDOVER_ENDED, handover, conversation)


def _check(act: Act, actor: Principal, conversation: Conversation) -> None:
    check_may(
        act, owner=conversation.owner, person_id=conversation.person_id, person_name=conversation.person_name,
        actor_id=actor.person_id, is_admin=actor.is_admin,
    )  # fmt: skip


# --- What people write --------------------------------------------------------------------------------------------


def send_as_person(*, actor: Principal, conversation_id: uuid.UUID, text: str) -> Message:
    """To the visitor, under the person's name. Raises `NotTakenError`, `ConversationTakenError`."""
    text = clean_message(text)
    with transaction.atomic():
        conversation = lock_conversation(actor, conversation_id)
        check_has(
            owner=conversation.owner, person_id=conversation.person_id, person_name=conversation.person_name,
            actor_id=actor.person_id,
        )  # fmt: skip
        message = handing.post(
            conversation, text, author_id=conversation.person_id, author_name=conversation.person_name
        )
        conversation.read_position = conversation.last_position
        handing.save(conversation)
        _record(actor, "message.sent_by_person", message, conversation)
        enqueue(tasks.mail_visitor, str(conversation.pk), countdown=settings.VISITOR_GONE_SECONDS, expires=24 * 3600)
    return message


def add_note(*, actor: Principal, conversation_id: uuid.UUID, text: str) -> PrivateNote:
    """For the company's people alone: neither the visitor nor the model ever reads it."""
    text = clean_message(text)
    if len(text) > LONGEST_NOTE:
        raise InvalidInputError(f"A note has at most {LONGEST_NOTE:,} characters.", fields={"text": ["Shorten it."]})
    with transaction.atomic():
        conversation = lock_conversation(actor, conversation_id)
        author = _person(actor.company_id, actor.person_id)
        note = PrivateNote.objects.create(
            conversation=conversation, after_position=conversation.last_position, text=text, author_id=author.pk,
            author_name=str(author)[:254],
        )  # fmt: skip
        handing.tell_inbox_later(conversation, "note")
        _record(actor, "conversation.noted", note, conversation)
    return note


def mark_conversation_read(*, actor: Principal, conversation_id: uuid.UUID) -> None:
    """Up to its newest message. Not written into the audit log: what was looked at changes nothing."""
    conversation = get_conversation(actor, conversation_id)
    rows = Conversation.objects.filter(pk=conversation.pk, read_position__lt=conversation.last_position)
    if rows.update(read_position=conversation.last_position):
        handing.tell_inbox_later(conversation, "read")


def say_typing(*, actor: Principal, conversation_id: uuid.UUID, is_typing: bool) -> None:
    """To those who listen at this moment. It is stored nowhere."""
    conversation = get_conversation(actor, conversation_id)
    is_visitor = actor.kind == PrincipalKind.LEAD
    if not is_visitor and (conversation.owner != Owner.PERSON or conversation.person_id != actor.user_id):
        return  # who does not speak here is not announced
    who = {"kind": "visitor", "name": None} if is_visitor else {"kind": "person", "name": conversation.person_name}
    streams.say_typing(current_schema(), conversation.pk, {"author": who, "is_typing": is_typing})


def set_presence(*, actor: Principal, is_away: bool) -> None:
    streams.set_away(current_schema(), actor.person_id, is_away=is_away)


def _person(company_id: uuid.UUID, user_id: uuid.UUID) -> User:
    """An active person of the company. Raises `NotFoundError`."""
    user = User.objects.filter(pk=user_id, company_id=company_id, status=UserStatus.ACTIVE).first()
    if user is None:
        raise NotFoundError("There is no such person.")
    return user


def _owner_of(conversation: Conversation) -> dict[str, object]:
    return {"owner": conversation.owner, "person_id": conversation.person_id}


def _record(
    actor: Principal,
    event_type: str,
    row: Conversation | Handover | Message | PrivateNote,
    conversation: Conversation,
    before: dict[str, object] | None = None,
) -> None:
    after = {name: value for name, value in _owner_of(conversation).items() if name in (before or {})}
    record_event(
        actor=actor, event_type=event_type, entity=row, entity_label=f"with {conversation.agent.name}",
        changes=changed_fields(before or {}, after),
    )  # fmt: skip
