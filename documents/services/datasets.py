"""Collections of documents that several agents may share."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from agents.models import Agent
from agents.services import default_settings, settings_by_id
from agents.versions import freeze, freeze_first
from documents.models import Dataset, DatasetGrant
from documents.services.indexes import build_index_for
from knowrithm.errors import ConflictError, NotFoundError
from knowrithm.principal import Principal
from tenants.audit.services import changed_fields, fields_of, record_event

FIELDS = ("name", "description")


@transaction.atomic
def create_dataset(
    *, actor: Principal, name: str, description: str = "", settings_id: uuid.UUID | None = None,
    agent_ids: Collection[uuid.UUID] = (),
) -> Dataset:  # fmt: skip
    """A dataset whose documents are embedded by these settings, or the company's default, granted to these agents.

    Raises `ConflictError` when the name is taken, `NotFoundError` for unknown settings or agents.
    """
    settings = settings_by_id(settings_id) if settings_id else default_settings()
    dataset = Dataset(name=name.strip(), description=description.strip(), llm_settings=settings)
    _check_name(dataset)
    dataset.save()
    _grant(actor, dataset, agent_ids)
    changes = changed_fields({}, {**fields_of(dataset, FIELDS), "agents": _granted(dataset)})
    record_event(actor=actor, event_type="dataset.created", entity=dataset, changes=changes)
    return dataset


@transaction.atomic
def update_dataset(
    *,
    actor: Principal,
    dataset: Dataset,
    changes: Mapping[str, Any],
    settings_id: uuid.UUID | None = None,
    agent_ids: Collection[uuid.UUID] | None = None,
) -> Dataset:
    """`agent_ids` are then all the agents that may use it; None leaves them.

    For another embedder an index is made, see `builds.begin`.
    """
    before = {**fields_of(dataset, FIELDS), "llm_settings": dataset.llm_settings_id, "agents": _granted(dataset)}
    for name in FIELDS:
        if name in changes:
            setattr(dataset, name, changes[name].strip())
    _check_name(dataset)
    settings = dataset.llm_settings
    if settings_id is not None:
        dataset.llm_settings = settings_by_id(settings_id)
    dataset.save(update_fields=[*FIELDS, "llm_settings", "updated_at"])
    if dataset.llm_settings.embedding_identity != settings.embedding_identity:
        build_index_for(home=dataset, before=settings)
    if agent_ids is not None:
        _grant(actor, dataset, agent_ids)
    after = {**fields_of(dataset, FIELDS), "llm_settings": dataset.llm_settings_id, "agents": _granted(dataset)}
    record_event(actor=actor, event_type="dataset.updated", entity=dataset, changes=changed_fields(before, after))
    return dataset


@transaction.atomic
def archive_dataset(*, actor: Principal, dataset: Dataset) -> Dataset:
    """Out of every agent's answers, with all its documents."""
    dataset.archived_at = timezone.now()
    dataset.save(update_fields=["archived_at", "updated_at"])
    record_event(actor=actor, event_type="dataset.archived", entity=dataset)
    return dataset


@transaction.atomic
def restore_dataset(*, actor: Principal, dataset: Dataset) -> Dataset:
    """Raises `ConflictError` when another one has taken its name."""
    dataset.archived_at = None
    _check_name(dataset)
    dataset.save(update_fields=["archived_at", "updated_at"])
    record_event(actor=actor, event_type="dataset.restored", entity=dataset)
    return dataset


def _check_name(dataset: Dataset) -> None:
    if Dataset.objects.live().exclude(pk=dataset.pk).filter(name__iexact=dataset.name).exists():
        text = "There is a dataset of this name already."
        raise ConflictError(text, code="DATASET_EXISTS", fields={"name": [text]})


def _grant(actor: Principal, dataset: Dataset, agent_ids: Collection[uuid.UUID]) -> None:
    wanted = set(agent_ids)
    before = set(dataset.grants.values_list("agent_id", flat=True))
    if Agent.objects.live().filter(pk__in=wanted).count() != len(wanted):
        raise NotFoundError("There is no such agent.")
    changing = list(Agent.objects.live().filter(pk__in=before ^ wanted).order_by("pk"))  # or two could deadlock
    for agent in changing:
        freeze_first(agent)
    dataset.grants.exclude(agent_id__in=wanted).filter(agent__archived_at=None).delete()
    DatasetGrant.objects.bulk_create(
        [DatasetGrant(dataset=dataset, agent_id=agent_id) for agent_id in wanted], ignore_conflicts=True
    )
    for agent in changing:
        freeze(agent, actor=actor, note=f"{'Granted' if agent.pk in wanted else 'Without'} the dataset {dataset.name}.")


def _granted(dataset: Dataset) -> list[str]:
    return sorted(str(pk) for pk in dataset.grants.values_list("agent_id", flat=True))
