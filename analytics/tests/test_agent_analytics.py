"""Figures of an agent and of a conversation, with another agent and another company whose rows could be mixed up."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from agents.models import Agent
from agents.services import create_agent
from analytics.tests.test_console_api import add_conversation, ok
from conftest import Character, key_client
from conversations.enums import EntityType, MessageRole
from conversations.models import Conversation, Message
from conversations.services import rate_message
from leads.models import Lead

API = "/api/v1/analytic"


def talk(owner: Character, agent: Agent, *, seconds: float, rating: int | None, status: str = "") -> Conversation:
    """A question and its answer; with a `status`, of a lead that has it."""
    with tenant_context(owner.company):
        whose: dict[str, Any] = {"entity_type": EntityType.USER}
        if status:
            email = f"{uuid.uuid4()}@example.org"
            lead = Lead.objects.create(agent=agent, first_name="Vic", email=email, status=status, source="ads")
            whose = {"entity_type": EntityType.LEAD, "lead": lead}
        made = Conversation.objects.create(agent=agent, message_count=2, **whose)
        Message.objects.create(conversation=made, position=1, role=MessageRole.USER)
        answer = Message.objects.create(
            conversation=made, position=2, role=MessageRole.ASSISTANT, processing_time=seconds, input_tokens=90,
            output_tokens=10, confidence_score=0.5,
        )  # fmt: skip
        rate_message(actor=owner.principal, message_id=answer.pk, rating=rating)
    return made


@pytest.fixture
def other(acme: Character) -> Agent:
    """Of acme too, with one talk that took long and was rated badly; and one of globex's agent, which never counts."""
    with tenant_context(acme.company):
        agent = create_agent(actor=acme.principal, name="Other")
    talk(acme, agent, seconds=9.0, rating=-1)
    return agent


def test_an_agent_s_figures(acme: Character, globex: Character, other: Agent, acme_api: APIClient) -> None:
    talk(acme, acme.agent, seconds=1.0, rating=1, status="converted")
    talk(acme, acme.agent, seconds=2.0, rating=None, status="lost")
    talk(globex, globex.agent, seconds=99.0, rating=-1, status="qualified")
    add_conversation(acme, messages=0)
    archived, old = talk(acme, acme.agent, seconds=50.0, rating=-1), talk(acme, acme.agent, seconds=60.0, rating=-1)
    with tenant_context(acme.company):
        Conversation.objects.filter(pk=archived.pk).update(archived_at=timezone.now())
        past = timezone.now() - timedelta(days=40)
        Conversation.objects.filter(pk=old.pk).update(created_at=past)
        Message.objects.filter(conversation=old).update(created_at=past)

    body = ok(acme_api.get(f"{API}/agent/{acme.agent.pk}"))

    assert body["agent_info"]["name"] == "Acme helper"
    assert body["conversation_metrics"] == {
        "total_conversations": 3, "active_conversations": 3, "avg_messages_per_conversation": 1.33,
    }  # fmt: skip
    assert body["message_metrics"] == {"total_messages": 4, "user_messages": 2, "assistant_messages": 2}
    assert list(body["performance_metrics"].values()) == [1.5, 1.0, 2.0]
    assert body["quality_metrics"] == {
        "avg_message_feedback": 1.0, "avg_satisfaction_rating": 5.0, "current_agent_rating": 2.33,
        "satisfaction_response_rate_percent": 50.0,
    }  # fmt: skip
    assert body["conversion_metrics"] == {
        "total_converted": 1, "total_lost": 1, "total_qualified": 1, "conversion_rate_percent": 50.0,
    }  # fmt: skip
    assert body["token_usage"] == {"total_tokens": 200, "avg_tokens_per_message": 50.0}
    assert body["top_sources"] == [{"source": "ads", "conversation_count": 2}]
    assert (len(body["activity_trend"]), body["activity_trend"][-1]) == (
        31, {"date": timezone.now().date().isoformat(), "conversations": 3, "messages": 4},
    )  # fmt: skip

    dates = {"start_date": past.date().isoformat(), "end_date": past.date().isoformat()}
    earlier = ok(acme_api.get(f"{API}/agent/{acme.agent.pk}", dates))
    assert (earlier["message_metrics"]["total_messages"], len(earlier["activity_trend"])) == (2, 1)


