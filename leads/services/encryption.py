"""Whether the company's leads lie encrypted."""

from __future__ import annotations

from django.db import transaction

from knowrithm.jobs import enqueue
from knowrithm.principal import Principal
from leads.tasks import apply_encryption
from tenants.audit.models import RiskLevel
from tenants.audit.services import record_event
from tenants.models import Company


@transaction.atomic
def set_lead_encryption(*, actor: Principal, is_on: bool) -> None:
    """Whether the company's leads lie encrypted. What is stored already is rewritten in the background."""
    actor.must_be_admin()
    company = Company.objects.select_for_update().get(pk=actor.company_id)
    before = company.encrypts_lead_data
    if before == is_on:
        return
    company.encrypts_lead_data = is_on
    company.save(update_fields=["encrypts_lead_data", "updated_at"])
    enqueue(apply_encryption)
    record_event(
        actor=actor, event_type="company.lead_encryption_changed", entity=company,
        changes={"encrypts_lead_data": (before, is_on)}, risk_level=RiskLevel.LOW if is_on else RiskLevel.HIGH,
    )  # fmt: skip
