"""What happens to the rows when a conversation changes hands. The conversation's row is locked by the caller."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from agents.enums import AgentStatus
from agents.handover import read_handover
from agents.hours import read_hours
from agents.models import Agent
from conversations import streams
from conversations.enums import (
    ConversationStatus,
    EntityType,
    HandoverEnd,
    HandoverReason,
    MessageRole,
    MessageStatus,
    Owner,
)
from conversations.guarding import Guard
from conversations.handover import Act, owner_after
from conversations.models import Conversation, Handover, Message
from conversations.outbox import publish_handover
from conversations.records import message_record
from conversations.selectors import left_open
from conversations.wording import Notice, in_words, notice
from documents.follow_ups import is_self_contained
from integrations.enums import EventType
from integrations.notifications.enums import Kind
from integrations.notifications.services import notify
from knowrithm.jobs import complete_task, create_task, current_schema

ASKS = re.compile(r"[?？؟;]")  # the last one is the Greek mark
CHANGED = (
    "owner", "person_id", "person_name", "status", "message_count", "last_position", "last_activity",
    "handover_summary", "read_position", "mailed_position", "language",
)  # fmt: skip
NO_MAILBOX = ".invalid"  # of the addresses that nameless visitors are given
TAKEN_OVER = "TAKEN_OVER"
MOST_OPEN, LONGEST_OPEN = 20, 16_000  # messages and characters that are answered in one


# --- Messages that are no turn ------------------------------------------------------------------------------------


def post(
    conversation: Conversation,
    text: str,
    *,
    notices: Sequence[Notice] = (),
    author_id: uuid.UUID | None = None,
    author_name: str = "",
) -> Message:
    """A message of a person, or of the system without `author_id`. Call `save` afterwards."""
    conversation.last_position += 1
    conversation.message_count += 1
    message = Message.objects.create(
        conversation=conversation,
        position=conversation.last_position,
        role=MessageRole.ASSISTANT if author_id else MessageRole.SYSTEM,
        content=text,
        notices=list(notices),
        author_id=author_id,
        author_name=author_name,
    )
    announce_message(conversation, message)
    return message


def tell(conversation: Conversation, *notices: Notice) -> Message:
    """What the platform says, in the conversation's language. Call `save` afterwards."""
    return post(conversation, in_words(notices, conversation.language), notices=notices)


def save(conversation: Conversation) -> None:
    conversation.last_activity = timezone.now()
    conversation.save(update_fields=[*CHANGED, "updated_at"])


def announce_message(conversation: Conversation, message: Message) -> None:
    """Once it is there for good, to the visitor's listeners and to the inbox."""
    schema, record = current_schema(), message_record(message, for_visitor=True)
    say_later(lambda: streams.publish(schema, conversation.pk, streams.MESSAGE, {"message": record}))
    tell_inbox_later(conversation, "message")


def tell_inbox_later(conversation: Conversation, what: str) -> None:
    schema = current_schema()
    say_later(lambda: streams.tell_inbox(schema, conversation.pk, what))


def say_later(say: Any) -> None:
    transaction.on_commit(say, robust=True)


# --- Owners -------------------------------------------------------------------------------------------------------


def owner_record(conversation: Conversation) -> dict[str, Any]:
    """Who speaks, for the visitor too, and whether one who waits has to say where to be answered."""
    return {
        "owner": conversation.owner,
        "person": {"name": conversation.person_name} if conversation.owner == Owner.PERSON else None,
        "agent": {"name": conversation.agent.name},
        "needs_email": conversation.owner == Owner.WAITING
        and not is_reachable_by_mail(conversation, open_handover(conversation)),
    }


def announce_owner(conversation: Conversation) -> None:
    schema, record = current_schema(), owner_record(conversation)
    say_later(lambda: streams.publish(schema, conversation.pk, streams.OWNER, record))
    tell_inbox_later(conversation, "owner")


