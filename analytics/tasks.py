from __future__ import annotations

from celery import shared_task

from analytics import metrics, rollups
from knowrithm import jobs
from knowrithm.db.schema import schema_name
from knowrithm.jobs import company_task, for_each_company
from tenants.models import Company


def _company() -> Company:
    company: Company = Company.objects.get(schema_name=schema_name())
    return company


@company_task(name="analytics.roll_up")
def roll_up() -> None:
    rollups.roll_up_company(_company())


@shared_task(name="analytics.roll_up_everywhere")
def roll_up_everywhere() -> None:
    for_each_company(roll_up, expires=3500)


@company_task(name="analytics.collect_company")
def collect_company() -> None:
    metrics.collect_company(_company())


@company_task(name="analytics.collect_requested")
def collect_requested(task_id: str) -> None:
    try:
        count = metrics.collect_company(_company(), is_asked=True)
    except Exception:
        jobs.fail_task(task_id, "The metrics could not be collected. Try again in a minute.", "METRICS_FAILED")
        raise
    jobs.complete_task(task_id, {"message": "System metrics were collected.", "metrics_collected": count})


@shared_task(name="analytics.collect_everywhere")
def collect_everywhere() -> None:
    metrics.collect_platform()
    metrics.prune()
    for_each_company(collect_company, expires=290)
