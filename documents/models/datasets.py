"""Datasets, and who owns documents and websites: an agent, or a dataset."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower

from agents.models import Agent, LLMSettings
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet, BaseModel


class Dataset(ArchivableModel):
    """Documents that several agents may share: those to which it is granted."""

    name = models.CharField(max_length=200)
    description = models.CharField(max_length=2000, blank=True)
    # What its documents are embedded with; nothing else of these settings matters here.
    llm_settings = models.ForeignKey(LLMSettings, models.PROTECT, related_name="datasets")
    agents = models.ManyToManyField(Agent, through="DatasetGrant", related_name="datasets")
    # As on an agent: how its documents are cut into chunks, in words.
    chunk_size = models.PositiveSmallIntegerField(default=220)
    chunk_overlap = models.PositiveSmallIntegerField(default=40)
    documents_count = models.PositiveIntegerField(default=0, editable=False)

    objects = models.Manager.from_queryset(ArchivableQuerySet)()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                condition=models.Q(archived_at=None),
                name="dataset_name_unique",
                violation_error_message="There is a dataset of this name already.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class DatasetGrant(BaseModel):
    """The agent may answer from the dataset."""

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="grants")
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="grants")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dataset", "agent"], name="dataset_granted_once")]

    def __str__(self) -> str:
        return f"{self.dataset_id} for {self.agent_id}"


Home = Agent | Dataset


def owned_by(home: Home) -> dict[str, Home]:
    """As fields of a `Document`, or a filter."""
    return {"dataset" if isinstance(home, Dataset) else "agent": home}
