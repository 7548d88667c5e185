"""What an agent has read: documents, their chunks, and the jobs that read them."""

from __future__ import annotations

import uuid
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Lower
from pgvector.django import SparseVectorField, VectorField

from agents.models import Agent, LLMSettings
from documents.enums import DocumentStatus, DocumentType, JobStatus, Stage
from documents.ingestion.locators import describe
from knowrithm.db.lease import LeasedModel
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet, BaseModel

LEXICAL_DIMENSIONS = 1_000_000_000  # what pgvector allows; term ids are hashes below it
MAX_TAG_LENGTH, MAX_TAGS = 50, 50


def upload_path(document: Document, filename: str) -> str:
    """Below the company's own prefix, which the storage adds. The given name never becomes part of a path."""
    return f"documents/{document.id}/original"


class DocumentQuerySet(ArchivableQuerySet):
    def with_progress(self) -> Self:
        """With the latest job's progress, stage and error, in the same query."""
        latest = IngestionJob.objects.filter(document=models.OuterRef("pk")).order_by("-created_at")
        return self.select_related("agent", "dataset").annotate(
            job_progress=models.Subquery(latest.values("progress")[:1]),
            job_stage=models.Subquery(latest.values("stage")[:1]),
        )


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
    def is_active_job(self) -> bool:
        """Something is still to come: a page that shows this document should look again."""
        return self.status in {DocumentStatus.PENDING, DocumentStatus.PROCESSING}

    @property
    def progress(self) -> int:
        return 100 if not self.is_active_job else int(getattr(self, "job_progress", None) or 0)

    @property
    def stage(self) -> str:
        return Stage(getattr(self, "job_stage", None) or Stage.WAITING).label if self.is_active_job else ""


class DocumentChunk(ArchivableModel):
    """A piece of a document, found by meaning (`embedding`) and by words (`lexical`).

    `lexical` holds the chunk's saturated BM25 term weights, so that its inner product with the query's inverse
    document frequencies is the BM25 score. `embedding` has no fixed dimension: vectors of different models live side
    by side and are compared within one `embedding_model` only. `original_content` is what was read, where `content` has
    been edited by hand.
    """

    document = models.ForeignKey(Document, models.CASCADE, related_name="chunks")
    index = models.PositiveIntegerField()
    content = models.TextField()
    original_content = models.TextField(null=True, blank=True)
    headings = models.JSONField(default=list, blank=True)
    locator = models.JSONField(default=dict)
    word_count = models.PositiveIntegerField(default=0)
    embedding = VectorField(null=True)
    embedding_model = models.CharField(max_length=120, blank=True)
    lexical = SparseVectorField(dimensions=LEXICAL_DIMENSIONS, null=True)

    objects = models.Manager.from_queryset(ArchivableQuerySet)()

    class Meta:
        ordering = ["document", "index"]
        constraints = [models.UniqueConstraint(fields=["document", "index"], name="chunk_index_unique_in_document")]

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
    timings = models.JSONField(default=dict, blank=True)  # seconds by stage
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["status", "lease_until"])]

    def __str__(self) -> str:
        return f"{self.document_id}: {self.status}"
