from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from agents.models import Agent
from agents.signals import agent_archiving
from conversations.exceptions import AgentInUseError
from conversations.models import Conversation


@receiver(agent_archiving)
def refuse_while_conversations_are_active(*, agent: Agent, **_: Any) -> None:
    count = Conversation.objects.live().filter(agent=agent).count()
    if count:
        has = "an active conversation" if count == 1 else f"{count} active conversations"
        raise AgentInUseError(f"This agent has {has}. Archive {'it' if count == 1 else 'them'} first.")
