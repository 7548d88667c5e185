"""Websites whose pages become documents, and the crawls that find these pages."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from django.db import models
from django.utils import timezone

from agents.models import Agent
from documents.enums import (
    CrawlMode,
    CrawlStage,
    JobStatus,
    PageStatus,
    SourceStatus,
)
from documents.models.datasets import Dataset, Home
from documents.models.documents import Document
from knowrithm.db.lease import LeasedModel
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet, BaseModel


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
    sitemaps = models.JSONField(default=dict, blank=True, editable=False)  # how far their reading has come
    requests = models.PositiveIntegerField(default=0)  # for pages, redirects included
    processed_count = models.PositiveIntegerField(default=0)
    changed_count = models.PositiveIntegerField(default=0)
    archived_count = models.PositiveIntegerField(default=0)
    is_cut_short = models.BooleanField(default=False)  # there were more pages than the limit
    # Some pages could not be had just now, or known ones were left out.
    has_outages = models.BooleanField(default=False)
    error = models.TextField(blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)  # not before; None: at once
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

    @classmethod
    def in_line(cls) -> models.QuerySet[Crawl]:
        """Waiting crawls that are due; the one that was worked on last comes last."""
        waiting = cls.objects.filter(status=JobStatus.PENDING).exclude(due_at__gt=timezone.now())
        return waiting.order_by("updated_at")

    @property
    def progress(self) -> int:
        return min(99, 100 * self.processed_count // max(self.max_pages, 1))