def begin(conversation: Conversation, *, reason: HandoverReason, words: str = "") -> Handover:
    """From the agent, or from being closed, to waiting for a person: with a word to the visitor and to the team."""
    conversation.owner = owner_after(conversation.owner, Act.REQUEST)
    conversation.status = ConversationStatus.ACTIVE
    handover = open_handover(conversation) or Handover(conversation=conversation)
    handover.reason, handover.words = reason, " ".join(words.split())[:500]
    handover.save()
    tell(conversation, *waiting_notices(conversation, handover))
    save(conversation)
    announce_owner(conversation)
    publish_handover(EventType.HANDOVER_REQUESTED, handover, conversation)
    notify(
        kind=Kind.HANDOVER, key=str(handover.pk), path=inbox_path(conversation),
        text=f"A visitor of {conversation.agent.name} wants a person",
        is_mailed=False,  # mailed when nobody comes: jobs.alert_unanswered
    )  # fmt: skip
    return handover


def begin_if_free(conversation_id: uuid.UUID, *, reason: HandoverReason, words: str) -> Handover | None:
    """What a rule does that has fired in a worker: nothing where somebody has been asked for meanwhile."""
    rows = Conversation.objects.live().select_related("agent").select_for_update(of=("self",))
    conversation = rows.filter(pk=conversation_id, owner=Owner.AGENT).first()
    return begin(conversation, reason=reason, words=words) if conversation else None


def let_go(conversation: Conversation) -> list[str]:
    """Nobody is waited for any more, as the conversation was put away. Returns the fields to save."""
    _end_handover(conversation, HandoverEnd.CLOSED)
    conversation.owner, conversation.person_id, conversation.person_name = Owner.CLOSED, None, ""
    announce_owner(conversation)
    return ["owner", "person_id", "person_name"]


def leave(
    conversation: Conversation, *, reason: HandoverReason = HandoverReason.LEFT, end: HandoverEnd = HandoverEnd.LEFT
) -> Handover:
    """Its person cannot answer any more, or does not: it waits for another one, and the visitor is told so."""
    _end_handover(conversation, end)
    conversation.owner = owner_after(conversation.owner, Act.LEAVE)
    conversation.person_id, conversation.person_name = None, ""
    return begin(conversation, reason=reason)


def _end_handover(conversation: Conversation, end: HandoverEnd) -> None:
    handover = open_handover(conversation)
    if handover is not None:
        handover.ended_at, handover.end = timezone.now(), end
        handover.save(update_fields=["ended_at", "end", "updated_at"])
        publish_handover(EventType.HANDOVER_ENDED, handover, conversation)


def open_handover(conversation: Conversation) -> Handover | None:
    found: Handover | None = Handover.objects.filter(conversation=conversation, ended_at=None).first()
    return found


def waiting_notices(conversation: Conversation, handover: Handover) -> list[Notice]:
    agent = conversation.agent
    hours = read_hours(agent.operating_hours)
    is_closed = hours is not None and not hours.is_open(timezone.now())
    said = [notice("waiting_closed", hours=agent.operating_hours) if is_closed else notice("waiting")]
    said.append(notice("agent_goes_on", agent=agent.name))
    if not is_reachable_by_mail(conversation, handover):
        said.append(notice("leave_address"))
    return said


def is_reachable_by_mail(conversation: Conversation, handover: Handover | None) -> bool:
    return bool(mail_address_of(conversation, handover))


def mail_address_of(conversation: Conversation, handover: Handover | None) -> str:
    """The visitor's; empty if none is known. What they left last counts."""
    if handover is not None and handover.contact_email:
        return str(handover.contact_email)
    known = conversation.lead.person.email if conversation.lead else ""
    return "" if known.endswith(NO_MAILBOX) else known


def inbox_path(conversation: Conversation) -> str:
    return f"{reverse('inbox')}?conversation={conversation.pk}"


# --- Answers that are to be made ----------------------------------------------------------------------------------


