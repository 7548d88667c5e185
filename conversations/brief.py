"""What an agent's row means for an answer."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from agents.hours import read_hours
from agents.models import Agent
from conversations.engine.prompt import AgentBrief, Exchange
from conversations.enums import EntityType
from conversations.models import Conversation
from conversations.wording import Notice, in_words, notice


def brief_of(agent: Agent, *, now: datetime | None = None) -> AgentBrief:
    """What the prompt says of the agent. `now` decides whether its people can be reached; the present unless given."""
    hours = read_hours(agent.operating_hours)
    reachable = ""
    if hours is not None:
        state = "can be reached now" if hours.is_open(now or timezone.now()) else "cannot be reached now"
        reachable = f"The company's people {state}; their hours are: {hours.in_words()}."
    return AgentBrief(
        name=agent.name,
        description=agent.description,
        tone=agent.tone,
        languages=tuple(str(language) for language in agent.languages if language),
        length=agent.answer_length,
        reachable=reachable,
    )


def closed_answer(
    agent: Agent, conversation: Conversation, *, now: datetime | None = None
) -> tuple[str, list[Notice]] | None:
    """What a visitor is told instead of an answer outside the hours of an agent that then says that it is closed.

    In the company's own words, or in the platform's, which are notices. None where the agent answers.
    """
    hours = read_hours(agent.operating_hours)
    if conversation.entity_type != EntityType.LEAD or hours is None or not hours.is_closed_outside:
        return None
    if hours.is_open(now or timezone.now()):
        return None
    said = [] if hours.text else [notice("closed", hours=agent.operating_hours)]
    return hours.text or in_words(said, conversation.language), said


def from_person(conversation: Conversation) -> list[Exchange]:
    """What a person has settled with the visitor before they handed back, as the oldest exchange of the history."""
    summary = conversation.handover_summary
    return [Exchange("What did your colleague and I talk about?", summary)] if summary else []
