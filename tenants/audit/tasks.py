"""Celery entry points."""

from __future__ import annotations

from celery import shared_task

from knowrithm.jobs import company_task, for_each_company
from tenants.audit import retention


@shared_task(name="audit.prune_everywhere")
def prune_everywhere() -> None:
    for_each_company(prune, expires=23 * 3600)


@company_task(name="audit.prune")
def prune() -> None:
    retention.prune_log()