def begin_reply(
    conversation: Conversation,
    question: Message,
    *,
    is_draft: bool = False,
    refusal: str = "",
    instead_of: Message | None = None,
    asked: str = "",
) -> Message:
    """An empty reply, which whoever calls this has filled. The question is saved with it when it is new.

    `refusal` is that of a guardrail: no model will hear of the question. `asked` is what is to be answered, where that
    is more than the question.
    """
    conversation.last_position += 1
    reply = Message(
        conversation=conversation,
        position=conversation.last_position,
        role=MessageRole.ASSISTANT,
        status=MessageStatus.PENDING,
        content=refusal,
        is_blocked=bool(refusal),
        reply_to=question,
        replaces=instead_of,
        task_id=uuid.UUID(create_task()),
        is_draft=is_draft and conversation.agent.has_draft,
        author_name=conversation.agent.name,
        trace={"asked": asked} if asked and asked != question.content else {},
    )
    new = [question, reply] if question._state.adding else [reply]
    Message.objects.bulk_create(new)
    was_closed = conversation.owner == Owner.CLOSED
    conversation.owner = owner_after(conversation.owner, Act.WRITE)
    conversation.status = ConversationStatus.ACTIVE
    conversation.message_count += len(new)
    Conversation.objects.filter(pk=conversation.pk).update(
        message_count=conversation.message_count,
        last_position=conversation.last_position,
        last_activity=timezone.now(),
        title=conversation.title,
        language=conversation.language,
        owner=conversation.owner,
        status=conversation.status,
    )
    if was_closed:
        announce_owner(conversation)
    elif conversation.owner == Owner.WAITING:
        tell_inbox_later(conversation, "message")
    announce_turn(question, reply)
    return reply


def announce_turn(question: Message, reply: Message) -> None:
    schema, conversation_id = current_schema(), reply.conversation_id
    data = {"status": "queued", "message_id": str(question.pk), "task_id": str(reply.task_id)}
    say_later(lambda: streams.publish(schema, conversation_id, streams.STATUS, data))


def take_up_question(conversation: Conversation) -> Message | None:
    """When its person has gone, the agent's one reply to all that the visitor has written and nobody has answered.

    An empty one, which whoever calls this has filled; None where nothing is open, which a "Thank you!" does not leave,
    or the agent would not take a new question either. A message that a guardrail refuses is left out, unless nothing
    is asked in the others.
    """
    messages = left_open(conversation, limit=MOST_OPEN)
    is_visitors = conversation.entity_type == EntityType.LEAD
    if not any(map(_asks, messages)) or not is_available(conversation.agent, to_visitors=is_visitors):
        return None
    guard = Guard.of(conversation, conversation.agent)
    refusals = [guard.take_question(message.content).refusal for message in messages]
    taken = [message for message, refusal in zip(messages, refusals, strict=True) if not refusal]
    is_asked = any(map(_asks, taken))
    reply = begin_reply(
        conversation,
        messages[-1],
        asked=_as_one(taken) if is_asked else "",
        refusal="" if is_asked else next(filter(None, refusals)),
    )
    guard.save_decisions(reply)
    return reply


def _asks(message: Message) -> bool:
    return bool(ASKS.search(message.content)) or is_self_contained(message.content)


def _as_one(messages: Sequence[Message]) -> str:
    """Of too much, the newest."""
    text = messages[-1].content
    for message in reversed(messages[:-1]):
        if len(text) + len(message.content) >= LONGEST_OPEN:
            break
        text = f"{message.content}\n{text}"
    return str(text)


def is_available(agent: Agent, *, to_visitors: bool) -> bool:
    """The team may try an agent at any time until it is archived, visitors talk to active ones."""
    return agent.archived_at is None and (not to_visitors or agent.status == AgentStatus.ACTIVE)


# --- Answers that come too late -----------------------------------------------------------------------------------


