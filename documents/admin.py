"""What a company has taught its agents, for super admins to read, and how far that has come."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat

from documents.enums import CrawlStage, JobStatus, Stage
from documents.models import Crawl, Dataset, Document, IndexBuild, IngestionJob, WebsiteSource
from tenants.company_rows import Part, rows_of_company


def _website(row: WebsiteSource) -> list[Any]:
    return [
        row.base_url, row.home.name, "Deleted" if row.is_archived else row.get_last_crawl_status_display(),
        row.pages_count, row.last_crawl_completed_at, None if row.is_paused else row.next_crawl_at, row.last_error,
    ]  # fmt: skip


def _crawl(row: Crawl) -> list[Any]:
    return [
        row.source.base_url, JobStatus(row.status).label, CrawlStage(row.stage).label,
        f"{row.processed_count} of {row.max_pages}", row.changed_count, row.archived_count, row.started_at,
        row.finished_at, row.error,
    ]  # fmt: skip


def _dataset(row: Dataset) -> list[Any]:
    agents = ", ".join(grant.agent.name for grant in row.grants.all())
    return [row.name, row.documents_count, agents, row.created_at, row.archived_at]


def _document(row: Document) -> list[Any]:
    return [
        row.original_filename, row.home.name, row.get_document_type_display(), row.get_status_display(),
        row.chunk_count, filesizeformat(row.file_size), row.created_at, row.archived_at, row.processing_error,
    ]  # fmt: skip


def _job(row: IngestionJob) -> list[Any]:
    return [
        row.document.original_filename, JobStatus(row.status).label, Stage(row.stage).label, row.attempts,
        row.created_at, row.started_at, row.finished_at, row.error,
    ]  # fmt: skip


def _build(row: IndexBuild) -> list[Any]:
    index = row.search_index
    return [
        index.home.name, index.embedding_model.name, index.chunk_size, JobStatus(row.status).label, row.attempts,
        row.started_at, row.finished_at, row.error,
    ]  # fmt: skip


PARTS = {
    "websites": Part(
        "Websites",
        ["Website", "For", "Status", "Pages", "Last read", "Next", "Cause"],
        lambda: WebsiteSource.objects.select_related("agent", "dataset").order_by("-created_at"),
        _website,
    ),
    "crawls": Part(
        "Crawls",
        ["Website", "Status", "Stage", "Pages", "Changed", "Archived", "Began", "Ended", "Cause"],
        lambda: Crawl.objects.select_related("source").order_by("-created_at"),
        _crawl,
    ),
    "datasets": Part(
        "Datasets",
        ["Dataset", "Documents", "Agents", "Created", "Deleted"],
        lambda: Dataset.objects.prefetch_related("grants__agent").order_by("name", "pk"),
        _dataset,
    ),
    "documents": Part(
        "Documents",
        ["Document", "For", "Type", "Status", "Passages", "Size", "Added", "Archived", "Cause"],
        lambda: Document.objects.select_related("agent", "dataset").defer("pages").order_by("-created_at"),
        _document,
    ),
    "jobs": Part(
        "Reading",
        ["Document", "Status", "Stage", "Attempts", "Queued", "Began", "Ended", "Cause"],
        lambda: IngestionJob.objects.select_related("document").order_by("-created_at"),
        _job,
    ),
    "builds": Part(
        "Search indexes",
        ["For", "Embedding model", "Words in a passage", "Status", "Attempts", "Began", "Ended", "Cause"],
        lambda: IndexBuild.objects.select_related(
            "search_index__agent", "search_index__dataset", "search_index__embedding_model"
        ).order_by("-created_at"),
        _build,
    ),
}


def knowledge_of_company(request: HttpRequest, company_id: uuid.UUID) -> HttpResponse:
    return rows_of_company(request, company_id, title="Knowledge", parts=PARTS)
