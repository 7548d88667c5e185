"""How the audit log names what happens in conversations."""

from __future__ import annotations

from typing import Any

from agents.models import Agent
from conversations.models import Conversation, Message
from knowrithm.principal import Principal
from tenants.audit.models import AuditEvent
from tenants.audit.services import event_of, record_events


def record(actor: Principal, event_type: str, row: Conversation | Message, agent: Agent, **more: Any) -> None:
    record_events([event_in(actor, event_type, row, agent, **more)])


def event_in(actor: Principal, event_type: str, row: Conversation | Message, agent: Agent, **more: Any) -> AuditEvent:
    """Without titles and texts: what people say is theirs to have deleted, and the log keeps its rows."""
    return event_of(actor=actor, event_type=event_type, entity=row, entity_label=f"with {agent.name}", **more)
