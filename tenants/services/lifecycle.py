"""The end of a company, in two steps: archived it is out of use but whole; purged it is gone for good."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from knowrithm.errors import ConflictError, NotFoundError
from knowrithm.principal import Principal
from tenants.audit.models import RiskLevel
from tenants.audit.services import log_of, record_event
from tenants.exceptions import AlreadyRegisteredError
from tenants.models import Company
from tenants.selectors import companies_in_reach, related_rows
from tenants.services.companies import email_is_free
from tenants.tasks import purge_company as purge_task


@transaction.atomic
def archive_company(*, actor: Principal, company: Company) -> Company:
    """Out of use with the next request, for every credential. Its data stay, and its admins may restore it a while."""
    company = Company.objects.select_for_update().get(pk=company.pk)
    if company.is_archived:
        return company
    company.archived_at = timezone.now()
    company.save(update_fields=["archived_at", "updated_at"])
    with log_of(company):
        record_event(actor=actor, event_type="company.archived", entity=company, risk_level=RiskLevel.HIGH)
    return company


@transaction.atomic
def restore_company(*, actor: Principal, company: Company) -> Company:
    """Raises `AlreadyRegisteredError` when another company has taken the e-mail address meanwhile."""
    company = Company.objects.select_for_update().get(pk=company.pk)
    if company.purge_started_at is not None:
        raise NotFoundError("There is no such company.")
    if not company.is_archived:
        return company
    company.archived_at = None
    try:
        with email_is_free():
            company.save(update_fields=["archived_at", "updated_at"])
    except AlreadyRegisteredError:
        message = f"Another company has the e-mail address {company.email} by now. Change one of the two first."
        raise AlreadyRegisteredError(message, fields={"email": [message]}) from None
    with log_of(company):
        record_event(actor=actor, event_type="company.restored", entity=company, risk_level=RiskLevel.MEDIUM)
    return company


@transaction.atomic
def archive_companies(*, actor: Principal, company_ids: Sequence[uuid.UUID]) -> int:
    """All or none; returns how many were not archived before. Raises `NotFoundError` when one is not in reach."""
    found = _all_of(actor, company_ids)
    for company in found:
        archive_company(actor=actor, company=company)
    return sum(not company.is_archived for company in found)


@transaction.atomic
def restore_companies(*, actor: Principal, company_ids: Sequence[uuid.UUID]) -> int:
    """All or none; returns how many were archived. Raises `NotFoundError` when one is not in reach."""
    found = _all_of(actor, company_ids)
    for company in found:
        restore_company(actor=actor, company=company)
    return sum(company.is_archived for company in found)


def _all_of(actor: Principal, company_ids: Sequence[uuid.UUID]) -> list[Company]:
    """In the order of their ids, so that two callers lock them in the same order."""
    found = list(companies_in_reach(actor).filter(pk__in=company_ids).order_by("pk"))
    if len(found) != len(set(company_ids)):
        raise NotFoundError("One of the companies does not exist.")
    return found


@transaction.atomic
def purge_company(*, actor: Principal, company: Company, delete_related: bool) -> None:
    """Delete the company and everything that is its own, for good. From now on it is unusable and unknown; a worker
    does the rest.

    Raises `ConflictError`, which says what is there, unless `delete_related`.
    """
    company = Company.objects.select_for_update().get(pk=company.pk)
    if not delete_related:
        raise _still_there(company)
    if company.purge_started_at is not None:
        return
    company.purge_started_at = timezone.now()
    company.is_ready = company.is_active = False
    company.save(update_fields=["purge_started_at", "is_ready", "is_active", "updated_at"])
    company_id = str(company.pk)
    # Should the broker be down, beat finds the row.
    transaction.on_commit(lambda: purge_task.delay(company_id), robust=True)
    with log_of(None):  # its own log goes with it
        record_event(
            actor=actor, event_type="company.purge_started", entity=company, risk_level=RiskLevel.CRITICAL,
            description=f"{company.email}, {company.schema_name}",
        )  # fmt: skip


def _still_there(company: Company) -> ConflictError:
    counts = ", ".join(f"{name} ({count})" for name, count in related_rows(company).items()) or "settings only"
    message = f"{company} still has {counts}. Send delete_related as true to delete it and all of this for good."
    return ConflictError(message, code="COMPANY_HAS_DATA", fields={"delete_related": [message]})
