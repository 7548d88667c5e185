"""How the audit log names what happens in conversations."""

from __future__ import annotations

from typing import Any

from agents.models import Agent
from conversations.models import Conversation, Message
from knowrithm.principal import Principal
from tenants.audit.services import record_event


def record(actor: Principal, event_type: str, row: Conversation | Message, agent: Agent, **more: Any) -> None:
    """Without titles and texts: what people say is theirs to have deleted, and the log keeps its rows."""
    record_event(actor=actor, event_type=event_type, entity=row, entity_label=f"with {agent.name}", **more)
