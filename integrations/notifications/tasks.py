from __future__ import annotations

from celery import shared_task

from integrations.notifications import jobs
from knowrithm.jobs import company_task, for_each_company


@company_task(name="notifications.mail_due")
def mail_due() -> None:
    jobs.mail_due()


@shared_task(name="notifications.mail_due_everywhere")
def mail_due_everywhere() -> None:
    for_each_company(mail_due, expires=299)
