"""Supervisors: agents that answer nothing themselves but pass each question on to one of the company's other agents."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.enums import AgentStatus
from agents.models import Agent
from knowrithm.errors import InvalidInputError

MOST_SPECIALISTS = 20
LONGEST_DESCRIPTION = 1000  # characters

Listed = list[dict[str, str]]  # as `Agent.specialists` holds them: agent_id, name (as it was then) and description


@dataclass(frozen=True, slots=True)
class Specialist:
    """`description` says which questions are its own."""

    agent_id: uuid.UUID
    name: str
    description: str


def checked_specialists(wanted: Sequence[Mapping[str, Any]] | None, *, agent: Agent | None) -> Listed | None:
    """What an agent is to be a supervisor of; None makes it an ordinary agent. `agent` is None for a new one.

    No supervisor is a specialist, so no question goes round in a circle. Raises `InvalidInputError`.
    """
    if wanted is None:
        return None
    ids = [uuid.UUID(str(one["agent_id"])) for one in wanted]
    known = Agent.objects.live().filter(specialists__isnull=True).in_bulk(ids)
    fault = ""
    if not ids:
        fault = "Choose at least one agent that it passes questions on to."
    elif len(ids) > MOST_SPECIALISTS:
        fault = f"At most {MOST_SPECIALISTS} agents can be chosen."
    elif len(set(ids)) < len(ids):
        fault = "Choose each agent once."
    elif set(ids) - known.keys() or (agent is not None and agent.pk in ids):
        fault = "Choose other agents of your company; one of these is unknown, archived, or a supervisor itself."
    elif agent is not None and _is_specialist(agent):
        fault = "This agent is a specialist of a supervisor. Take it off that list first."
    if fault:
        raise InvalidInputError(fault, fields={"specialists": [fault]})
    return [
        {
            "agent_id": str(key),
            "name": known[key].name,
            "description": str(one.get("description") or "").strip()[:LONGEST_DESCRIPTION],
        }
        for key, one in zip(ids, wanted, strict=True)
    ]


def _is_specialist(agent: Agent) -> bool:
    return bool(Agent.objects.live().filter(specialists__contains=[{"agent_id": str(agent.pk)}]).exists())


def still_there(listed: Iterable[Mapping[str, str]] | None) -> Listed | None:
    """Without agents that are archived or have become supervisors; None where nobody is left."""
    if listed is None:
        return None
    kept = list(listed)
    live = Agent.objects.live().filter(specialists__isnull=True, pk__in=[one["agent_id"] for one in kept])
    ids = {str(pk) for pk in live.values_list("pk", flat=True)}
    return [dict(one) for one in kept if one["agent_id"] in ids] or None


def specialists_of(agent: Agent) -> list[Specialist]:
    """Those that can be asked, in the order of the list: live, active, and no supervisors. One query."""
    listed = agent.specialists or []
    rows = Agent.objects.live().filter(specialists__isnull=True, status=AgentStatus.ACTIVE).exclude(pk=agent.pk)
    known = rows.only("id", "name", "description").in_bulk([uuid.UUID(one["agent_id"]) for one in listed])
    found = []
    for one in listed:
        row = known.get(uuid.UUID(one["agent_id"]))
        if row is not None:
            found.append(Specialist(row.pk, row.name, one["description"] or row.description))
    return found
