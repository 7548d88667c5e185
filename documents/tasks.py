from __future__ import annotations

import uuid

from celery import shared_task

from documents import crawl, jobs, scale
from knowrithm.jobs import company_task, current_schema, for_each_company

PERIOD = 14  # seconds, just under beat's period


@shared_task(name="documents.ingest")
def ingest(schema: str) -> None:
    """One message for each job, and yet for none: whose turn it is decides `jobs.work_in_turn`.

    Who has found work looks for more, in place of messages that may have been lost.
    """
    if jobs.work_in_turn(schema, ingest):
        ingest.apply_async(args=(schema,), expires=PERIOD)


@company_task(name="documents.resume_stalled")
def resume_stalled() -> None:
    """Call a worker for what a dead one left behind, and for what a lost queue never delivered."""
    jobs.tell_ends()
    if jobs.has_work():
        ingest.apply_async(args=(current_schema(),), expires=PERIOD)


@shared_task(name="documents.resume_stalled_everywhere")
def resume_stalled_everywhere() -> None:
    for_each_company(resume_stalled, expires=PERIOD)


@company_task(name="documents.crawl")
def crawl_website(crawl_id: str) -> None:
    crawl.run(uuid.UUID(crawl_id), crawl_website, ingest)


@company_task(name="documents.crawl_due")
def crawl_due() -> None:
    crawl.crawl_due(crawl_website)


@shared_task(name="documents.crawl_due_everywhere")
def crawl_due_everywhere() -> None:
    for_each_company(crawl_due, expires=55)


@company_task(name="documents.tend_indexes")
def tend_indexes() -> None:
    scale.tend_indexes()


@shared_task(name="documents.tend_indexes_everywhere")
def tend_indexes_everywhere() -> None:
    for_each_company(tend_indexes, expires=590)
