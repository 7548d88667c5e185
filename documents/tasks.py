from __future__ import annotations

import uuid

from celery import shared_task

from documents import crawl, jobs
from knowrithm.jobs import company_task, for_each_company


@company_task(name="documents.ingest")
def ingest(job_id: str) -> None:
    jobs.run(uuid.UUID(job_id), ingest)


@company_task(name="documents.resume_stalled")
def resume_stalled() -> None:
    jobs.resume_stalled(ingest)


@shared_task(name="documents.resume_stalled_everywhere")
def resume_stalled_everywhere() -> None:
    for_each_company(resume_stalled, expires=25)


@company_task(name="documents.crawl")
def crawl_website(crawl_id: str) -> None:
    crawl.run(uuid.UUID(crawl_id), crawl_website, ingest)


@company_task(name="documents.crawl_due")
def crawl_due() -> None:
    crawl.crawl_due(crawl_website)


@shared_task(name="documents.crawl_due_everywhere")
def crawl_due_everywhere() -> None:
    for_each_company(crawl_due, expires=55)