def withdraw_answers(conversation: Conversation) -> int:
    """An answer that is still being made is not given any more: a person speaks now. Returns how many.

    Its row is ended and archived, so the turn finds that it is not its own any more; listeners hear that the turn has
    ended, and are told nothing that comes after.
    """
    unfinished = [MessageStatus.PENDING, MessageStatus.PROCESSING]
    replies = list(Message.objects.live().filter(conversation=conversation, status__in=unfinished))
    if not replies:
        return 0
    Message.objects.filter(pk__in=[reply.pk for reply in replies]).update(
        status=MessageStatus.FAILED, error_code=TAKEN_OVER, error=f"{conversation.person_name} took over.",
        lease_id=None, lease_until=None, archived_at=timezone.now(),
    )  # fmt: skip
    conversation.message_count -= len(replies)
    schema = current_schema()
    for reply in replies:
        say_later(lambda reply_id=reply.pk: streams.ask_to_stop(schema, reply_id))
        end_turn(conversation, reply.task_id, notice("taken", name=conversation.person_name))
    return len(replies)


def end_turn(conversation: Conversation, task_id: uuid.UUID | None, told: Notice) -> None:
    """Say to whoever waits for an answer of the agent that a person will answer, in a way that every client ends at."""
    schema, task, conversation_id = current_schema(), str(task_id), str(conversation.pk)
    who, text = owner_record(conversation), in_words([told], conversation.language)
    result = {
        "conversation_id": conversation_id, "role": "system", "content": text, "response": text,
        "status": "completed", "sources": [], **who,
    }  # fmt: skip
    message = {
        "id": task, "conversation_id": conversation_id, "role": "system", "content": text, "notices": [told],
        "sources": [],
        "status": "completed", "is_refusal": False, "is_blocked": False,
        "author": {"kind": "system", "name": None},
    }  # fmt: skip
    event = {"task_id": task, "status": "completed", "message": message, **who}

    def say() -> None:
        complete_task(task, result)
        streams.publish(schema, conversation_id, streams.RESPONSE, event)

    say_later(say)


# --- Rules --------------------------------------------------------------------------------------------------------


def rule_after_answer(
    agent: Agent, conversation: Conversation, reply: Message, *, is_refusal: bool, is_blocked: bool
) -> HandoverReason | None:
    """Why the conversation is to be handed over after this answer; None if it is not. At most one query.

    Of visitors' conversations alone, and only while the agent has them.
    """
    if conversation.entity_type != EntityType.LEAD or conversation.owner != Owner.AGENT:
        return None
    rules = read_handover(agent.handover)
    if is_blocked:
        return HandoverReason.GUARDRAIL if rules.on_guardrail else None
    if not (is_refusal and rules.unanswered):
        return None
    before = _last_refusals(conversation, reply, rules.unanswered - 1) if rules.unanswered > 1 else []
    return HandoverReason.EVIDENCE if len(before) == rules.unanswered - 1 and all(before) else None


def _last_refusals(conversation: Conversation, reply: Message, count: int) -> Sequence[bool]:
    rows = Message.objects.live().filter(
        conversation=conversation, reply_to__isnull=False, status=MessageStatus.COMPLETED,
        position__lt=reply.position, is_blocked=False,
    )  # fmt: skip
    return list(rows.order_by("-position").values_list("is_refusal", flat=True)[:count])


def count_bad_ratings(conversation: Conversation) -> int:
    return Message.objects.live().filter(conversation=conversation, user_feedback__lt=0).count()


def add_tokens(conversation: Conversation, tokens: int) -> bool:
    """What an answer has cost, in the conversation's row, which is locked by this. False: a person has taken over.

    Who has it, and the place of its newest message, are in the row in hand as they are now.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Conversation._meta.db_table} SET total_tokens = total_tokens + %s, last_activity = %s "  # noqa: S608  # our own table's name
            "WHERE id = %s AND owner <> %s RETURNING owner, last_position",
            [tokens, timezone.now(), conversation.pk, Owner.PERSON],
        )
        row = cursor.fetchone()
    if row is None:
        return False
    conversation.owner, conversation.last_position = row
    return True
