"""Reports on one agent and on one conversation, in the company's schema. Archived rows do not count."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.db.models import Avg, Count, F, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import TruncDay

from agents.models import Agent
from agents.ratings import stars
from analytics.selectors.periods import Period, change_percent, share
from conversations.enums import ConversationStatus, MessageRole, MessageStatus
from conversations.models import Conversation, Message
from leads.enums import LeadStatus
from leads.models import Lead

Report = dict[str, Any]
TOP_SOURCES = 10
QUALIFIED = (LeadStatus.QUALIFIED, LeadStatus.CONVERTED)  # who was converted was qualified before
ANSWER = Q(role=MessageRole.ASSISTANT, author_id=None)  # and no person's


def _held(period: Period) -> QuerySet[Conversation]:
    rows: QuerySet[Conversation] = Conversation.objects.live()
    return rows.filter(created_at__gte=period.start, created_at__lt=period.end, agent__archived_at=None)


def _said(period: Period) -> QuerySet[Message]:
    rows: QuerySet[Message] = Message.objects.live()
    return rows.filter(
        created_at__gte=period.start, created_at__lt=period.end,
        conversation__archived_at=None, conversation__agent__archived_at=None,
    )  # fmt: skip


MESSAGE_FIGURES = {
    "total": Count("pk"),
    "questions": Count("pk", filter=Q(role=MessageRole.USER)),
    "replies": Count("pk", filter=Q(role=MessageRole.ASSISTANT)),
    "answers": Count("pk", filter=ANSWER & Q(status=MessageStatus.COMPLETED)),
    "average_seconds": Avg("processing_time"),
    "least_seconds": Min("processing_time"),
    "most_seconds": Max("processing_time"),
    "confidence": Avg("confidence_score"),
    "rating_sum": Sum("user_feedback", default=0),
    "ratings": Count("user_feedback"),
    "tokens": Sum(F("input_tokens") + F("output_tokens"), default=0),
}


def _info(agent: Agent) -> Report:
    return {
        "id": agent.pk,
        "name": agent.name,
        "status": agent.status,
        "model_name": agent.llm_settings.llm_model.name,
    }


def _range(period: Period) -> Report:
    return {"start_date": period.start.isoformat(), "end_date": period.end.isoformat()}


def agent_report(agent: Agent, period: Period) -> Report:
    """What was asked of the agent in the period, and what became of the leads who asked."""
    held, said = _held(period).filter(agent=agent), _said(period).filter(conversation__agent=agent)
    conversations = held.aggregate(
        total=Count("pk"),
        active=Count("pk", filter=Q(status=ConversationStatus.ACTIVE)),
        messages=Sum("message_count", default=0),
    )
    messages = said.aggregate(**MESSAGE_FIGURES)
    leads = Lead.objects.known().filter(pk__in=held.values("lead")).aggregate(
        total=Count("pk"),
        converted=Count("pk", filter=Q(status=LeadStatus.CONVERTED)),
        qualified=Count("pk", filter=Q(status__in=QUALIFIED)),
        lost=Count("pk", filter=Q(status=LeadStatus.LOST)),
    )  # fmt: skip
    sources = held.exclude(lead=None).values("lead__source").annotate(count=Count("pk")).order_by("-count")
    ratings, rating_sum = messages["ratings"], messages["rating_sum"]
    return {
        "agent_info": _info(agent),
        "date_range": _range(period),
        "conversation_metrics": {
            "total_conversations": conversations["total"],
            "active_conversations": conversations["active"],
            "avg_messages_per_conversation": share(conversations["messages"], conversations["total"]),
        },
        "message_metrics": {
            "total_messages": messages["total"],
            "user_messages": messages["questions"],
            "assistant_messages": messages["replies"],
        },
        "performance_metrics": {
            "avg_response_time_seconds": _seconds(messages["average_seconds"]),
            "min_response_time_seconds": _seconds(messages["least_seconds"]),
            "max_response_time_seconds": _seconds(messages["most_seconds"]),
        },
        "quality_metrics": {
            "avg_message_feedback": share(rating_sum, ratings),
            "avg_satisfaction_rating": stars(rating_sum, ratings),
            "current_agent_rating": agent.average_rating,
            "satisfaction_response_rate_percent": share(ratings * 100, messages["answers"], digits=1),
        },
        "conversion_metrics": {
            "total_converted": leads["converted"],
            "total_lost": leads["lost"],
            "total_qualified": leads["qualified"],
            "conversion_rate_percent": share(leads["converted"] * 100, leads["total"], digits=1),
        },
        "token_usage": {
            "total_tokens": messages["tokens"],
            "avg_tokens_per_message": share(messages["tokens"], messages["total"]),
        },
        "activity_trend": _trend(period, held, said),
        "top_sources": [
            {"source": row["lead__source"] or "unknown", "conversation_count": row["count"]}
            for row in sources[:TOP_SOURCES]
        ],
    }


def _seconds(value: float | None) -> float:
    return round(value or 0.0, 3)


def _trend(period: Period, held: QuerySet[Conversation], said: QuerySet[Message]) -> list[Report]:
    """Of every day of the period, also those on which nothing was said."""
    begun, written = (
        dict(rows.values_list(TruncDay("created_at", tzinfo=UTC)).annotate(count=Count("pk")).order_by())
        for rows in (held, said)
    )
    return [
        {"date": period.label(day), "conversations": begun.get(day, 0), "messages": written.get(day, 0)}
        for day in period.buckets()
    ]


def agent_comparison(agent: Agent, period: Period) -> Report:
    """The agent beside the average of the company's agents, itself among them. Times and ratings are averages of
    answers: an agent with more of them counts for more."""
    held, said = _held(period), _said(period)
    agents = Agent.objects.live().count()
    talks = held.aggregate(
        all=Count("pk"),
        own=Count("pk", filter=Q(agent=agent)),
        all_won=Count("lead", filter=Q(lead__status=LeadStatus.CONVERTED), distinct=True),
        own_won=Count("lead", filter=Q(lead__status=LeadStatus.CONVERTED, agent=agent), distinct=True),
    )
    is_own = Q(conversation__agent=agent)
    messages = said.aggregate(
        all=Count("pk"),
        own=Count("pk", filter=is_own),
        all_seconds=Avg("processing_time"),
        own_seconds=Avg("processing_time", filter=is_own),
        all_ratings=Count("user_feedback"),
        own_ratings=Count("user_feedback", filter=is_own),
        all_rating_sum=Sum("user_feedback", default=0),
        own_rating_sum=Sum("user_feedback", filter=is_own, default=0),
    )
    return {
        "agent_info": _info(agent),
        "date_range": _range(period),
        "performance_comparison": {
            "conversations": _beside(talks["own"], share(talks["all"], agents)),
            "conversions": _beside(talks["own_won"], share(talks["all_won"], agents)),
            "response_time": _beside(_seconds(messages["own_seconds"]), _seconds(messages["all_seconds"])),
            "satisfaction_rating": _beside(
                stars(messages["own_rating_sum"], messages["own_ratings"]),
                stars(messages["all_rating_sum"], messages["all_ratings"]),
            ),
            "total_messages": _beside(messages["own"], share(messages["all"], agents)),
        },
    }


def _beside(value: float, average: float) -> Report:
    return {
        "agent_value": value,
        "company_average": average,
        "performance_vs_average_percent": change_percent(value, average),
    }


def conversation_report(conversation: Conversation) -> Report:
    """One conversation in the words of both published clients. Nothing judges its mood: `sentiment` is null."""
    messages: QuerySet[Message] = Message.objects.live()
    messages = messages.filter(conversation=conversation)
    figures = messages.aggregate(first=Min("created_at"), last=Max("created_at"), **MESSAGE_FIGURES)
    roles = dict(messages.values_list("role").annotate(count=Count("pk")).order_by())
    days = messages.values_list(TruncDay("created_at", tzinfo=UTC)).annotate(count=Count("pk")).order_by()
    rating = stars(figures["rating_sum"], figures["ratings"])
    lead = conversation.lead.person if conversation.lead else None
    duration = (figures["last"] - figures["first"]).total_seconds() if figures["total"] else 0.0
    return {
        "conversation_id": conversation.pk,
        "duration_seconds": round(duration, 3),
        "message_count": figures["total"],
        "avg_response_time_ms": round((figures["average_seconds"] or 0.0) * 1000),
        "sentiment": None,
        "resolution_status": conversation.status,
        "satisfaction_score": rating,
        "conversation_status": {conversation.status: 1},
        "message_roles": roles,
        "message_analytics": {
            "total_messages": figures["total"],
            "average_processing_time": _seconds(figures["average_seconds"]),
            "average_confidence_score": _seconds(figures["confidence"]),
            "average_rating": rating,
            "rated_messages": figures["ratings"],
            "average_tokens_per_message": share(figures["tokens"], figures["total"]),
            "total_tokens": figures["tokens"],
        },
        "lead_engagement": {
            "engaged_leads": int(lead is not None),
            "average_satisfaction": rating,
            "total_conversions": int(lead is not None and lead.status == LeadStatus.CONVERTED),
        },
        "activity_timeline": [
            {"date": day.date().isoformat(), "conversations": 1, "messages": count} for day, count in sorted(days)
        ],
        "top_conversations": [
            {
                "id": conversation.pk,
                "title": conversation.title,
                "lead_name": lead.full_name if lead else None,
                "lead_email": lead.email if lead else None,
                "message_count": figures["total"],
                "last_activity": conversation.last_activity,
            }
        ],
    }
