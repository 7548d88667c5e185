"""Documents, their chunks, the jobs that read them, and what ranking needs beside them."""

from __future__ import annotations

import uuid
from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils import timezone
from pgvector.django import SparseVectorField, VectorField

from agents.models import Agent
from documents.enums import (
    ACTIVE_STATUSES,
    DocumentStatus,
    DocumentType,
    JobStatus,
    Stage,
)
from documents.ingestion.language import LANGUAGES
from documents.ingestion.locators import describe
from documents.models.datasets import Dataset, Home
from documents.models.indexes import AnsweringManager, SearchIndex
from knowrithm.db.lease import LeasedModel
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet, BaseModel

LEXICAL_DIMENSIONS = 1_000_000_000  # what pgvector allows; term ids are hashes below it
MAX_TAG_LENGTH, MAX_TAGS = 50, 50


# Stages that are over, in words.
TIMED = {
    Stage.WAITING: "Waited",
    Stage.FETCHING: "Fetching",
    Stage.EXTRACTING: "Reading",
    Stage.OCR: "Recognising scanned pages",
    Stage.EMBEDDING: "Making it searchable",
    Stage.SAVING: "Saving",
}


def upload_path(document: Document, filename: str) -> str:
    """Below the company's own prefix, which the storage adds. The given name never becomes part of a path."""
    return f"documents/{document.id}/original"


class DocumentQuerySet(ArchivableQuerySet):
    def with_progress(self) -> Self:
        """With the latest job's progress, stage, time left and timings, in the same query."""
        latest = IngestionJob.objects.filter(document=models.OuterRef("pk")).order_by("-created_at")
        return self.select_related("agent", "dataset").annotate(
            job_progress=models.Subquery(latest.values("progress")[:1]),
            job_stage=models.Subquery(latest.values("stage")[:1]),
            job_seconds_left=models.Subquery(latest.values("seconds_left")[:1]),
            job_timings=models.Subquery(latest.values("timings")[:1]),
        )


