from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from agents.exceptions import SettingsInUseError
from agents.models import Agent, LLMSettings
from agents.signals import embedder_changed, settings_deleting
from documents.models import Dataset
from documents.services import build_index_for


@receiver(embedder_changed)
def embed_anew(*, agents: Sequence[Agent], settings: LLMSettings | None, before: LLMSettings, **_: Any) -> None:
    """Vectors of different models cannot be compared: another index is made, while the one there is answers."""
    datasets = Dataset.objects.filter(llm_settings=settings) if settings else []
    for home in [*agents, *datasets]:
        build_index_for(home=home, before=before)


@receiver(settings_deleting)
def keep_what_datasets_use(*, settings: LLMSettings, **_: Any) -> None:
    if Dataset.objects.filter(llm_settings=settings).exists():
        raise SettingsInUseError("Datasets use these settings. Give them others first.")
