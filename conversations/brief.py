"""What an agent's row means for an answer."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

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


def visitor_of(conversation: Conversation) -> dict[str, str]:
    """What the model is told of the visitor: the first name, and the page from which they have asked last.

    Nothing else of a lead goes to a provider. What the site has hidden or never asked for is not there.
    """
    lead = conversation.lead if conversation.entity_type == EntityType.LEAD else None
    # Nor the name of a known lead whose address a nameless visitor has given: anybody can type it.
    is_named = lead is not None and not lead.is_nameless and not lead.is_made_up
    title, address = (conversation.metadata.get(name) for name in ("page_title", "page_url"))
    facts = {
        "First name": lead.first_name if lead and is_named else "",
        "Page": title if isinstance(title, str) else "",
        "Path": _path_of(address) if isinstance(address, str) else "",
    }
    return {name: value.strip() for name, value in facts.items() if value.strip()}


def _path_of(address: str) -> str:
    """Of a page, without what stands behind it: queries may hold what is nobody's business."""
    try:
        return urlsplit(address).path
    except ValueError:
        return ""


def from_person(conversation: Conversation) -> list[Exchange]:
    """What a person has settled with the visitor before they handed back, as the oldest exchange of the history."""
    summary = conversation.handover_summary
    return [Exchange("What did your colleague and I talk about?", summary)] if summary else []
