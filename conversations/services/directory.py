"""Conversations as a whole: begun, named, archived and restored."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from agents.exceptions import AgentUnavailableError
from agents.models import Agent
from agents.services import count_later
from conversations import handing
from conversations.enums import ConversationStatus, EntityType, Owner
from conversations.models import Conversation, Message
from conversations.outbox import publish_conversation
from conversations.selectors import archived_conversations, conversations_with, lock_conversation
from conversations.services.records import record
from conversations.wording import language_for, sentence
from documents.services import clean_tags
from integrations.enums import EventType
from knowrithm.errors import InvalidInputError, NotFoundError
from knowrithm.principal import Principal, PrincipalKind
from tenants.audit.services import changed_fields, record_event

DEFAULT_TITLE = "New Conversation"
MAX_METADATA_LENGTH = 16_384  # characters of JSON that a conversation has
MOST_CLOSED = 1000  # conversations at once


@transaction.atomic
def create_conversation(
    *,
    actor: Principal,
    agent: Agent,
    title: str = DEFAULT_TITLE,
    metadata: Mapping[str, Any] | None = None,
    max_context_length: int = 4000,
    language: str = "",
) -> Conversation:
    """`language` is what the visitor's widget speaks; the platform's own sentences are in it, if it can."""
    conversation = begin_conversation(
        actor, agent, title=title, metadata=metadata, max_context_length=max_context_length, language=language
    )
    record(actor, "conversation.created", conversation, agent)
    return conversation


def begin_conversation(
    actor: Principal,
    agent: Agent,
    *,
    title: str = DEFAULT_TITLE,
    metadata: Mapping[str, Any] | None = None,
    max_context_length: int = 4000,
    language: str = "",
) -> Conversation:
    """`create_conversation` for whoever writes the audit log at the end of what else there is to do."""
    is_lead = actor.kind == PrincipalKind.LEAD
    if is_lead and actor.agent_id != agent.id:
        raise NotFoundError("There is no such agent.")
    spoken = language_for(language, agent)
    check_available(actor, agent, spoken)
    conversation = Conversation.objects.create(
        agent=agent,
        entity_type=EntityType.LEAD if is_lead else EntityType.USER,
        lead_id=actor.id if is_lead else None,
        user_id=actor.user_id,
        api_key_id=actor.id if actor.kind == PrincipalKind.API_KEY else None,
        title=title.strip()[:200] or DEFAULT_TITLE,
        language=spoken,
        metadata=clean_facts(metadata or {}),
        max_context_length=max_context_length,
    )
    count_later(agent.pk, conversations=1)
    publish_conversation(EventType.CONVERSATION_STARTED, conversation)
    return conversation


def clean_facts(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A conversation's metadata. Raises `InvalidInputError` for more than it learns from chats."""
    if len(json.dumps(dict(metadata))) > MAX_METADATA_LENGTH:
        fault = f"Metadata may have at most {MAX_METADATA_LENGTH:,} characters of JSON."
        raise InvalidInputError(fault, fields={"metadata": [fault]})
    return dict(metadata)


def check_available(actor: Principal, agent: Agent, language: str) -> None:
    if not handing.is_available(agent, to_visitors=actor.kind == PrincipalKind.LEAD):
        raise AgentUnavailableError(sentence("unavailable", language))


@transaction.atomic
def update_conversation(
    *,
    actor: Principal,
    conversation: Conversation,
    title: str | None = None,
    tags: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    status: str | None = None,
) -> Conversation:
    """What is None stays as it is. `metadata` replaces all of it; `status` is active or archived."""
    given = {
        "title": title.strip()[:200] or DEFAULT_TITLE if title is not None else None,
        "tags": clean_tags(tags) if tags is not None else None,
        "metadata": clean_facts(metadata) if metadata is not None else None,
        "status": status,
    }
    if status not in {None, ConversationStatus.ACTIVE, ConversationStatus.CLOSED}:
        raise InvalidInputError("A conversation is active or archived.", fields={"status": ["active or archived"]})
    if status is not None:  # it may change hands at this moment
        conversation = lock_conversation(actor, conversation.pk)
    before = {name: getattr(conversation, name) for name in ("status", "tags")}
    changed = [name for name, value in given.items() if value is not None]
    for name in changed:
        setattr(conversation, name, given[name])
    is_put_away = conversation.status == ConversationStatus.CLOSED != before["status"]
    if is_put_away:
        changed += _let_go_of_people(conversation)
    conversation.save(update_fields=[*changed, "updated_at"])
    after = {name: getattr(conversation, name) for name in before}
    if is_put_away:
        publish_conversation(EventType.CONVERSATION_ENDED, conversation)
    record(actor, "conversation.updated", conversation, conversation.agent, changes=changed_fields(before, after))
    return conversation


def _let_go_of_people(conversation: Conversation) -> list[str]:
    """Returns the fields to save."""
    return handing.let_go(conversation) if conversation.owner in {Owner.WAITING, Owner.PERSON} else []


@transaction.atomic
def close_conversations(*, actor: Principal, agent: Agent) -> tuple[int, int]:
    """Put the active conversations with an agent away, the oldest first, at most `MOST_CLOSED`.

    Returns how many, and how many are left.
    """
    active = conversations_with(actor).filter(agent=agent)
    rows = active.select_for_update(of=("self",)).order_by("last_activity", "pk")[:MOST_CLOSED]
    closed = 0
    for conversation in rows:
        conversation.status = ConversationStatus.CLOSED
        conversation.save(update_fields=["status", *_let_go_of_people(conversation), "updated_at"])
        publish_conversation(EventType.CONVERSATION_ENDED, conversation)
        closed += 1
    left: int = active.count()
    record_event(
        actor=actor, event_type="conversations.closed", entity=agent, changes={"active": (closed + left, left)}
    )  # fmt: skip
    return closed, left


@transaction.atomic
def archive_conversation(*, actor: Principal, conversation: Conversation) -> int:
    """Whoever has it or is waited for is let go. Returns the number of its messages."""
    conversation = lock_conversation(actor, conversation.pk)
    conversation.archived_at = timezone.now()
    conversation.save(update_fields=["archived_at", *_let_go_of_people(conversation), "updated_at"])
    count: int = Message.objects.live().filter(conversation=conversation).count()
    publish_conversation(EventType.CONVERSATION_ENDED, conversation)
    record(actor, "conversation.archived", conversation, conversation.agent)
    return count


@transaction.atomic
def restore_conversation(*, actor: Principal, conversation_id: uuid.UUID) -> Conversation:
    rows = archived_conversations(actor).select_for_update(of=("self",))
    conversation: Conversation | None = rows.filter(pk=conversation_id).first()
    if conversation is None:
        raise NotFoundError("There is no such archived conversation.")
    conversation.archived_at = None
    # Of one that was archived before people were let go of: who had it may have left.
    conversation.save(update_fields=["archived_at", *_let_go_of_people(conversation), "updated_at"])
    record(actor, "conversation.restored", conversation, conversation.agent)
    return conversation
