"""Search indexes: the chunks of all documents of an agent or dataset, made by one embedder and one way of cutting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models

from agents.models import Agent, EmbedderChoice, LLMSettings
from documents.enums import IndexState, JobStatus
from documents.models.datasets import Dataset, Home
from knowrithm.db.lease import LeasedModel
from knowrithm.db.models import BaseModel
from knowrithm.llm.base import ProviderConfig

EMBEDDER_FIELDS = (
    "embedding_provider", "embedding_model", "embedding_api_key", "embedding_api_base_url", "embedding_dimension",
    "embedding_additional_params",
)  # fmt: skip


class SearchIndex(EmbedderChoice, BaseModel):
    """One of an agent or dataset answers; another may be in the making, and the one before is kept for a way back.

    It carries its embedder, because the settings of its home may say something else: what the next one shall be.
    """

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="search_indexes", null=True, blank=True)
    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="search_indexes", null=True, blank=True)
    state = models.CharField(max_length=10, choices=IndexState, default=IndexState.BUILDING)
    chunk_size = models.PositiveSmallIntegerField(default=220)
    chunk_overlap = models.PositiveSmallIntegerField(default=40)
    is_cut_anew = models.BooleanField(default=False)  # else it has the chunks of the one before, embedded anew
    state_at = models.DateTimeField(null=True, blank=True)  # when it got into its state

    class Meta:
        verbose_name_plural = "search indexes"
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=models.Q(agent=None) ^ models.Q(dataset=None), name="index_has_one_home"),
            *(
                models.UniqueConstraint(
                    fields=[home, "state"],
                    condition=~models.Q(state=IndexState.RETIRED),
                    name=f"one_index_of_{home}_in_state",
                )
                for home in ("agent", "dataset")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.home.name}: {self.state}"

    @property
    def home(self) -> Home:
        home = self.dataset or self.agent
        assert home is not None  # noqa: S101  # index_has_one_home
        return home

    def copy_embedder(self, settings: LLMSettings) -> None:
        for name in EMBEDDER_FIELDS:
            setattr(self, name, getattr(settings, name))

    def config(self, settings: LLMSettings) -> ProviderConfig:
        """Of its embedder: as the home's settings say while they name the same model, as their key may be newer."""
        is_same = settings.embedding_identity == self.embedding_identity
        return settings.embedding_config() if is_same else self.embedding_config()


class IndexedDocument(models.Model):
    """What of a document an index holds: its chunks as they were at this `revision` of the document."""

    search_index = models.ForeignKey(SearchIndex, models.CASCADE, related_name="documents")
    document = models.ForeignKey("documents.Document", models.CASCADE, related_name="indexed")
    revision = models.PositiveIntegerField()
    chunk_size = models.PositiveSmallIntegerField()
    chunk_overlap = models.PositiveSmallIntegerField()
    note = models.CharField(max_length=500, blank=True)  # why it is not as it should be, in words

    class Meta:
        constraints = [models.UniqueConstraint(fields=["search_index", "document"], name="document_once_in_index")]

    def __str__(self) -> str:
        return f"{self.document_id} in {self.search_index_id}"

    @property
    def chunking(self) -> Sequence[int]:
        return self.chunk_size, self.chunk_overlap


class IndexBuild(LeasedModel, BaseModel):
    """The work of bringing all documents of a home into an index. Whoever holds an unexpired lease does it."""

    search_index = models.ForeignKey(SearchIndex, models.CASCADE, related_name="builds")
    status = models.CharField(max_length=12, choices=JobStatus, default=JobStatus.PENDING)
    error = models.TextField(blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    # Chunks that were to be made when it was started: how fast it goes is told from what is left of them.
    chunks_at_start = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)  # not before; None: at once
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["status", "lease_until"])]

    def __str__(self) -> str:
        return f"{self.search_index_id}: {self.status}"


class AnsweringManager(models.Manager[Any]):
    """Rows of the indexes that answer: those in the making and those kept for a way back are nobody's business."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(search_index__state=IndexState.ANSWERING)
