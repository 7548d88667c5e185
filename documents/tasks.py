from __future__ import annotations

import uuid

from celery import shared_task

from documents import builds, cloning, crawl, jobs, purging, scale
from knowrithm.jobs import company_task, current_schema, enqueue, for_each_company

PERIOD, CRAWL_PERIOD = 14, 55  # seconds, just under beat's periods


@shared_task(name="documents.ingest")
def ingest(schema: str) -> None:
    """One message for each job, and yet for none: whose turn it is decides `jobs.work_in_turn`.

    Who has found work looks for more, in place of messages that may have been lost.
    """
    if jobs.work_in_turn(schema, ingest):
        ingest.apply_async(args=(schema,), expires=PERIOD)


@company_task(name="documents.ingest_first")
def ingest_first() -> None:
    jobs.work_out_of_turn(ingest)


@company_task(name="documents.resume_stalled")
def resume_stalled() -> None:
    """Call a worker for what a dead one left behind, and for what a lost queue never delivered."""
    jobs.tell_ends()
    if jobs.has_work():
        ingest.apply_async(args=(current_schema(),), expires=PERIOD)
    builds.call_worker(build_index, expires=PERIOD)


@shared_task(name="documents.resume_stalled_everywhere")
def resume_stalled_everywhere() -> None:
    for_each_company(resume_stalled, expires=PERIOD)


@shared_task(name="documents.crawl")
def crawl_website(schema: str) -> None:
    """A message says that the company has a crawl; whose turn it is decides `crawl.work_in_turn`."""
    if crawl.work_in_turn(schema, crawl_website, ingest):
        crawl_website.apply_async(args=(schema,), expires=CRAWL_PERIOD)


@company_task(name="documents.crawl_due")
def crawl_due() -> None:
    crawl.crawl_due(crawl_website)


@shared_task(name="documents.crawl_due_everywhere")
def crawl_due_everywhere() -> None:
    for_each_company(crawl_due, expires=CRAWL_PERIOD)


@company_task(name="documents.copy_knowledge")
def copy_knowledge(source_id: str, clone_id: str) -> None:
    cloning.run(uuid.UUID(source_id), uuid.UUID(clone_id))


@company_task(name="documents.build_index")
def build_index(build_id: str) -> None:
    builds.run(uuid.UUID(build_id), build_index)


@company_task(name="documents.purge_indexes")
def purge_indexes() -> None:
    builds.purge()


@shared_task(name="documents.purge_indexes_everywhere")
def purge_indexes_everywhere() -> None:
    for_each_company(purge_indexes, expires=3599)


@company_task(name="documents.tend_indexes")
def tend_indexes() -> None:
    scale.tend_indexes()


@shared_task(name="documents.tend_indexes_everywhere")
def tend_indexes_everywhere() -> None:
    for_each_company(tend_indexes, expires=590)


@company_task(name="documents.purge_old")
def purge_old(after: str = "") -> None:
    """Some documents a message, so that other companies have their turn."""
    if following := purging.purge_some(uuid.UUID(after) if after else None):
        enqueue(purge_old, str(following))


@shared_task(name="documents.purge_old_everywhere")
def purge_old_everywhere() -> None:
    for_each_company(purge_old, expires=23 * 3600)
