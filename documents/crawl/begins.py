"""What makes a crawl begin: somebody, its time, or the death of the worker that had it."""

from __future__ import annotations

from typing import Any

from celery import Task
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from documents.crawl.base import MAX_ATTEMPTS, RELATED, ask_for_worker
from documents.crawl.ends import fail
from documents.enums import UNFINISHED_JOBS, CrawlMode, SourceStatus
from documents.models import Crawl, WebsiteSource
from knowrithm.jobs import create_task


def begin(source: WebsiteSource, task: Task[Any, Any], *, max_pages: int | None = None) -> Crawl | None:
    """Queue a crawl; None when one goes on already. Call inside a transaction."""
    locked = WebsiteSource.objects.select_for_update().get(pk=source.pk)
    if locked.crawls.filter(status__in=UNFINISHED_JOBS).exists():
        return None
    limit = 1 if source.mode == CrawlMode.SINGLE else max_pages or source.max_pages
    crawl = Crawl.objects.create(source=source, max_pages=limit, task_id=create_task())
    now = timezone.now()
    source.last_crawl_status, source.last_crawl_started_at = SourceStatus.CRAWLING, now
    WebsiteSource.objects.filter(pk=source.pk).update(
        last_crawl_status=SourceStatus.CRAWLING, last_crawl_started_at=now, next_crawl_at=None
    )
    ask_for_worker(task)
    return crawl


def crawl_due(task: Task[Any, Any]) -> None:
    """What beat asks for: crawls whose worker has died or whose message was lost, and sources whose time has come."""
    now = timezone.now()
    for crawl in Crawl.abandoned().filter(attempts__gte=MAX_ATTEMPTS):
        claimed = Crawl.claim(crawl.pk, *RELATED)
        if claimed is not None:
            fail(claimed, "Crawling this website failed several times.", "CRAWL_INTERNAL_ERROR")
    if Crawl.abandoned().exists() or Crawl.in_line().exists():
        with transaction.atomic():
            ask_for_worker(task)
    due = WebsiteSource.objects.live().filter(next_crawl_at__lte=now, is_paused=False, crawl_frequency_minutes__gt=0)
    due = due.filter(Q(agent__isnull=False, agent__archived_at=None) | Q(dataset__archived_at=None, agent=None))
    for source in due.select_related("agent", "dataset")[:100]:
        with transaction.atomic():
            begin(source, task)
