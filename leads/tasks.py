from __future__ import annotations

from celery import shared_task

from knowrithm.jobs import company_task, for_each_company
from leads import imports, jobs


@company_task(name="leads.apply_encryption")
def apply_encryption() -> None:
    jobs.apply_encryption()


@shared_task(name="leads.apply_encryption_everywhere")
def apply_encryption_everywhere() -> None:
    """Takes up what a killed worker has left, and leads that were written while their company was switching."""
    for_each_company(apply_encryption, expires=290)


@company_task(name="leads.purge_imports")
def purge_imports() -> None:
    jobs.purge_imports()


@shared_task(name="leads.purge_imports_everywhere")
def purge_imports_everywhere() -> None:
    for_each_company(purge_imports, expires=3599)


@company_task(name="leads.import")
def import_leads(import_id: str) -> None:
    imports.run(import_id)
