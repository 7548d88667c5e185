"""A worker's part: a crawl is claimed, worked on for a while, and given back or ended."""

from __future__ import annotations

import time
import uuid
from contextlib import AbstractContextManager
from typing import Any

import structlog
from celery import Task
from django.db import OperationalError

from documents.crawl.base import MAX_ATTEMPTS, RELATED, TURNS, SliceOverError
from documents.crawl.ends import await_documents, complete, fail, finish_pages, go_on_later
from documents.crawl.visits import Round
from documents.enums import CrawlStage
from documents.exceptions import CrawlError
from documents.ingestion.web.reader import PageReader
from documents.models import Crawl
from knowrithm.db.lease import LostLeaseError
from knowrithm.db.redis import sync_redis
from knowrithm.jobs import current_schema, is_usable
from knowrithm.turns import anyone_waits, ask_for_turn, free_slot, next_in_turn

log = structlog.get_logger(__name__)

SLOT, SLOTS = "crawl", 4  # crawls at a time
SLOT_MILLISECONDS = 90_000  # longer than a crawl is silent
PASSING = ("CRAWL_UNREACHABLE", "CRAWL_ROBOTS_UNAVAILABLE")  # what may be over in a moment
SLICE = 30.0  # seconds that one worker works on one crawl at a stretch


def work_in_turn(schema: str, task: Task[Any, Any], ingest: Task[Any, Any]) -> bool:
    """Work for a while on a crawl of the company whose turn it is; `schema` has asked.

    `task` is queued again when there is more to do, `ingest` for each document. True: somebody still waits. Without a
    free slot nothing is done and nobody told: those who have one look for who waits when they are done.
    """
    ask_for_turn(TURNS, schema)  # Redis may have forgotten, or the crawl was not due when it asked
    with _slot() as slot:
        if slot is None:
            return False
        with next_in_turn(TURNS, _claim_next) as crawl:
            if crawl is not None:
                _work_on(crawl, task, ingest, slot)
    return anyone_waits(TURNS)


def _claim_next() -> Crawl | None:
    """The crawl of the current company that is to be worked on next: first what a dead worker has left behind."""
    while is_usable(current_schema()):
        found: uuid.UUID | None = None
        abandoned = Crawl.abandoned().filter(attempts__lt=MAX_ATTEMPTS)
        for crawls in (abandoned.order_by("lease_until"), Crawl.in_line()):
            found = found or crawls.values_list("pk", flat=True).first()
        if found is None:
            return None
        if (crawl := Crawl.claim(found, *RELATED)) is not None:
            return crawl
    return None


def run(crawl_id: uuid.UUID, task: Task[Any, Any], ingest: Task[Any, Any]) -> None:
    """Work for a while on this crawl if it is free, and a slot too."""
    with _slot() as slot:
        crawl = Crawl.claim(crawl_id, *RELATED) if slot is not None else None
        if crawl is not None and slot is not None:  # else it is finished, cancelled, or another worker's
            _work_on(crawl, task, ingest, slot)


def _slot() -> AbstractContextManager[str | None]:
    """The right to crawl now: the threads that crawl are those that answer questions. None: too many crawl already."""
    return free_slot(SLOT, count=SLOTS, milliseconds=SLOT_MILLISECONDS)


def _work_on(crawl: Crawl, task: Task[Any, Any], ingest: Task[Any, Any], slot: str) -> None:
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
        if error.code in PASSING and crawl.stage == CrawlStage.CRAWLING and crawl.attempts < MAX_ATTEMPTS:
            go_on_later(crawl, task, _pause(crawl), is_progress=False)  # it has begun, so the site did answer
        else:
            fail(crawl, str(error), error.code)
    except OperationalError as error:
        log.warning("crawl_database_unavailable", crawl=str(crawl.id), error=str(error))
        raise  # the lease runs out and the crawl is resumed
    except Exception:
        log.exception("crawl_failed", crawl=str(crawl.id))
        if crawl.attempts >= MAX_ATTEMPTS:
            fail(crawl, "The website could not be crawled because of a fault on our side.", "CRAWL_INTERNAL_ERROR")
        else:
            go_on_later(crawl, task, _pause(crawl), is_progress=False)


def _pause(crawl: Crawl) -> float:
    """Seconds until the next attempt: 15, 45, 135."""
    attempts: int = crawl.attempts
    return 5.0 * float(3**attempts)
