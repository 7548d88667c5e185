"""A visitor says who they are."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from agents.enums import Ask
from agents.models import Agent
from agents.widget_settings import widget_settings
from knowrithm.db.compiled import ANY_ID, ANY_TEXT, CompiledQuery
from knowrithm.errors import ForbiddenError, InvalidInputError
from knowrithm.principal import Principal
from leads.enums import EventKind
from leads.models import MADE_UP, Lead, email_hashes
from leads.services.consents import note_consents, record_consents
from leads.services.fields import values_of_visitor
from leads.services.records import add_event, label_of
from leads.signals import lead_registered
from tenants import tokens
from tenants.audit.services import record_event
from tenants.tokens import TokenPair, issue_for_lead

NAMELESS = "Visitor"


@dataclass(frozen=True, slots=True)
class RegisteredLead:
    lead: Lead
    tokens: TokenPair


@transaction.atomic
def register_lead(
    *, agent: Agent, company_id: uuid.UUID, email: str, consent_text_version: str = "", origin: str = "", **fields: Any
) -> RegisteredLead:
    """A visitor's registration with an agent, and a token for conversations with it.

    The same address again is the same lead, as the published widget registers anew whenever its token has expired.
    Names that are known are not overwritten: anybody can type somebody else's address. For the same reason a token
    alone shows nothing of the past (conversations.selectors), and what they consent to is written down beside the
    lead's own consents (services.consents). `custom_fields`: those that the agent asks its visitors for.
    """
    _require_consent(fields)
    fields["custom_fields"] = values_of_visitor(fields.get("custom_fields"), agent)
    lead = _existing(agent, email)
    is_new = lead is None
    if lead is None:
        try:
            with transaction.atomic():
                lead = Lead.objects.create(agent=agent, email=email, last_activity=timezone.now(), **fields)
        except IntegrityError:  # the same visitor in two tabs at once
            lead, is_new = _existing(agent, email), False
            assert lead is not None  # noqa: S101  # the constraint that failed says so
    if is_new:
        record_consents(actor=None, lead=lead, fields=fields, text_version=consent_text_version)
        lead_registered.send(Lead, lead=lead)
    else:
        shown = [lead.pk, lead.merged_into_id] if lead.merged_into_id else [lead.pk]
        Lead.objects.filter(pk__in=shown).update(last_activity=timezone.now(), archived_at=None)
        note_consents(lead=lead, said=fields, text_version=consent_text_version)
    record_event(
        actor=None,
        event_type="lead.registered" if is_new else "lead.returned",
        entity=lead,
        # The log outlives what a company deletes: it names no visitor.
        entity_label=f"of {agent.name}",
    )
    return RegisteredLead(lead, _tokens(lead, agent, company_id, origin))


@transaction.atomic
def start_visit(*, agent: Agent, company_id: uuid.UUID, origin: str = "", **fields: Any) -> RegisteredLead:
    """A visitor who does not say who they are, and a token for conversations with the agent.

    Raises `ForbiddenError` where the agent wants to know first.
    """
    if widget_settings(agent.widget)["ask"] == Ask.BEFORE:
        raise ForbiddenError("This agent wants to know first who you are. Register with your name and e-mail address.")
    lead = Lead.objects.create(
        agent=agent,
        email=f"visitor-{uuid.uuid4().hex}{MADE_UP}",
        first_name=NAMELESS,
        is_nameless=True,
        consent_data_processing=False,
        **fields,
    )
    record_event(actor=None, event_type="lead.visit_started", entity=lead, entity_label=label_of(lead))
    return RegisteredLead(lead, _tokens(lead, agent, company_id, origin))


def renew_visit(*, agent: Agent, company_id: uuid.UUID, refresh_token: str, origin: str = "") -> RegisteredLead:
    """New tokens for the visitor whom an old refresh token names, on the page that it was given to.

    Raises `InvalidTokenError`.
    """
    payload = tokens.read_refresh(refresh_token)
    named = payload.get(tokens.KIND), payload.get("agent_id"), payload.get("company_id")
    lead: Lead | None = None
    if named == (tokens.LEAD_KIND, str(agent.id), str(company_id)) and payload.get(tokens.ORIGIN, "") == origin:
        lead = Lead.objects.live().filter(pk=payload["lead_id"], agent=agent).first()
    if lead is None:
        raise tokens.InvalidTokenError("This chat is not available any more. Start a new one.")
    return RegisteredLead(lead, _tokens(lead, agent, company_id, origin))


@transaction.atomic
def identify_visitor(*, actor: Principal, email: str, consent_text_version: str = "", **fields: Any) -> Lead:
    """The visitor whose token it is says who they are. One who has a name already stays as they are.

    With the address of a lead that the agent knows they become a part of that lead, which keeps its names.
    """
    _require_consent(fields)
    lead: Lead = Lead.objects.select_related("agent").select_for_update(of=("self",)).get(pk=actor.id)
    assert lead.agent is not None  # noqa: S101  # a visitor's token is for an agent
    fields["custom_fields"] = values_of_visitor(fields.get("custom_fields"), lead.agent)
    known = _existing(lead.agent, email)
    is_new = lead.is_nameless and known is None
    if is_new:
        named = {"consent_data_processing": True, **fields}
        lead.email, lead.is_nameless = email, False
        for name, value in named.items():
            setattr(lead, name, value)
        lead.save(update_fields=["email", "is_nameless", "updated_at", *named])
    elif lead.is_nameless and known is not None:
        into = known.merged_into or known
        lead.merged_into, lead.is_nameless = into, False
        lead.save(update_fields=["merged_into", "is_nameless", "updated_at"])
        Lead.objects.filter(pk=into.pk).update(last_activity=timezone.now(), archived_at=None)
        data = {"lead": str(lead.pk), "moved": [], "given": {}}
        add_event(actor=None, lead=into, kind=EventKind.MERGED, note=label_of(lead), data=data)
        note_consents(lead=into, said=fields, text_version=consent_text_version)
    else:
        note_consents(lead=lead, said=fields, text_version=consent_text_version)
    if is_new:
        record_consents(actor=None, lead=lead, fields=fields, text_version=consent_text_version)
        lead_registered.send(Lead, lead=lead)
    record_event(
        actor=None,
        event_type="lead.registered" if is_new else "lead.returned",
        entity=lead,
        entity_label=label_of(lead),
    )
    return lead


def _require_consent(fields: dict[str, Any]) -> None:
    if not fields.get("consent_data_processing", True):
        raise InvalidInputError(
            "Without consent to the processing of your data we cannot talk here.",
            fields={"consent_data_processing": ["Consent is needed."]},
        )


def _tokens(lead: Lead, agent: Agent, company_id: uuid.UUID, origin: str) -> TokenPair:
    return issue_for_lead(lead_id=lead.id, agent_id=agent.id, company_id=company_id, origin=origin)


def _existing(agent: Agent, email: str) -> Lead | None:
    found = (_WITH_ADDRESS.of(agent.pk, text=value) for value in email_hashes(email))
    return next((lead for leads in found for lead in leads), None)


_WITH_ADDRESS: CompiledQuery[Lead] = CompiledQuery(
    lambda: Lead.objects.filter(agent=ANY_ID, email_hash=ANY_TEXT).order_by()
)
