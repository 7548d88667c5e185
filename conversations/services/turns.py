"""Questions: asked, put anew, and answered once more. Answering itself is a worker's business (conversations.turn)."""

from __future__ import annotations

import json
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from agents.handover import read_handover
from agents.models import Agent
from agents.selectors import agent_without_settings
from conversations import handing, jobs, streams, tasks
from conversations.enums import EntityType, HandoverReason, MessageRole, MessageStatus, Owner
from conversations.exceptions import ConversationTakenError, NotNewestError, ReplacedMessageError, StillAnsweringError
from conversations.guarding import Guard
from conversations.models import Conversation, Message
from conversations.outbox import publish_message
from conversations.selectors import (
    get_conversation,
    get_message,
    is_open_to,
    live_reply,
    lock_conversation,
    newest_question,
)
from conversations.services.directory import (
    DEFAULT_TITLE,
    MAX_METADATA_LENGTH,
    begin_conversation,
    check_available,
)
from conversations.services.records import event_in, record
from conversations.wording import in_words, known_language, language_for, notice
from integrations.enums import EventType
from knowrithm.errors import ForbiddenError, InvalidInputError, NotFoundError
from knowrithm.jobs import create_task, current_schema, enqueue
from knowrithm.principal import Principal, PrincipalKind
from tenants.audit.models import AuditEvent
from tenants.audit.services import changed_fields, record_event, record_events

DEFAULT_TEST_QUESTION = "What can you help me with?"
UNFINISHED = frozenset({MessageStatus.PENDING, MessageStatus.PROCESSING})
MAX_MESSAGE_LENGTH = 16_000  # characters
UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me"})  # and marks on nothing
BLANKS = "\u115f\u1160\u2800\u3164\uffa0"  # letters and signs that are drawn as nothing


@dataclass(frozen=True, slots=True)
class Turn:
    """A question that has been taken and the reply that will be filled."""

    question: Message
    reply: Message  # of a question that was delivered to a person: never saved, as nothing will be filled
    delivered_to: str = ""  # the person's name

    @property
    def task_id(self) -> str:
        return str(self.reply.task_id)


def start_turn(
    *,
    actor: Principal,
    conversation_id: uuid.UUID,
    text: str,
    is_draft: bool = False,
    language: str = "",
    metadata: Mapping[str, Any] | None = None,
) -> Turn:
    """Save the question and an empty reply, and queue the answering. `is_draft` asks the agent's draft, if it has one.

    From now on the platform speaks `language` in the conversation, if it can. `metadata` joins the conversation's.

    Raises `InvalidInputError`, `NotFoundError`, and `ForbiddenError` for a visitor who asks for a draft.
    """
    text = clean_message(text)
    if is_draft and actor.kind == PrincipalKind.LEAD:
        raise ForbiddenError("Only the company's people can ask a draft.")
    with transaction.atomic():
        # The row's lock puts two messages at once into an order.
        conversation = lock_conversation(actor, conversation_id)
        conversation.language = known_language(language) or conversation.language
        _learn(conversation, metadata or {})
        turn, event = _take(actor, conversation, text, is_draft=is_draft)
        record_events([event])
    return turn


def _take(
    actor: Principal, conversation: Conversation, text: str, *, is_draft: bool = False
) -> tuple[Turn, AuditEvent]:
    """Returns what the audit log is to be told, too."""
    if conversation.owner != Owner.PERSON:  # who answers whether the agent does or not
        check_available(actor, conversation.agent, conversation.language)
    before = {"owner": conversation.owner}
    turn = _ask(conversation, text, is_draft=is_draft)
    changes = changed_fields(before, {"owner": conversation.owner})
    return turn, event_in(actor, "message.sent", turn.question, conversation.agent, changes=changes)


def _learn(conversation: Conversation, facts: Mapping[str, Any]) -> None:
    """Visitors go from page to page. Facts that are too many are left out: no question is refused for them."""
    known = {**conversation.metadata, **facts}
    if known != conversation.metadata and len(json.dumps(known)) <= MAX_METADATA_LENGTH:
        conversation.metadata = known
        Conversation.objects.filter(pk=conversation.pk).update(metadata=known)


@transaction.atomic
def ask_agent(
    *,
    actor: Principal,
    agent_id: uuid.UUID,
    conversation_id: uuid.UUID | None,
    text: str,
    metadata: Mapping[str, Any],
) -> Turn:
    """`start_turn` in a conversation with this agent, which begins here without `conversation_id`."""
    if conversation_id is not None:
        if get_conversation(actor, conversation_id).agent_id != agent_id:
            raise NotFoundError("There is no such conversation.")
        return start_turn(actor=actor, conversation_id=conversation_id, text=text)
    text = clean_message(text)
    agent = agent_without_settings(agent_id)
    conversation = begin_conversation(actor, agent, metadata=metadata)
    begun = event_in(actor, "conversation.created", conversation, agent)
    turn, asked = _take(actor, conversation, text)
    record_events([begun, asked])
    return turn


