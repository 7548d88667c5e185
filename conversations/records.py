"""Messages as clients see them: one shape for the API, the stream and the task's result."""

from __future__ import annotations

from typing import Any

from agents.models import Agent
from conversations.enums import MessageRole
from conversations.models import Citation, Message
from conversations.wording import in_words, notice, sentence


def message_record(message: Message, *, for_visitor: bool = False, language: str = "") -> dict[str, Any]:
    """The contract's Message (section 4.8), JSON-ready. Reads `message.citations`: prefetch them for lists.

    A visitor is not told why there is no answer, nor what it cost: that is between the company and its provider.
    With a `language` the platform's own sentences are in it, whichever they were said in.
    """
    hides_cause = bool(message.error) and for_visitor
    error = sentence("failed", language) if hides_cause else message.error
    notices = [notice("failed")] if hides_cause else message.notices
    content = (in_words(message.notices, language) if language else "") or message.content
    company_only = {} if for_visitor else _for_company(message)
    citations = list(message.citations.all())
    cited = [citation for citation in citations if citation.is_cited]
    return {
        "id": str(message.id),
        "conversation_id": str(message.conversation_id),
        "role": message.role,
        # A client that knows no failed messages would show an empty bubble, or half an answer as if it were one.
        "content": error or content,
        "content_type": "text",
        "notices": notices,
        "status": message.status,
        "is_refusal": message.is_refusal,
        "agent_version": message.agent_version,
        "is_draft": message.is_draft,
        "answered_by": _named(message.answered_by),
        "suggestions": message.suggestions,
        "is_blocked": message.is_blocked,
        "author": {"kind": author_kind(message), "name": message.author_name or None},
        "reply_to": str(message.reply_to_id) if message.reply_to_id else None,
        "replaces": str(message.replaces_id) if message.replaces_id else None,
        "model_used": message.model_used,
        "processing_time": message.processing_time or 0,
        "tokens_used": message.input_tokens + message.output_tokens,
        "confidence_score": message.confidence_score,
        "user_feedback": message.user_feedback,
        "feedback_comment": message.feedback_comment,
        "context_used": [str(citation.chunk_id) for citation in citations if citation.chunk_id],
        "sources": [source_record(citation) for citation in cited],
        "metadata": {
            "all_sources": [_source_line(citation) for citation in citations],
            "cited_sources": [citation.number for citation in cited],
            "citation_warnings": message.warnings,
        },
        "error": error or None,
        **company_only,
        "created_at": message.created_at.isoformat(),
        "deleted_at": message.archived_at.isoformat() if message.archived_at else None,
    }


def author_kind(message: Message) -> str:
    """Who speaks: visitor (or whoever asks), agent, person, or system."""
    if message.role == MessageRole.ASSISTANT:
        return "person" if message.author_id else "agent"
    return "visitor" if message.role == MessageRole.USER else "system"


def _named(agent: Agent | None) -> dict[str, str] | None:
    return {"id": str(agent.pk), "name": agent.name} if agent else None


def _for_company(message: Message) -> dict[str, Any]:
    return {
        "error_code": message.error_code or None,
        "partial_content": message.content if message.error else "",
        "cost": None if message.cost is None else format(message.cost, "f"),
        "currency": message.cost_currency or None,
        "model_failures": message.model_failures,
    }


def source_record(citation: Citation) -> dict[str, Any]:
    return {
        "id": str(citation.id),
        "source_number": citation.number,
        "document_name": citation.shown("document_name"),
        "document_id": str(citation.document_id) if citation.document_id else None,
        "chunk_id": str(citation.chunk_id) if citation.chunk_id else None,
        "url": citation.shown("source_url") or None,
        "excerpt": citation.shown_excerpt,
        "locator": citation.shown("locator"),
        "locator_label": citation.shown_label,
        "passage_url": f"/conversations/passage/{citation.id}",
        "cited": citation.is_cited,
    }


def _source_line(citation: Citation) -> str:
    url = citation.shown("source_url")
    address = f" ({url})" if url else ""
    return f"Source {citation.number}: {citation.shown('document_name')}{address}"


def task_result(reply: Message) -> dict[str, Any]:
    """What a finished chat task hands over (contract, end of section 1.6)."""
    record = message_record(reply)
    return {
        "conversation_id": str(reply.conversation_id),
        "message_id": str(reply.reply_to_id),
        "assistant_message_id": str(reply.id),
        "role": "assistant",
        "content": reply.content,
        "response": reply.content,
        "status": "completed",
        **{name: record[name] for name in ("model_used", "processing_time", "sources", "metadata", "is_refusal")},
    }


def direct_answer(reply: Message) -> dict[str, Any]:
    """What `POST /v1/chat` answers. Reads the reply's conversation and citations."""
    cited = [citation for citation in reply.citations.all() if citation.is_cited]
    return {
        "session_id": str(reply.conversation_id),
        "message": {"role": reply.role, "content": reply.content},
        "citations": [
            {
                "document_id": str(citation.document_id) if citation.document_id else None,
                "document_title": citation.shown("document_name"),
                "chunk_id": str(citation.chunk_id) if citation.chunk_id else None,
                "content": citation.shown("quote") or citation.shown("content"),
                "score": citation.score,
                "metadata": {
                    "source_number": citation.number,
                    "url": citation.shown("source_url") or None,
                    "locator": citation.shown("locator"),
                    "locator_label": citation.shown_label,
                },
            }
            for citation in cited
        ],
        "usage": {
            "prompt_tokens": reply.input_tokens,
            "completion_tokens": reply.output_tokens,
            "total_tokens": reply.input_tokens + reply.output_tokens,
        },
        "metadata": {
            **reply.conversation.metadata,
            "message_id": str(reply.id),
            "model_used": reply.model_used,
            "is_refusal": reply.is_refusal,
            "is_blocked": reply.is_blocked,
            "suggestions": reply.suggestions,
        },
    }
