from __future__ import annotations

import uuid

from celery import shared_task
from django.db import transaction

from tenants import jobs, purge
from tenants.enums import Letter
from tenants.mail import MailNotSentError


@shared_task(
    name="tenants.mail_link",
    autoretry_for=(MailNotSentError,),
    max_retries=8,
    retry_backoff=15,  # seconds, doubled each time: about an hour in all
    retry_backoff_max=1800,
)
def mail_link(letter: str, row_id: str) -> None:
    jobs.mail_link(Letter(letter), uuid.UUID(row_id))


def queue_letter(letter: Letter, row_id: uuid.UUID) -> None:
    """Once the transaction commits. No token and no address pass through the queue."""
    # Should the broker be down, the request has succeeded all the same, and the mail can be asked for again.
    transaction.on_commit(lambda: mail_link.delay(letter.value, str(row_id)), robust=True)


@shared_task(name="tenants.keep_dead_letter")
def keep_dead_letter(task: str, arguments: list[str], error: str) -> None:
    jobs.keep_dead_letter(task, arguments, error)


@shared_task(name="tenants.end_impersonations")
def end_impersonations() -> None:
    jobs.end_impersonations_over_time()


@shared_task(name="tenants.purge_company")
def purge_company(company_id: str) -> None:
    purge.purge(company_id)


@shared_task(name="tenants.resume_purges")
def resume_purges() -> None:
    """What beat asks for: a purge whose worker died, or whose message was lost, goes on."""
    for company_id in purge.unfinished():
        purge_company.delay(company_id)
