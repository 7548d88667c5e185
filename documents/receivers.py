from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.dispatch import receiver

from agents.exceptions import SettingsInUseError
from agents.models import Agent, LLMSettings
from agents.signals import agent_cloned, agent_freezing, embedder_changed, settings_deleting, version_restored
from documents.models import Dataset, DatasetGrant
from documents.services import build_index_for, clone_knowledge


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


@receiver(agent_freezing)
def granted_datasets(*, agent: Agent, **_: Any) -> dict[str, Any]:
    """A version holds which datasets the agent answers from, and how they were called then."""
    names = {str(dataset.pk): dataset.name for dataset in Dataset.objects.live().filter(grants__agent=agent)}
    return {"datasets": sorted(names), "dataset_names": names}


@receiver(version_restored)
def grant_again(*, agent: Agent, configuration: Mapping[str, Any], **_: Any) -> None:
    """Datasets that have been archived since are left out."""
    wanted = Dataset.objects.live().filter(pk__in=configuration.get("datasets", ()))
    agent.grants.filter(dataset__archived_at=None).exclude(dataset__in=wanted).delete()
    grants = [DatasetGrant(dataset=dataset, agent=agent) for dataset in wanted]
    DatasetGrant.objects.bulk_create(grants, ignore_conflicts=True)


@receiver(agent_cloned)
def copy_knowledge(*, source: Agent, clone: Agent, **_: Any) -> None:
    clone_knowledge(source=source, clone=clone)
