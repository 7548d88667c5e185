from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from agents.models import Agent
from knowrithm.errors import ForbiddenError, InvalidInputError
from knowrithm.jobs import enqueue
from knowrithm.principal import Principal
from leads.models import Lead
from leads.signals import lead_registered
from leads.tasks import apply_encryption
from tenants.audit.models import RiskLevel
from tenants.audit.services import record_event
from tenants.models import Company
from tenants.tokens import TokenPair, issue_for_lead

DETAILS = ("first_name", "last_name", "phone")


@dataclass(frozen=True, slots=True)
class RegisteredLead:
    lead: Lead
    tokens: TokenPair


@transaction.atomic
def register_lead(*, agent: Agent, company_id: uuid.UUID, email: str, **fields: Any) -> RegisteredLead:
    """A visitor's registration with an agent, and a token for conversations with it.

    The same address again is the same lead, as the published widget registers anew whenever its token has expired.
    Names that are known are not overwritten: anybody can type somebody else's address. For the same reason a token
    alone shows nothing of the past (conversations.selectors).
    """
    if not fields.get("consent_data_processing", True):
        raise InvalidInputError(
            "Without consent to the processing of your data we cannot talk here.",
            fields={"consent_data_processing": ["Consent is needed."]},
        )
    lead = _existing(agent, email)
    is_new = lead is None
    if lead is None:
        try:
            with transaction.atomic():
                lead = Lead.objects.create(agent=agent, email=email, **fields)
        except IntegrityError:  # the same visitor in two tabs at once
            lead = _existing(agent, email)
            assert lead is not None  # noqa: S101  # the constraint that failed says so
    Lead.objects.filter(pk=lead.pk).update(last_activity=timezone.now(), archived_at=None)
    lead_registered.send(sender=Lead, lead=lead, is_new=is_new)
    record_event(
        actor=None,
        event_type="lead.registered" if is_new else "lead.returned",
        entity=lead,
        # The log outlives what a company deletes: it names no visitor.
        entity_label=f"of {agent.name}",
    )
    return RegisteredLead(lead, issue_for_lead(lead_id=lead.id, agent_id=agent.id, company_id=company_id))


def _existing(agent: Agent, email: str) -> Lead | None:
    lead: Lead | None = Lead.objects.filter(agent=agent).with_email(email).first()
    return lead


@transaction.atomic
def set_lead_encryption(*, actor: Principal, is_on: bool) -> None:
    """Whether the company's leads lie encrypted. What is stored already is rewritten in the background."""
    if not actor.is_admin:
        raise ForbiddenError("Only an admin of your company may change how the data of leads are stored.")
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