def test_an_agent_beside_the_others(acme: Character, globex: Character, other: Agent, acme_api: APIClient) -> None:
    talk(acme, acme.agent, seconds=1.0, rating=1, status="converted")
    talk(acme, acme.agent, seconds=2.0, rating=1)
    talk(globex, globex.agent, seconds=99.0, rating=-1, status="converted")
    compared = ok(acme_api.get(f"{API}/agent/{acme.agent.pk}/performance-comparison"))["performance_comparison"]
    assert {name: tuple(row.values()) for name, row in compared.items()} == {
        "conversations": (2, 1.5, 33.3),
        "conversions": (1, 0.5, 100.0),
        "response_time": (1.5, 4.0, -62.5),
        "satisfaction_rating": (5.0, 3.67, 36.2),
        "total_messages": (4, 3.0, 33.3),
    }


def test_a_conversation_in_figures(acme: Character, other: Agent, acme_api: APIClient) -> None:
    made = talk(acme, acme.agent, seconds=1.5, rating=-1, status="converted")
    with tenant_context(acme.company):
        first = Message.objects.get(conversation=made, position=1)
        Message.objects.filter(pk=first.pk).update(created_at=first.created_at - timedelta(seconds=30))
    body = ok(acme_api.get(f"{API}/conversation/{made.pk}"))
    assert (body["conversation_id"], body["message_count"], body["avg_response_time_ms"]) == (str(made.pk), 2, 1500)
    assert (round(body["duration_seconds"]), body["satisfaction_score"], body["sentiment"]) == (30, 1.0, None)
    assert body["message_roles"] == {"assistant": 1, "user": 1}
    assert body["message_analytics"] == {
        "total_messages": 2, "average_processing_time": 1.5, "average_confidence_score": 0.5, "average_rating": 1.0,
        "rated_messages": 1, "average_tokens_per_message": 50.0, "total_tokens": 100,
    }  # fmt: skip
    assert body["lead_engagement"] == {"engaged_leads": 1, "average_satisfaction": 1.0, "total_conversions": 1}
    assert [(row["lead_name"], row["message_count"]) for row in body["top_conversations"]] == [("Vic", 2)]
    empty = add_conversation(acme)
    nothing = ok(acme_api.get(f"{API}/conversation/{empty.pk}"))
    assert (nothing["duration_seconds"], nothing["activity_timeline"]) == (0.0, [])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"start_date": "soon"}, "start_date"),
        ({"end_date": "2024-13-01"}, "end_date"),
        ({"start_date": "2024-02-01", "end_date": "2024-01-01"}, "start_date"),
        ({"start_date": "2001-01-01"}, "start_date"),
        ({"end_date": "0001-01-01"}, "end_date"),
        ({"end_date": "9999-12-30", "start_date": "9999-12-29"}, "start_date"),
    ],
)
def test_wrong_dates_are_refused(acme: Character, acme_api: APIClient, query: dict[str, str], field: str) -> None:
    answer = acme_api.get(f"{API}/agent/{acme.agent.pk}", query)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


@pytest.mark.parametrize("count", [1, 3])
def test_it_costs_the_same_for_one_and_three(acme: Character, django_assert_num_queries: Any, count: int) -> None:
    for _ in range(count):
        talk(acme, acme.agent, seconds=1.0, rating=1, status="new")
    key = key_client(acme, "read")
    key.get(f"{API}/agent/{acme.agent.pk}")
    with django_assert_num_queries(9):
        assert ok(key.get(f"{API}/agent/{acme.agent.pk}"))["conversation_metrics"]["total_conversations"] == count