def edit_question(*, actor: Principal, message_id: uuid.UUID, text: str) -> Turn:
    """Put the newest question anew. It and its answer are archived, the new ones stand in their place."""
    text = clean_message(text)
    with transaction.atomic():
        question = _get_current(actor, message_id)
        conversation = lock_conversation(actor, question.conversation_id)
        check_available(actor, conversation.agent, conversation.language)
        check_has_agent(conversation)
        reply = _ended_reply_to_newest(conversation, question)
        _archive(conversation, [question, *([reply] if reply else [])])
        turn = _ask(
            conversation, text, is_draft=bool(reply and reply.is_draft), instead_of=question, instead_of_reply=reply
        )
        record(actor, "message.edited", turn.question, conversation.agent)
    return turn


def ask_again(*, actor: Principal, message_id: uuid.UUID) -> Turn:
    """Have the newest question answered once more; its answer is archived. `message_id` is of the one or the other."""
    with transaction.atomic():
        message = _get_current(actor, message_id)
        conversation = lock_conversation(actor, message.conversation_id)
        check_available(actor, conversation.agent, conversation.language)
        check_has_agent(conversation)
        question = message.reply_to or message
        reply = _ended_reply_to_newest(conversation, question)
        _archive(conversation, [reply] if reply else [])
        guard = Guard.of(conversation, conversation.agent)
        asked = reply.asked if reply else question.content
        turn = _answer_to(
            conversation,
            question,
            is_draft=bool(reply and reply.is_draft),
            refusal=guard.take_question(asked).refusal,
            instead_of=reply,
            asked=asked,
        )
        guard.save_decisions(turn.reply)
        record(actor, "message.answered_again", question, conversation.agent)
    return turn


@transaction.atomic
def stop_answer(*, actor: Principal, message_id: uuid.UUID) -> Message:
    """Have an answer end where it is, within a second. `message_id` is its own or its question's. Returns the answer.

    An answer that has ended stays as it is.
    """
    message = get_message(actor, message_id)
    reply = message if message.reply_to_id else live_reply(message)
    if reply is None:
        raise NotFoundError("This question has no answer.")
    if reply.status in UNFINISHED:
        schema, reply_id = current_schema(), reply.pk
        transaction.on_commit(lambda: streams.ask_to_stop(schema, reply_id))
    record(actor, "message.stopped", reply, message.conversation.agent)
    return reply


def _get_current(actor: Principal, message_id: uuid.UUID) -> Message:
    """`get_message`, or `ReplacedMessageError` where a newer one stands in its place."""
    try:
        return get_message(actor, message_id)
    except NotFoundError:
        rows = Message.objects.archived().select_related("conversation").filter(replaced_by__isnull=False)
        message = rows.filter(pk=message_id, conversation__archived_at=None).first()
        if message is None or not is_open_to(actor, message.conversation):
            raise
    raise ReplacedMessageError("This message was replaced by a newer one, which stands in its place.")


def _ended_reply_to_newest(conversation: Conversation, question: Message) -> Message | None:
    if newest_question(conversation) != question:
        raise NotNewestError("Only the newest question of a conversation can be changed or answered again.")
    reply = live_reply(question)
    if reply is not None and reply.status in UNFINISHED:
        raise StillAnsweringError("The answer is still being made. Wait for it, or stop it.")
    return reply


def _archive(conversation: Conversation, messages: Sequence[Message]) -> None:
    Message.objects.filter(pk__in=[message.pk for message in messages]).update(archived_at=timezone.now())
    conversation.message_count -= len(messages)


def _ask(
    conversation: Conversation,
    text: str,
    *,
    is_draft: bool,
    instead_of: Message | None = None,
    instead_of_reply: Message | None = None,
) -> Turn:
    guard = Guard.of(conversation, conversation.agent)
    taken = guard.take_question(text)
    conversation.last_position += 1
    question = Message(
        conversation=conversation,
        position=conversation.last_position,
        role=MessageRole.USER,
        content=taken.text,
        replaces=instead_of,
    )
    if conversation.title == DEFAULT_TITLE:
        conversation.title = " ".join(taken.text[:80].split())
    if conversation.owner == Owner.PERSON:
        turn = _deliver(conversation, question)
        guard.save_decisions(question)
        publish_message(EventType.MESSAGE_RECEIVED, question, conversation)
        return turn
    turn = _answer_to(conversation, question, is_draft=is_draft, refusal=taken.refusal, instead_of=instead_of_reply)
    guard.save_decisions(turn.reply)
    publish_message(EventType.MESSAGE_RECEIVED, turn.question, conversation)
    if phrase := _phrase_for_a_person(conversation, taken.text):
        handing.begin(conversation, reason=HandoverReason.RULE, words=f"“{phrase}”")
    return turn


