"""A question that somebody puts to an agent to try it: a turn like any other, whose conversation goes with its end."""

from __future__ import annotations

import uuid
from typing import Any

from agents.versions import drafted
from conversations import turn
from conversations.enums import MessageStatus
from conversations.models import Conversation, Message
from conversations.records import source_record, task_result
from knowrithm.jobs import complete_task, fail_task


def run(reply_id: uuid.UUID, task_id: str) -> None:
    """Answer, hand the result over, and forget the conversation. Delivered twice it does nothing more."""
    turn.run(reply_id)
    reply = Message.objects.select_related("conversation__agent__llm_settings", "reply_to").filter(pk=reply_id).first()
    if reply is None or reply.status in {MessageStatus.PENDING, MessageStatus.PROCESSING}:
        return  # told already, or with another worker
    if reply.status == MessageStatus.FAILED:
        fail_task(task_id, reply.error, reply.error_code)
    else:
        complete_task(task_id, result_of(reply))
    Conversation.objects.filter(pk=reply.conversation_id).delete()


def result_of(reply: Message) -> dict[str, Any]:
    """What the contract names for `POST /agent/{id}/test`, with what a chat's result has."""
    agent = drafted(reply.conversation.agent) if reply.is_draft else reply.conversation.agent
    sources, settings, result = reply.citations.order_by("number"), agent.llm_settings, task_result(reply)
    return {
        **{name: result[name] for name in ("response", "content", "model_used", "processing_time", "is_refusal")},
        "agent": {"id": str(agent.pk), "name": agent.name, "version": reply.agent_version, "is_draft": reply.is_draft},
        "query": reply.reply_to.content if reply.reply_to else "",
        "citations": [source_record(source) for source in sources],
        "llm_config": {"provider": settings.llm_provider.slug, "model": settings.llm_model.name},
        "metadata": {
            "all_sources": result["metadata"]["all_sources"],
            "cited_sources": result["metadata"]["cited_sources"],
            "warnings": reply.warnings,
        },
        "status": "success",
    }