class Document(ArchivableModel):
    """Belongs to one agent, or to a dataset.

    All versions of one document share a `lineage`; a document that was never replaced has none. At most one version of
    a lineage is live once it has been read: `documents.versions` sees to that.
    """

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="documents", null=True, blank=True)
    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="documents", null=True, blank=True)
    user_id = models.UUIDField(null=True, blank=True, editable=False)
    original_filename = models.CharField(max_length=300)
    document_type = models.CharField(max_length=10, choices=DocumentType, blank=True)
    status = models.CharField(max_length=12, choices=DocumentStatus, default=DocumentStatus.PENDING)
    file = models.FileField(upload_to=upload_path, max_length=300, blank=True)
    file_size = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    source_url = models.CharField(max_length=2000, blank=True)
    title = models.CharField(max_length=300, blank=True)
    page_count = models.PositiveIntegerField(null=True, blank=True)
    # Pages that were recognised or left out (`ocr.page_record`); a page that is not here has a text layer.
    pages = models.JSONField(default=list, blank=True)
    language = models.CharField(max_length=8, blank=True)  # of `LANGUAGES`; empty where it cannot be told
    word_count = models.PositiveIntegerField(default=0)
    chunk_count = models.PositiveIntegerField(default=0)
    processing_error = models.TextField(blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    warnings = models.JSONField(default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    tags = ArrayField(models.CharField(max_length=MAX_TAG_LENGTH), default=list, blank=True)
    lineage = models.UUIDField(null=True, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    replaces = models.ForeignKey("self", models.SET_NULL, related_name="replaced_by", null=True, editable=False)
    # Counts the changes of its chunks, so that an index knows whether it holds the latest (documents.indexes).
    revision = models.PositiveIntegerField(default=0, editable=False)

    objects = models.Manager.from_queryset(DocumentQuerySet)()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["agent", "archived_at", "-created_at"]),
            models.Index(fields=["dataset", "archived_at", "-created_at"]),
            models.Index(fields=["sha256"]),
            GinIndex(fields=["tags"], name="document_tags"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["lineage", "version"], name="version_unique_in_lineage"),
            models.CheckConstraint(
                condition=models.Q(agent=None) ^ models.Q(dataset=None), name="document_has_one_home"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def home(self) -> Home:
        home = self.dataset or self.agent
        assert home is not None  # noqa: S101  # document_has_one_home
        return home

    @property
    def name(self) -> str:
        return self.title or self.original_filename

    @property
    def told_metadata(self) -> dict[str, Any]:
        """With the tags, which clients send and look for there."""
        return {**self.metadata, "tags": self.tags} if self.tags else dict(self.metadata)

    @property
    def language_name(self) -> str:
        return LANGUAGES.get(self.language, self.language)

    @property
    def doubtful_pages(self) -> list[dict[str, Any]]:
        """The records of pages that were hard to read, or not read."""
        return [page for page in self.pages if page["is_doubtful"] or page["how"] == "left_out"]

    @property
    def is_active_job(self) -> bool:
        """Something is still to come: a page that shows this document should look again."""
        return not self.is_archived and self.status in ACTIVE_STATUSES

    @property
    def progress(self) -> int:
        return 100 if not self.is_active_job else int(getattr(self, "job_progress", None) or 0)

    @property
    def stage(self) -> str:
        return Stage(getattr(self, "job_stage", None) or Stage.WAITING).label if self.is_active_job else ""

    @property
    def seconds_left(self) -> int | None:
        """Of its reading, as estimated when it last got on; None while that is not known."""
        return getattr(self, "job_seconds_left", None) if self.is_active_job else None

    @property
    def time_left(self) -> str:
        if self.seconds_left is None:
            return ""
        minutes = round(self.seconds_left / 60)
        if self.seconds_left < 60:
            return "less than a minute left"
        return f"about {minutes} minute{'' if minutes == 1 else 's'} left"

    @property
    def timings(self) -> dict[str, float]:
        """Seconds that the latest reading took by stage, and `from_cache`: how many embeddings were known."""
        return getattr(self, "job_timings", None) or {}

    @property
    def timed_stages(self) -> list[tuple[str, float]]:
        """The stages of the latest reading in words, with their seconds."""
        return [(label, self.timings[stage]) for stage, label in TIMED.items() if stage in self.timings]


class DocumentChunk(ArchivableModel):
    """A piece of a document, found by meaning (`embedding`) and by words (`lexical`).

    `lexical` holds the chunk's saturated BM25 term weights, so that its inner product with the query's inverse
    document frequencies is the BM25 score. `embedding` has no fixed dimension: vectors of different models live side
    by side and are compared within one `embedding_model` only. `original_content` is what was read, where `content` has
    been edited by hand. `objects` are the chunks that answer, `everywhere` those of all indexes.
    """

    document = models.ForeignKey(Document, models.CASCADE, related_name="chunks")
    search_index = models.ForeignKey(SearchIndex, models.CASCADE, related_name="+")
    index = models.PositiveIntegerField()
    content = models.TextField()
    original_content = models.TextField(null=True, blank=True)
    headings = models.JSONField(default=list, blank=True)
    locator = models.JSONField(default=dict)
    word_count = models.PositiveIntegerField(default=0)
    embedding = VectorField(null=True)
    embedding_model = models.CharField(max_length=120, blank=True)
    lexical = SparseVectorField(dimensions=LEXICAL_DIMENSIONS, null=True)

    objects = AnsweringManager.from_queryset(ArchivableQuerySet)()
    everywhere = models.Manager.from_queryset(ArchivableQuerySet)()

    class Meta:
        ordering = ["document", "index"]
        constraints = [
            models.UniqueConstraint(fields=["document", "search_index", "index"], name="chunk_index_unique_in_document")
        ]

    def __str__(self) -> str:
        return f"{self.document_id} #{self.index}"

    @property
    def locator_label(self) -> str:
        return describe(self.locator)

    @property
    def is_edited(self) -> bool:
        return self.original_content is not None


class LexicalTerm(models.Model):
    """In how many of the company's chunks a term occurs: what BM25's inverse document frequency needs.

    The row with term 0 counts all chunks; its `word_total` is the sum of their lengths in terms.
    """

    term = models.PositiveIntegerField(primary_key=True)
    chunk_count = models.IntegerField(default=0)
    word_total = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.term}: {self.chunk_count}"


class IngestionJob(LeasedModel, BaseModel):
    """One reading of one document. Whoever holds an unexpired lease works on it; nobody else touches it."""

    document = models.ForeignKey(Document, models.CASCADE, related_name="jobs")
    status = models.CharField(max_length=12, choices=JobStatus, default=JobStatus.PENDING)
    stage = models.CharField(max_length=12, choices=Stage, default=Stage.WAITING)
    progress = models.PositiveSmallIntegerField(default=0)
    task_id = models.UUIDField(default=uuid.uuid4, editable=False)
    error = models.TextField(blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    timings = models.JSONField(default=dict, blank=True)  # seconds by stage, and chunks `from_cache`
    seconds_left = models.PositiveIntegerField(null=True, blank=True)
    is_bulk = models.BooleanField(default=False)  # comes after what a person has just sent
    fetches = models.BooleanField(default=False)  # the address anew, also where its file is there from before
    due_at = models.DateTimeField(null=True, blank=True)  # not before; None: at once
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["status", "lease_until"]),
            models.Index(fields=["is_bulk", "created_at"], condition=models.Q(status="pending"), name="jobs_in_line"),
        ]

    def __str__(self) -> str:
        return f"{self.document_id}: {self.status}"

    @classmethod
    def in_line(cls) -> models.QuerySet[IngestionJob]:
        """Waiting jobs that are due, in the order in which they are to be done."""
        waiting = cls.objects.filter(status=JobStatus.PENDING).exclude(due_at__gt=timezone.now())
        return waiting.order_by("is_bulk", "created_at")


class KnownEmbedding(models.Model):
    """A text's vector, kept so that the same text need not be embedded again (`documents.embeddings`)."""

    key = models.UUIDField(primary_key=True)  # a hash over the text and the model
    vector = VectorField()
    used_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.key)