def _phrase_for_a_person(conversation: Conversation, text: str) -> str:
    if conversation.entity_type != EntityType.LEAD or conversation.owner != Owner.AGENT:
        return ""
    return read_handover(conversation.agent.handover).phrase_in(text)


def check_has_agent(conversation: Conversation) -> None:
    if conversation.owner == Owner.PERSON:
        raise ConversationTakenError(f"{conversation.person_name} answers here now. Write a new message instead.")


def _deliver(conversation: Conversation, question: Message) -> Turn:
    """To the person who has the conversation. The agent does not answer; whoever waits is told so at once."""
    conversation.message_count += 1
    question.save(force_insert=True)
    handing.save(conversation)
    told = notice("delivered", name=conversation.person_name)
    reply = Message(
        conversation=conversation, position=question.position, role=MessageRole.SYSTEM, notices=[told],
        content=in_words([told], conversation.language), task_id=uuid.UUID(create_task()),
    )  # fmt: skip
    turn = Turn(question, reply, delivered_to=conversation.person_name)
    handing.announce_turn(question, reply)
    handing.announce_message(conversation, question)
    enqueue(tasks.tell_person, str(question.pk), countdown=jobs.UNSEEN_SECONDS, expires=3600)
    handing.end_turn(conversation, reply.task_id, told)
    return turn


def _answer_to(
    conversation: Conversation,
    question: Message,
    *,
    is_draft: bool,
    refusal: str = "",
    instead_of: Message | None = None,
    asked: str = "",
) -> Turn:
    """An empty reply, and the work to fill it. The question is saved with it when it is new.

    `refusal` is that of a guardrail: no model will hear of the question.
    """
    reply = handing.begin_reply(
        conversation, question, is_draft=is_draft, refusal=refusal, instead_of=instead_of, asked=asked
    )
    enqueue(tasks.answer, str(reply.id), expires=3600)
    return Turn(question, reply)


@transaction.atomic
def start_test(*, actor: Principal, agent: Agent, query: str = "", is_draft: bool = False) -> str:
    """Put a question to an agent as a visitor would, guardrails and all. Returns the task's id.

    Its conversation is archived from the start and deleted at its end, so it is in no list and no figure. Without
    `query` it is the agent's first starter question. Raises `InvalidInputError`.
    """
    starters = [*agent.starter_questions, DEFAULT_TEST_QUESTION]
    text = clean_message(query if query.strip() else str(starters[0]))
    conversation = Conversation.objects.create(
        agent=agent,
        entity_type=EntityType.USER,
        user_id=actor.user_id,
        title="Test",
        language=language_for("", agent),
        message_count=2,
        last_position=2,
        archived_at=timezone.now(),
    )
    guard = Guard.of(conversation, agent)
    taken = guard.take_question(text)
    question = Message(conversation=conversation, position=1, role=MessageRole.USER, content=taken.text)
    reply = Message(
        conversation=conversation,
        position=2,
        role=MessageRole.ASSISTANT,
        status=MessageStatus.PENDING,
        content=taken.refusal,
        is_blocked=bool(taken.refusal),
        reply_to=question,
        task_id=uuid.UUID(create_task()),
        is_draft=is_draft and agent.has_draft,
    )
    Message.objects.bulk_create([question, reply])
    task_id = create_task()
    enqueue(tasks.test_agent, str(reply.id), task_id, expires=3600)
    record_event(actor=actor, event_type="agent.tested", entity=agent)
    return task_id


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in UNSEEN and character not in BLANKS


def clean_message(text: str) -> str:
    """The message without what PostgreSQL cannot store. Raises `InvalidInputError` when it is too long, or when nothing
    of it can be seen."""
    cleaned = text.replace("\0", "").encode("utf-8", "replace").decode().strip()
    if not any(map(_is_visible, cleaned)):
        raise InvalidInputError("The message is empty.", fields={"message": ["Write something."]})
    if len(cleaned) > MAX_MESSAGE_LENGTH:
        raise InvalidInputError(
            f"The message is {len(cleaned):,} characters long; at most {MAX_MESSAGE_LENGTH:,} can be taken.",
            fields={"message": [f"At most {MAX_MESSAGE_LENGTH:,} characters."]},
        )
    return cleaned
