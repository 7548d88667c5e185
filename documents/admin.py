"""What a company has taught its agents, for super admins to read: its datasets, websites and crawls."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django_tenants.utils import tenant_context

from documents.enums import CrawlStage, JobStatus
from documents.models import Crawl, Dataset, WebsiteSource
from tenants.models import Company, User

PER_PAGE = 50
PARTS = {"websites": "Websites", "crawls": "Crawls", "datasets": "Datasets"}
HEADERS = {
    "websites": ["Website", "For", "Status", "Pages", "Last read", "Next", "Cause"],
    "crawls": ["Website", "Status", "Stage", "Pages", "Changed", "Archived", "Began", "Ended", "Cause"],
    "datasets": ["Dataset", "Documents", "Agents", "Created", "Deleted"],
}


def knowledge_of_company(request: HttpRequest, company_id: uuid.UUID) -> HttpResponse:
    """Nothing can be changed here: the company's own people do that, or a super admin who acts as one of them."""
    if not (isinstance(request.user, User) and request.user.is_superuser):
        raise Http404
    company = Company.objects.filter(pk=company_id, is_ready=True).first()
    if company is None:
        raise Http404("There is no such company.")
    part = request.GET.get("part", "websites")
    part = part if part in PARTS else "websites"
    with tenant_context(company):
        page = Paginator(_rows(part), PER_PAGE).get_page(request.GET.get("page"))
        rows = [_cells(row) for row in page.object_list]
    context = {
        **admin.site.each_context(request),
        "title": f"Knowledge of {company.name}",
        "parts": [(name, label, name == part) for name, label in PARTS.items()],
        "page_obj": page,
        "headers": HEADERS[part],
        "rows": rows,
    }
    return TemplateResponse(request, "admin/knowledge_of_company.html", context)


def _rows(part: str) -> QuerySet[Any]:
    if part == "datasets":
        return Dataset.objects.prefetch_related("grants__agent").order_by("name", "pk")
    if part == "crawls":
        return Crawl.objects.select_related("source").order_by("-created_at")
    return WebsiteSource.objects.select_related("agent", "dataset").order_by("-created_at")


def _cells(row: Dataset | WebsiteSource | Crawl) -> list[Any]:
    if isinstance(row, Dataset):
        agents = ", ".join(grant.agent.name for grant in row.grants.all())
        return [row.name, row.documents_count, agents, row.created_at, row.archived_at]
    if isinstance(row, Crawl):
        return [
            row.source.base_url, JobStatus(row.status).label, CrawlStage(row.stage).label,
            f"{row.processed_count} of {row.max_pages}", row.changed_count, row.archived_count, row.started_at,
            row.finished_at, row.error,
        ]  # fmt: skip
    return [
        row.base_url, row.home.name, "Deleted" if row.is_archived else row.get_last_crawl_status_display(),
        row.pages_count, row.last_crawl_completed_at, None if row.is_paused else row.next_crawl_at, row.last_error,
    ]  # fmt: skip
