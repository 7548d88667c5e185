"""What the dashboard's pages show of a company's agents, documents and conversations at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Avg, Count, Q, Sum

from agents.models import Agent
from agents.ratings import stars
from conversations.enums import MessageStatus
from conversations.models import UNANSWERED, Citation, Conversation, Message
from documents.models import Document, DocumentChunk
from leads.models import Lead


@dataclass(frozen=True, slots=True)
class CompanyStats:
    agents: int
    documents: int
    conversations: int
    leads: int


@dataclass(frozen=True, slots=True)
class AgentStats:
    """Of live rows. `unanswered` counts the questions that the agent's documents do not answer."""

    documents: int
    chunks: int
    conversations: int
    unanswered: int


@dataclass(frozen=True, slots=True)
class CitedPassage:
    """A cited passage around its quote. Without a quote all of it is in `before`. `document_url` may be empty."""

    document_name: str
    locator_label: str
    headings: tuple[str, ...]
    before: str
    quote: str
    after: str
    document_url: str


def company_stats() -> CompanyStats:
    return CompanyStats(
        agents=Agent.objects.live().count(),
        documents=Document.objects.live().count(),
        conversations=Conversation.objects.live().count(),
        leads=Lead.objects.known().count(),
    )


def agent_stats(agent: Agent) -> AgentStats:
    documents = Document.objects.live().filter(agent=agent)
    conversations = Conversation.objects.live().filter(agent=agent)
    unanswered = Message.objects.live().filter(UNANSWERED, conversation__in=conversations)
    return AgentStats(
        documents=documents.count(),
        chunks=DocumentChunk.objects.live().filter(document__in=documents).count(),
        conversations=conversations.count(),
        unanswered=unanswered.count(),
    )


def agent_figures(agent: Agent) -> dict[str, Any]:
    """The contract's figures of an agent, of live rows, in three queries."""
    conversations = Conversation.objects.live().filter(agent=agent).aggregate(count=Count("pk"))
    messages = (
        Message.objects.live()
        .filter(conversation__agent=agent, conversation__archived_at=None)
        .aggregate(
            count=Count("pk"),
            seconds=Avg("processing_time"),
            rating_sum=Sum("user_feedback"),
            ratings=Count("user_feedback"),
            unanswered=Count("pk", filter=UNANSWERED),
            failures=Count("pk", filter=Q(status=MessageStatus.FAILED)),
        )
    )
    settings = agent.llm_settings
    return {
        "agent_id": agent.id,
        "agent_name": agent.name,
        "status": agent.status,
        "version": agent.version or None,
        "total_conversations": conversations["count"],
        "total_messages": messages["count"],
        "unanswered": messages["unanswered"],
        "failed": messages["failures"],
        "average_rating": stars(messages["rating_sum"] or 0, messages["ratings"]),
        "rated_messages": messages["ratings"],
        "average_response_time": messages["seconds"],
        "documents_count": Document.objects.live().filter(agent=agent).count(),
        "databases_count": 0,
        "llm_provider": settings.llm_provider.slug,
        "llm_model": settings.llm_model.name,
        "last_trained": agent.last_trained,
        "created_at": agent.created_at,
    }


def cited_passage(citation: Citation, *, document_url: str) -> CitedPassage:
    before, quote, after = citation.shown("content"), "", ""
    if quoted := citation.shown("quote"):
        before, quote, after = before.partition(quoted)
    return CitedPassage(
        document_name=citation.shown("document_name"),
        locator_label=citation.shown_label,
        headings=tuple(citation.shown("headings")),
        before=before,
        quote=quote,
        after=after,
        document_url=document_url,
    )
