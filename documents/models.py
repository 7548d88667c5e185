"""What an agent has read: documents, their chunks, and the jobs that read them."""

from __future__ import annotations

import uuid
from typing import Any, Self
from urllib.parse import urlsplit

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from pgvector.django import SparseVectorField, VectorField

from agents.models import Agent, LLMSettings
from documents.enums import (
    ACTIVE_STATUSES,
    CrawlMode,
    CrawlStage,
    DocumentStatus,
    DocumentType,
    JobStatus,
    PageStatus,
    SourceStatus,
    Stage,
)
from documents.ingestion.language import LANGUAGES
from documents.ingestion.locators import describe
from knowrithm.db.lease import LeasedModel
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet, BaseModel

LEXICAL_DIMENSIONS = 1_000_000_000  # what pgvector allows; term ids are hashes below it
MAX_TAG_LENGTH, MAX_TAGS = 50, 50


# Stages that are over, in words.
TIMED = {
    Stage.WAITING: "Waited",
    Stage.FETCHING: "Fetching",
    Stage.EXTRACTING: "Reading",
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
    timings = models.JSONField(default=dict, blank=True)  # seconds by stage, and chunks `from_cache`
    seconds_left = models.PositiveIntegerField(null=True, blank=True)
    is_bulk = models.BooleanField(default=False)  # comes after what a person has just sent
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


class WebsiteSource(ArchivableModel):
    """A website, or a part of one, whose pages become documents of an agent or a dataset."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="website_sources", null=True, blank=True)
    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="website_sources", null=True, blank=True)
    base_url = models.CharField(max_length=2000)
    seed_urls = models.JSONField(default=list, blank=True)
    mode = models.CharField(max_length=10, choices=CrawlMode, default=CrawlMode.LINKS)
    allowed_paths = models.JSONField(default=list, blank=True)
    disallowed_paths = models.JSONField(default=list, blank=True)
    max_pages = models.PositiveIntegerField(default=100)
    max_depth = models.PositiveSmallIntegerField(default=3)
    crawl_frequency_minutes = models.PositiveIntegerField(default=0)  # 0: only when somebody asks
    is_paused = models.BooleanField(default=False)
    notes = models.CharField(max_length=2000, blank=True)
    last_crawl_status = models.CharField(max_length=10, choices=SourceStatus, default=SourceStatus.ACTIVE)
    last_crawl_started_at = models.DateTimeField(null=True, blank=True)
    last_crawl_completed_at = models.DateTimeField(null=True, blank=True)
    next_crawl_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    pages_count = models.PositiveIntegerField(default=0, editable=False)  # that answers come from

    objects = models.Manager.from_queryset(ArchivableQuerySet)()

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["archived_at", "next_crawl_at"])]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(agent=None) ^ models.Q(dataset=None), name="website_source_has_one_home"
            ),
            models.UniqueConstraint(
                fields=["agent", "base_url"], condition=models.Q(archived_at=None), name="website_source_once_per_agent"
            ),
            models.UniqueConstraint(
                fields=["dataset", "base_url"],
                condition=models.Q(archived_at=None),
                name="website_source_once_per_dataset",
            ),
        ]

    def __str__(self) -> str:
        return self.base_url

    @property
    def home(self) -> Home:
        home = self.dataset or self.agent
        assert home is not None  # noqa: S101  # website_source_has_one_home
        return home

    @property
    def domain(self) -> str:
        return urlsplit(self.base_url).netloc

    @property
    def status(self) -> str:
        return SourceStatus.INACTIVE if self.is_archived else self.last_crawl_status

    @property
    def is_crawling(self) -> bool:
        return self.last_crawl_status == SourceStatus.CRAWLING

    @property
    def is_scheduled(self) -> bool:
        return self.crawl_frequency_minutes > 0 and not self.is_paused


class WebsitePage(BaseModel):
    """An address of a website source. The crawl that goes on finds its way by `found_in` and `visited_in`."""

    source = models.ForeignKey(WebsiteSource, models.CASCADE, related_name="pages")
    url = models.CharField(max_length=2000)
    depth = models.PositiveSmallIntegerField(default=0)
    position = models.PositiveIntegerField(default=0)  # in the order in which the crawl found them
    status = models.CharField(max_length=10, choices=PageStatus, default=PageStatus.PENDING)
    cause = models.TextField(blank=True)
    cause_code = models.CharField(max_length=60, blank=True)
    title = models.CharField(max_length=300, blank=True)
    language = models.CharField(max_length=20, blank=True)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    etag = models.CharField(max_length=300, blank=True)
    last_modified = models.CharField(max_length=100, blank=True)
    content_hash = models.CharField(max_length=64, blank=True)
    content_length = models.PositiveIntegerField(default=0)
    links = models.JSONField(default=list, blank=True)  # for when the page answers that it has not changed
    document = models.ForeignKey(Document, models.SET_NULL, related_name="website_pages", null=True, blank=True)
    is_document_out = models.BooleanField(default=False)  # archived because of the page, not by a person
    found_in = models.UUIDField(null=True, blank=True, editable=False)  # crawls
    visited_in = models.UUIDField(null=True, blank=True, editable=False)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    last_crawled_at = models.DateTimeField(null=True, blank=True)
    last_changed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["depth", "position", "url"]
        indexes = [models.Index(fields=["source", "found_in", "depth", "position"])]
        constraints = [models.UniqueConstraint(fields=["source", "url"], name="website_page_once_per_source")]

    def __str__(self) -> str:
        return self.url


class Crawl(LeasedModel, BaseModel):
    """One round through a website source, worked on like an `IngestionJob`."""

    source = models.ForeignKey(WebsiteSource, models.CASCADE, related_name="crawls")
    status = models.CharField(max_length=12, choices=JobStatus, default=JobStatus.PENDING)
    stage = models.CharField(max_length=12, choices=CrawlStage, default=CrawlStage.WAITING)
    task_id = models.UUIDField(default=uuid.uuid4, editable=False)
    max_pages = models.PositiveIntegerField()
    requests = models.PositiveIntegerField(default=0)  # for pages, redirects included
    processed_count = models.PositiveIntegerField(default=0)
    changed_count = models.PositiveIntegerField(default=0)
    archived_count = models.PositiveIntegerField(default=0)
    is_cut_short = models.BooleanField(default=False)  # there were more pages than the limit
    has_outages = models.BooleanField(default=False)  # some pages could not be had just now
    error = models.TextField(blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    pages_done_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["status", "lease_until"])]
        constraints = [
            models.UniqueConstraint(
                fields=["source"],
                condition=models.Q(status__in=[JobStatus.PENDING, JobStatus.PROCESSING]),
                name="one_crawl_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"{self.source_id}: {self.status}"

    @property
    def progress(self) -> int:
        return min(99, 100 * self.processed_count // max(self.max_pages, 1))
