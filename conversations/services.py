"""What a request does to conversations. Answering is a worker's business (conversations.turn)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from agents.enums import AgentStatus
from agents.models import Agent
from agents.selectors import get_agent
from conversations import streams, tasks
from conversations.enums import EntityType, MessageRole, MessageStatus
from conversations.exceptions import AgentUnavailableError
from conversations.guarding import Guard
from conversations.models import Conversation, Message
from conversations.selectors import archived_conversations, get_conversation, lock_conversation
from knowrithm.errors import InvalidInputError, NotFoundError
from knowrithm.jobs import create_task, current_schema, enqueue
from knowrithm.principal import Principal, PrincipalKind
from tenants.audit.services import record_event

MAX_MESSAGE_LENGTH = 16_000  # characters
DEFAULT_TITLE = "New Conversation"


@dataclass(frozen=True, slots=True)
class Turn:
    """A question that has been taken and the reply that will be filled."""

    question: Message
    reply: Message

    @property
    def task_id(self) -> str:
        return str(self.reply.task_id)


@transaction.atomic
def create_conversation(
    *,
    actor: Principal,
    agent: Agent,
    title: str = DEFAULT_TITLE,
    metadata: Mapping[str, Any] | None = None,
    max_context_length: int = 4000,
) -> Conversation:
    is_lead = actor.kind == PrincipalKind.LEAD
    if is_lead and actor.agent_id != agent.id:
        raise NotFoundError("There is no such agent.")
    _check_available(actor, agent)
    conversation = Conversation.objects.create(
        agent=agent,
        entity_type=EntityType.LEAD if is_lead else EntityType.USER,
        lead_id=actor.id if is_lead else None,
        user_id=actor.user_id,
        api_key_id=actor.id if actor.kind == PrincipalKind.API_KEY else None,
        title=title.strip()[:200] or DEFAULT_TITLE,
        metadata=dict(metadata or {}),
        max_context_length=max_context_length,
    )
    Agent.objects.filter(pk=agent.pk).update(total_conversations=F("total_conversations") + 1)
    _record(actor, "conversation.created", conversation, agent)
    return conversation


def _record(actor: Principal, event_type: str, row: Conversation | Message, agent: Agent) -> None:
    """Without titles and texts: what people say is theirs to have deleted, and the log keeps its rows."""
    record_event(actor=actor, event_type=event_type, entity=row, entity_label=f"with {agent.name}")


def start_turn(*, actor: Principal, conversation_id: uuid.UUID, text: str) -> Turn:
    """Save the question and an empty reply, and queue the answering. Raises `InvalidInputError`, `NotFoundError`."""
    text = clean_message(text)
    with transaction.atomic():
        # The row's lock puts two messages at once into an order.
        locked = lock_conversation(actor, conversation_id)
        _check_available(actor, locked.agent)
        guard = Guard.of(locked, locked.agent)
        taken = guard.take_question(text)
        text = taken.text
        position, now = locked.message_count + 1, timezone.now()
        question = Message(conversation=locked, position=position, role=MessageRole.USER, content=text)
        reply = Message(
            conversation=locked,
            position=position + 1,
            role=MessageRole.ASSISTANT,
            status=MessageStatus.PENDING,
            content=taken.refusal,
            is_blocked=bool(taken.refusal),
            reply_to=question,
            task_id=uuid.UUID(create_task()),
        )
        Message.objects.bulk_create([question, reply])
        guard.save_decisions(reply)
        title = text[:80] if locked.title == DEFAULT_TITLE else locked.title
        Conversation.objects.filter(pk=locked.pk).update(
            message_count=position + 1, last_activity=now, title=" ".join(title.split())
        )
        turn = Turn(question, reply)
        _announce(turn)
        enqueue(tasks.answer, str(reply.id), expires=3600)
        _record(actor, "message.sent", question, locked.agent)
    return turn


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
    if conversation_id is None:
        agent = get_agent(agent_id)
        conversation_id = create_conversation(actor=actor, agent=agent, metadata=metadata).id
    elif get_conversation(actor, conversation_id).agent_id != agent_id:
        raise NotFoundError("There is no such conversation.")
    return start_turn(actor=actor, conversation_id=conversation_id, text=text)


def _check_available(actor: Principal, agent: Agent) -> None:
    """The team may try an agent at any time, visitors talk to active ones."""
    if actor.kind == PrincipalKind.LEAD and agent.status != AgentStatus.ACTIVE:
        raise AgentUnavailableError("This assistant is not available at the moment.")


def clean_message(text: str) -> str:
    """The message without what PostgreSQL cannot store. Raises `InvalidInputError` when it is empty or too long."""
    cleaned = text.replace("\0", "").encode("utf-8", "replace").decode().strip()
    if not cleaned:
        raise InvalidInputError("The message is empty.", fields={"message": ["Write something."]})
    if len(cleaned) > MAX_MESSAGE_LENGTH:
        raise InvalidInputError(
            f"The message is {len(cleaned):,} characters long; at most {MAX_MESSAGE_LENGTH:,} can be taken.",
            fields={"message": [f"At most {MAX_MESSAGE_LENGTH:,} characters."]},
        )
    return cleaned


def _announce(turn: Turn) -> None:
    schema, conversation_id = current_schema(), turn.reply.conversation_id
    data = {"status": "queued", "message_id": str(turn.question.id), "task_id": turn.task_id}
    transaction.on_commit(lambda: streams.publish(schema, conversation_id, streams.STATUS, data), robust=True)


@transaction.atomic
def archive_conversation(*, actor: Principal, conversation: Conversation) -> int:
    """Returns the number of its messages."""
    conversation.archived_at = timezone.now()
    conversation.save(update_fields=["archived_at", "updated_at"])
    count = Message.objects.live().filter(conversation=conversation).count()
    _record(actor, "conversation.archived", conversation, conversation.agent)
    return count


@transaction.atomic
def restore_conversation(*, actor: Principal, conversation_id: uuid.UUID) -> Conversation:
    conversation: Conversation | None = archived_conversations(actor).filter(pk=conversation_id).first()
    if conversation is None:
        raise NotFoundError("There is no such archived conversation.")
    conversation.archived_at = None
    conversation.save(update_fields=["archived_at", "updated_at"])
    _record(actor, "conversation.restored", conversation, conversation.agent)
    return conversation
