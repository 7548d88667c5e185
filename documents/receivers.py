from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from agents.models import Agent
from agents.signals import embedder_changed
from documents.services import read_again


@receiver(embedder_changed)
def embed_anew(*, agents: Sequence[Agent], **_: Any) -> None:
    """Vectors of different models cannot be compared: every document is read again with the new one."""
    for agent in agents:
        read_again(agent=agent)
