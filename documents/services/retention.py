"""How long a company keeps earlier versions and archived documents."""

from __future__ import annotations

from django.db import transaction

from knowrithm.errors import InvalidInputError
from knowrithm.principal import Principal
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, record_event
from tenants.models import Company

MAX_RETENTION_DAYS = 36_500


@transaction.atomic
def set_document_retention(*, actor: Principal, version_days: int | None, archive_days: int | None) -> Company:
    """Keep for so many days after they were archived, or for ever with None: earlier versions that no answer cites, and
    all archived documents. Raises `InvalidInputError`.
    """
    wanted = {"version_retention_days": version_days, "archive_retention_days": archive_days}
    errors = {
        name: [f"A number from 1 to {MAX_RETENTION_DAYS:,}."]
        for name, days in (("version_days", version_days), ("archive_days", archive_days))
        if days is not None and not 1 <= days <= MAX_RETENTION_DAYS
    }
    if errors:
        raise InvalidInputError(f"Keep documents for 1 to {MAX_RETENTION_DAYS:,} days, or for ever.", fields=errors)
    company: Company = Company.objects.select_for_update().get(pk=actor.company_id)
    before = {name: getattr(company, name) for name in wanted}
    for name, days in wanted.items():
        setattr(company, name, days)
    company.save(update_fields=[*wanted, "updated_at"])
    record_event(
        actor=actor,
        event_type="documents.retention_changed",
        entity_type="documents",
        entity_id=company.id,
        changes=changed_fields(before, wanted),
        risk_level=RiskLevel.HIGH,
    )
    return company
