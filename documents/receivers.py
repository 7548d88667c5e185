from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from agents.exceptions import SettingsInUseError
from agents.models import Agent, LLMSettings
from agents.signals import embedder_changed, settings_deleting
from documents.models import Dataset
from documents.services import read_again


@receiver(embedder_changed)
def embed_anew(*, agents: Sequence[Agent], settings: LLMSettings | None, **_: Any) -> None:
    """Vectors of different models cannot be compared: every document is read again with the new one."""
    datasets = Dataset.objects.filter(llm_settings=settings) if settings else []
    for home in [*agents, *datasets]:
        read_again(home=home)


@receiver(settings_deleting)
def keep_what_datasets_use(*, settings: LLMSettings, **_: Any) -> None:
    if Dataset.objects.filter(llm_settings=settings).exists():
        raise SettingsInUseError("Datasets use these settings. Give them others first.")
