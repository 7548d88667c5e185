"""A visitor says who they are."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from agents.models import Agent
from knowrithm.errors import InvalidInputError
from leads.models import Lead
from leads.services.consents import record_consents
from leads.signals import lead_registered
from tenants.audit.services import record_event
from tenants.tokens import TokenPair, issue_for_lead


@dataclass(frozen=True, slots=True)
class RegisteredLead:
    lead: Lead
    tokens: TokenPair


@transaction.atomic
def register_lead(
    *, agent: Agent, company_id: uuid.UUID, email: str, consent_text_version: str = "", **fields: Any
) -> RegisteredLead:
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
            lead, is_new = _existing(agent, email), False
            assert lead is not None  # noqa: S101  # the constraint that failed says so
    shown = [lead.pk, lead.merged_into_id] if lead.merged_into_id else [lead.pk]
    Lead.objects.filter(pk__in=shown).update(last_activity=timezone.now(), archived_at=None)
    if is_new:
        record_consents(actor=None, lead=lead, text_version=consent_text_version)
        lead_registered.send(Lead, lead=lead)
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
