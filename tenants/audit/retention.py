"""How long a company keeps its audit log, and the removal of what is older."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from knowrithm.db.schema import schema_name
from knowrithm.errors import InvalidInputError
from knowrithm.principal import Principal
from tenants.audit.chain import is_sealed, keep_from_pruning, seal_head, verify_log
from tenants.audit.models import AuditEvent, AuditHead, RiskLevel
from tenants.audit.services import log_of, record_event
from tenants.models import MIN_AUDIT_DAYS, Company

log = structlog.get_logger(__name__)
MAX_AUDIT_DAYS = 36_500


@transaction.atomic
def set_audit_retention(*, actor: Principal, days: int | None) -> Company:
    """Keep the company's log for so many days, or for ever with None. Raises `InvalidInputError` below 30."""
    if days is not None and not MIN_AUDIT_DAYS <= days <= MAX_AUDIT_DAYS:
        raise InvalidInputError(
            f"Keep the audit log for {MIN_AUDIT_DAYS} to {MAX_AUDIT_DAYS:,} days, or for ever.",
            fields={"days": [f"A number from {MIN_AUDIT_DAYS} to {MAX_AUDIT_DAYS:,}."]},
        )
    company: Company = Company.objects.select_for_update().get(pk=actor.company_id)
    before, company.audit_retention_days = company.audit_retention_days, days
    company.save(update_fields=["audit_retention_days", "updated_at"])
    with log_of(company):
        record_event(
            actor=actor,
            event_type="audit_log.retention_changed",
            entity_type="audit_log",
            entity_id=company.id,
            changes={"audit_retention_days": (before, days)},
            risk_level=RiskLevel.HIGH,
        )
    return company


@transaction.atomic
def prune_log() -> int:
    """Remove the rows of the current company's log that are older than it keeps them. Returns how many.

    Only whole beginnings of the chain are removed, and only after they have been checked: what somebody has tampered
    with stays to be seen.
    """
    days = Company.objects.values_list("audit_retention_days", flat=True).get(schema_name=schema_name())
    if days is None:
        return 0
    keep_from_pruning(shared=False)
    head = AuditHead.objects.select_for_update().first()
    last = _last_older_than(days)
    if head is None or last <= head.pruned_position:
        return 0
    verdict = verify_log(up_to=last)
    if verdict.fault is not None or verdict.position != last or not is_sealed(head):
        log.error("audit_prune_refused", fault=str(verdict.fault or "the head or the rows do not fit"))
        return 0
    head.pruned_position, head.pruned_digest = last, verdict.digest
    seal_head(head)
    head.save()
    removed, _ = AuditEvent.objects.filter(position__lte=last).delete()
    record_event(
        actor=None,
        event_type="audit_log.pruned",
        entity_type="audit_log",
        changes={"rows": (removed, 0)},
        description=f"{removed} rows older than {days} days were removed.",
        risk_level=RiskLevel.MEDIUM,
    )
    return removed


def _last_older_than(days: int) -> int:
    """The position before the first row that must stay. By position, as the rows' clocks may differ."""
    rows = AuditEvent.objects.order_by("position").values_list("position", flat=True)
    first_kept = rows.filter(created_at__gte=timezone.now() - timedelta(days=days)).first()
    return first_kept - 1 if first_kept is not None else rows.last() or 0
