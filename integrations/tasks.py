from __future__ import annotations

from celery import shared_task

from integrations import jobs
from knowrithm.jobs import company_task, current_schema, for_each_company

PERIOD = 14  # seconds, just under beat's


@shared_task(name="integrations.deliver")
def deliver(schema: str) -> None:
    """A message says that the company has something to deliver; whose turn it is decides `jobs.work_in_turn`."""
    if jobs.work_in_turn(schema, deliver):
        deliver.apply_async(args=(schema,), expires=PERIOD)


@company_task(name="integrations.deliver_due")
def deliver_due() -> None:
    """Call a worker for what is due again, what a dead worker left behind, and what a lost queue never delivered."""
    jobs.give_up_old()
    if jobs.has_work():
        deliver.apply_async(args=(current_schema(),), expires=PERIOD)


@shared_task(name="integrations.deliver_due_everywhere")
def deliver_due_everywhere() -> None:
    for_each_company(deliver_due, expires=PERIOD)


@company_task(name="integrations.purge_deliveries")
def purge_deliveries() -> None:
    jobs.purge()


@shared_task(name="integrations.purge_deliveries_everywhere")
def purge_deliveries_everywhere() -> None:
    for_each_company(purge_deliveries, expires=3599)
