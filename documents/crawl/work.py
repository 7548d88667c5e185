"""A worker's part: a crawl is claimed, worked on for a while, and given back or ended."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from celery import Task
from django.db import OperationalError
from django.utils import timezone

from documents.crawl.base import MAX_ATTEMPTS, RELATED, LostLeaseError, SliceOverError
from documents.crawl.ends import await_documents, complete, fail, finish_pages, go_on_later
from documents.crawl.visits import Round
from documents.enums import CrawlStage, JobStatus
from documents.exceptions import CrawlError
from documents.ingestion.web.reader import PageReader
from documents.models import Crawl
from knowrithm.db.redis import sync_redis
from knowrithm.jobs import enqueue

log = structlog.get_logger(__name__)

SLOTS = 4  # crawls at a time
SLOT_MILLISECONDS = 90_000  # longer than a crawl is silent
SLICE = 60.0  # seconds that one worker works on one crawl at a stretch


def run(crawl_id: uuid.UUID, task: Task[Any, Any], ingest: Task[Any, Any]) -> None:
    """Work on a crawl if it is free. `task` is queued again when there is more to do, `ingest` for each document."""
    with _slot() as slot:
        if slot is not None:
            _work_on(crawl_id, task, ingest, slot)
        elif Crawl.objects.filter(pk=crawl_id, status=JobStatus.PENDING).update(updated_at=timezone.now()):
            enqueue(task, str(crawl_id), countdown=3)


@contextmanager
def _slot() -> Iterator[str | None]:
    """The right to crawl now: the threads that crawl are those that answer questions. None: too many crawl already."""
    redis, mine = sync_redis(), None
    for number in random.sample(range(SLOTS), SLOTS):
        key = f"crawl-slot:{number}"
        if redis.set(key, "1", nx=True, px=SLOT_MILLISECONDS):
            mine = key
            break
    try:
        yield mine
    finally:
        if mine is not None:
            redis.delete(mine)


def _work_on(crawl_id: uuid.UUID, task: Task[Any, Any], ingest: Task[Any, Any], slot: str) -> None:
    crawl = Crawl.claim(crawl_id, *RELATED)
    if crawl is None:
        return  # finished, cancelled, or another worker's
    try:
        if crawl.stage != CrawlStage.INDEXING:
            with crawl.kept_alive() as held, PageReader() as reader:
                deadline = time.monotonic() + SLICE

                def check() -> None:
                    sync_redis().pexpire(slot, SLOT_MILLISECONDS)
                    if not held.is_set():
                        raise LostLeaseError
                    if time.monotonic() > deadline:
                        raise SliceOverError

                Round(crawl, reader, check, ingest).work()
            finish_pages(crawl)
        if not await_documents(crawl, task):
            complete(crawl)
    except SliceOverError:
        go_on_later(crawl, task, 0)
    except LostLeaseError:
        log.warning("crawl_lease_lost", crawl=str(crawl.id))
    except CrawlError as error:
        fail(crawl, str(error), error.code)
    except OperationalError as error:
        log.warning("crawl_database_unavailable", crawl=str(crawl.id), error=str(error))
        raise  # the lease runs out and the crawl is resumed
    except Exception:
        log.exception("crawl_failed", crawl=str(crawl.id))
        if crawl.attempts >= MAX_ATTEMPTS:
            fail(crawl, "The website could not be crawled because of a fault on our side.", "CRAWL_INTERNAL_ERROR")
        else:
            go_on_later(crawl, task, 5.0 * 3**crawl.attempts, is_progress=False)
