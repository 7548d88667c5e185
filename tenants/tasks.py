from __future__ import annotations

from celery import shared_task

from tenants import purge


@shared_task(name="tenants.purge_company")
def purge_company(company_id: str) -> None:
    purge.purge(company_id)


@shared_task(name="tenants.resume_purges")
def resume_purges() -> None:
    """What beat asks for: a purge whose worker died, or whose message was lost, goes on."""
    for company_id in purge.unfinished():
        purge_company.delay(company_id)
