"""What a company has taught its agents, for super admins to read: its datasets, websites and crawls."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse

from documents.enums import CrawlStage, JobStatus
from documents.models import Crawl, Dataset, WebsiteSource
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
}


def knowledge_of_company(request: HttpRequest, company_id: uuid.UUID) -> HttpResponse:
    return rows_of_company(request, company_id, title="Knowledge", parts=PARTS)
