"""What webhooks are told of conversations. Call inside the transaction of what happened."""

from __future__ import annotations

import uuid
from typing import Any

from conversations.enums import MessageRole, MessageStatus
from conversations.models import Conversation, Handover, Message
from integrations.enums import EventType
from integrations.services import publish_event


def publish_conversation(event: EventType, conversation: Conversation) -> None:
    publish_event(event, {**_about(conversation), "title": conversation.title}, agent_id=conversation.agent_id)


def publish_message(event: EventType, message: Message, conversation: Conversation) -> None:
    """A question as the agent was given it, so without what a guardrail has masked; an answer with its sources."""
    publish_event(event, lambda: _message_record(message.pk, conversation), agent_id=conversation.agent_id)


def publish_handover(event: EventType, handover: Handover, conversation: Conversation) -> None:
    """Read when it is written, so that summary and end are those of the moment."""
    publish_event(event, lambda: _handover_record(handover, conversation), agent_id=conversation.agent_id)


def _handover_record(handover: Handover, conversation: Conversation) -> dict[str, Any]:
    return {
        "handover_id": handover.pk,
        **_about(conversation),
        "owner": conversation.owner,
        "reason": handover.reason,
        "words": handover.words,
        "user_id": handover.user_id,
        "user_name": handover.user_name,
        "requested_at": handover.created_at,
        "assigned_at": handover.assigned_at,
        "ended_at": handover.ended_at,
        "end": handover.end or None,
        "summary": handover.summary,
    }


def _message_record(message_id: uuid.UUID, conversation: Conversation) -> dict[str, Any]:
    """As it is stored by now."""
    message = Message.objects.get(pk=message_id)
    payload: dict[str, Any] = {
        "message_id": message.pk,
        **_about(conversation),
        "role": message.role,
        "content": message.content,
        "created_at": message.created_at,
    }
    if message.role == MessageRole.ASSISTANT:
        payload |= {"reply_to": message.reply_to_id, "is_draft": message.is_draft}
    if message.status == MessageStatus.FAILED:
        payload |= {"error": message.error, "error_code": message.error_code}
    elif message.role == MessageRole.ASSISTANT:
        cited = message.citations.filter(is_cited=True).order_by("number")
        payload |= {
            "is_refusal": message.is_refusal,
            "model_used": message.model_used,
            "sources": [
                {"number": row.number, "document_id": row.document_id, "document_name": row.shown("document_name")}
                for row in cited
            ],
        }
    return payload


def _about(conversation: Conversation) -> dict[str, Any]:
    return {
        "conversation_id": conversation.pk,
        "agent_id": conversation.agent_id,
        "entity_type": conversation.entity_type,
        "entity_id": conversation.entity_id,
    }
