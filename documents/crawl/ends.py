"""How a crawl ends: its documents have been read, it has failed, or somebody has stopped it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery import Task
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from documents.crawl.base import GONE, NOT_COUNTED, REDIRECTED, UNLINKED, ask_for_worker
from documents.crawl.pages import set_aside
from documents.enums import UNFINISHED_JOBS, CrawlStage, DocumentStatus, JobStatus, PageStatus, SourceStatus
from documents.exceptions import CrawlError
from documents.models import Crawl, WebsitePage, WebsiteSource
from knowrithm import jobs as task_records
from knowrithm.db.lease import LostLeaseError
from tenants.audit.services import record_event

INDEXING_PATIENCE = timedelta(minutes=15)
KEPT_CRAWLS = 20


def pages_of(crawl: Crawl) -> QuerySet[WebsitePage]:
    return crawl.source.pages.filter(visited_in=crawl.id)


def finish_pages(crawl: Crawl) -> None:
    """Every page has been visited: archive those that are linked from nowhere any more."""
    source = crawl.source
    if not pages_of(crawl).filter(status=PageStatus.CRAWLED).exists():
        page = pages_of(crawl).exclude(cause_code=REDIRECTED).first() or pages_of(crawl).first()
        cause = f"No page could be read. {page.url}: {page.cause}" if page else "No page could be read."
        raise CrawlError(cause, "CRAWL_NO_PAGES")
    with transaction.atomic():
        if not (crawl.is_cut_short or crawl.has_outages):
            lost = source.pages.exclude(found_in=crawl.id).exclude(cause_code__in=(GONE, UNLINKED))
            for page in lost.select_related("document"):
                page.source = source
                crawl.archived_count += set_aside(
                    page, "The crawl does not come to this page any more: no other one links to it.", UNLINKED
                )
                page.save()
        crawl.stage, crawl.pages_done_at = CrawlStage.INDEXING, timezone.now()
        source.pages_count = source.pages.filter(status=PageStatus.CRAWLED).count()
        WebsiteSource.objects.filter(pk=source.pk).update(pages_count=source.pages_count)
        if not crawl.update_if_held(
            stage=crawl.stage,
            pages_done_at=crawl.pages_done_at,
            archived_count=crawl.archived_count,
            is_cut_short=crawl.is_cut_short,
        ):
            raise LostLeaseError


def await_documents(crawl: Crawl, task: Task[Any, Any]) -> bool:
    """Come back until what was read can be found, without holding a worker meanwhile. False: nothing to wait for."""
    unfinished = (DocumentStatus.PENDING, DocumentStatus.PROCESSING)
    waiting = pages_of(crawl).filter(document__status__in=unfinished, document__archived_at=None).count()
    since = crawl.pages_done_at or timezone.now()
    if not waiting or timezone.now() - since > INDEXING_PATIENCE:
        return False
    task_records.report_progress(str(crawl.task_id), 90, CrawlStage.INDEXING.label)
    go_on_later(crawl, task, min(1 + waiting / 10, 10))
    return True


def go_on_later(crawl: Crawl, task: Task[Any, Any], seconds: float, *, is_progress: bool = True) -> None:
    now = timezone.now()
    with transaction.atomic():
        attempts = 0 if is_progress else crawl.attempts
        due_at = now + timedelta(seconds=seconds) if seconds else None
        if crawl.update_if_held(
            status=JobStatus.PENDING, lease_until=None, attempts=attempts, updated_at=now, due_at=due_at
        ):
            ask_for_worker(task, countdown=seconds)


def result_of(crawl: Crawl) -> dict[str, Any]:
    """What the published clients read of a crawl that has ended."""
    pages = list(pages_of(crawl).values_list("url", "status", "cause", "cause_code")[:2000])
    return {
        "status": "completed" if crawl.status == JobStatus.COMPLETED else str(crawl.status),
        "website_source_id": str(crawl.source_id),
        "processed_pages": crawl.processed_count,
        "changed_pages": crawl.changed_count,
        "archived_pages": crawl.archived_count,
        "is_cut_short": crawl.is_cut_short,
        "discovered_urls": [url for url, _, _, code in pages if code not in NOT_COUNTED],
        "failures": [{"url": url, "error": cause} for url, status, cause, _ in pages if status == PageStatus.FAILED],
    }


def complete(crawl: Crawl) -> None:
    source, now = crawl.source, timezone.now()
    with transaction.atomic():
        if not crawl.update_if_held(status=JobStatus.COMPLETED, stage=CrawlStage.DONE, finished_at=now):
            raise LostLeaseError
        crawl.status = JobStatus.COMPLETED
        end(source, SourceStatus.ACTIVE, last_crawl_completed_at=now)
        counts = {name: (None, getattr(crawl, name)) for name in ("processed_count", "changed_count", "archived_count")}
        record_event(actor=None, event_type="website_source.crawled", entity=source, changes=counts)
    task_records.complete_task(str(crawl.task_id), result_of(crawl))


def fail(crawl: Crawl, cause: str, code: str) -> None:
    cause = cause.replace("\0", "")
    with transaction.atomic():
        if not crawl.update_if_held(
            status=JobStatus.FAILED, error=cause, error_code=code, finished_at=timezone.now(), lease_until=None
        ):
            return
        end(crawl.source, SourceStatus.FAILED, last_error=cause, error_code=code)
    task_records.fail_task(str(crawl.task_id), cause, code)


def end(source: WebsiteSource, status: SourceStatus, **values: Any) -> None:
    now = timezone.now()
    source.refresh_from_db(fields=["crawl_frequency_minutes", "is_paused"])
    minutes = source.crawl_frequency_minutes if source.is_scheduled else 0
    values = {"last_error": "", "error_code": "", **values}
    next_at = now + timedelta(minutes=minutes) if minutes else None
    rows = WebsiteSource.objects.filter(pk=source.pk)
    rows.update(last_crawl_status=status, next_crawl_at=next_at, updated_at=now, **values)
    kept = source.crawls.order_by("-created_at").values_list("pk", flat=True)[:KEPT_CRAWLS]
    source.crawls.exclude(pk__in=list(kept)).delete()


def cancel(source: WebsiteSource) -> bool:
    """End the crawl that goes on. What it has read stays. False when there is none."""
    crawl = source.crawls.filter(status__in=UNFINISHED_JOBS).first()
    if crawl is None:
        return False
    stopped = Crawl.objects.filter(pk=crawl.pk, status__in=UNFINISHED_JOBS).update(
        status=JobStatus.CANCELLED, finished_at=timezone.now(), lease_until=None
    )
    if stopped:
        end(source, SourceStatus.ACTIVE)
        pages_count = source.pages.filter(status=PageStatus.CRAWLED).count()
        WebsiteSource.objects.filter(pk=source.pk).update(pages_count=pages_count)
        task_id = str(crawl.task_id)
        transaction.on_commit(lambda: task_records.fail_task(task_id, "The crawl was stopped.", "CRAWL_CANCELLED"))
    return bool(stopped)
