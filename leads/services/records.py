"""What a company does with its leads."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from agents.selectors import get_agent
from documents.services import clean_tags
from knowrithm.errors import ConflictError, InvalidInputError
from knowrithm.principal import Principal
from leads.enums import EventKind, LeadStatus
from leads.field_values import with_values
from leads.models import Lead, LeadEvent
from leads.services.consents import FIELDS as CONSENTS
from leads.services.consents import record_consents
from leads.services.fields import values_to_write
from leads.signals import lead_registered, lead_status_changed, lead_updated
from tenants.audit.services import changed_fields, fields_of, record_event

FIELDS = (
    "first_name",
    "last_name",
    "email",
    "phone",
    "source",
    "notes",
    "tags",
    "metadata",
    "custom_fields",
    *CONSENTS,
)
# The log outlives what a company deletes: it says that these were changed, not what they say. The address and the
# telephone number are left out of it by record_event.
LOGGED = ("source", "tags", "status", *CONSENTS)


@transaction.atomic
def create_lead(
    *, actor: Principal, email: str, agent_id: uuid.UUID | None = None, consent_text_version: str = "",
    source: str = "manual", **fields: Any,
) -> Lead:  # fmt: skip
    """A lead that the company writes down itself, of one of its agents or of none.

    Raises `ConflictError` when the address is a lead of that agent already, `NotFoundError` for unknown agents.
    """
    agent = get_agent(agent_id) if agent_id else None
    if "tags" in fields:
        fields["tags"] = clean_tags(fields["tags"])
    fields["custom_fields"] = with_values({}, values_to_write(fields.get("custom_fields")))
    lead = Lead(agent=agent, email=email.strip(), source=source, **fields)
    _check_address(lead)
    _save(lead, is_new=True)
    add_event(actor=actor, lead=lead, kind=EventKind.CREATED)
    record_consents(actor=actor, lead=lead, fields=fields, text_version=consent_text_version)
    lead_registered.send(Lead, lead=lead)
    record_event(
        actor=actor, event_type="lead.created", entity=lead, entity_label=label_of(lead),
        changes=changed_fields({}, fields_of(lead, LOGGED)),
    )  # fmt: skip
    return lead


@transaction.atomic
def update_lead(
    *, actor: Principal, lead: Lead, changes: Mapping[str, Any], status: str | None = None, status_note: str = "",
    consent_text_version: str = "",
) -> Lead:  # fmt: skip
    """What `changes` does not name stays, also of the custom fields. Raises `ConflictError` when the new address is
    another lead's.
    """
    values = values_to_write(changes.get("custom_fields"))
    lead = _locked(lead)
    before = fields_of(lead, FIELDS)
    was = fields_of(lead, LOGGED)
    for name in FIELDS:
        if name in changes:
            setattr(lead, name, clean_tags(changes[name]) if name == "tags" else changes[name])
    lead.custom_fields = with_values(before["custom_fields"], values)
    lead.email = lead.email.strip()
    changed = [name for name in FIELDS if getattr(lead, name) != before[name]]
    if "email" in changed:
        _check_address(lead)
    if changed:
        _save(lead, fields=changed)
        record_consents(actor=actor, lead=lead, text_version=consent_text_version, fields=changed)
        lead_updated.send(Lead, lead=lead, fields=changed)
    if status is not None:
        _set_status(actor, lead, status, status_note)
    keys = changed_fields(before["custom_fields"], lead.custom_fields)
    record_event(
        actor=actor, event_type="lead.updated", entity=lead, entity_label=label_of(lead),
        changes=changed_fields(was, fields_of(lead, LOGGED)), description=_names_of(changed, keys),
    )  # fmt: skip
    return lead


@transaction.atomic
def change_lead_status(*, actor: Principal, lead: Lead, status: str, note: str = "") -> Lead:
    """Kept in the lead's history. Nothing happens when it has this status already."""
    lead = _locked(lead)
    was = lead.status
    if status == was:
        return lead
    _set_status(actor, lead, status, note)
    record_event(
        actor=actor, event_type="lead.status_changed", entity=lead, entity_label=label_of(lead),
        changes={"status": (was, lead.status)},
    )  # fmt: skip
    return lead


@transaction.atomic
def add_lead_note(*, actor: Principal, lead: Lead, text: str) -> LeadEvent:
    if not (text := text.strip()):
        raise InvalidInputError("Write the note first.", fields={"note": ["Write the note first."]})
    event = add_event(actor=actor, lead=lead, kind=EventKind.NOTE, note=text)
    record_event(actor=actor, event_type="lead.note_added", entity=lead, entity_label=label_of(lead))
    return event


@transaction.atomic
def archive_lead(*, actor: Principal, lead: Lead) -> Lead:
    """Out of every list, and its tokens are worth nothing; registering again, or `restore_lead`, brings it back."""
    lead.archived_at = timezone.now()
    lead.save(update_fields=["archived_at", "updated_at"])
    record_event(actor=actor, event_type="lead.archived", entity=lead, entity_label=label_of(lead))
    return lead


@transaction.atomic
def restore_lead(*, actor: Principal, lead: Lead) -> Lead:
    lead.archived_at = None
    lead.save(update_fields=["archived_at", "updated_at"])
    record_event(actor=actor, event_type="lead.restored", entity=lead, entity_label=label_of(lead))
    return lead


def add_event(*, actor: Principal | None, lead: Lead, kind: EventKind, **fields: Any) -> LeadEvent:
    """A line of the lead's timeline. Part of another service: the caller's transaction, no audit row."""
    actor_id, label = (actor.id, actor.label[:254]) if actor else (None, "")
    return LeadEvent.objects.create(lead=lead, kind=kind, actor_id=actor_id, actor_label=label, **fields)


def label_of(lead: Lead) -> str:
    """What the audit log calls a lead: it outlives what a company deletes, and names no visitor."""
    return f"of {lead.agent.name}" if lead.agent else "of no agent"


def _locked(lead: Lead) -> Lead:
    found: Lead = Lead.objects.select_related("agent").select_for_update(of=("self",)).get(pk=lead.pk)
    return found


def _set_status(actor: Principal, lead: Lead, status: str, note: str) -> None:
    if status not in LeadStatus.values:
        text = f"Use one of {', '.join(LeadStatus.values)}."
        raise InvalidInputError(text, fields={"status": [text]})
    if status == lead.status:
        return
    was, lead.status = lead.status, status
    lead.save(update_fields=["status", "updated_at"])
    add_event(actor=actor, lead=lead, kind=EventKind.STATUS, from_status=was, to_status=status, note=note.strip())
    lead_status_changed.send(Lead, lead=lead, from_status=was, to_status=status)


def _save(lead: Lead, *, is_new: bool = False, fields: list[str] | None = None) -> None:
    try:
        with transaction.atomic():
            lead.save(force_insert=is_new, update_fields=[*fields, "updated_at"] if fields else None)
    except IntegrityError:  # somebody else was faster
        raise _taken() from None


def _check_address(lead: Lead) -> None:
    if Lead.objects.filter(agent=lead.agent).with_email(lead.email).exclude(pk=lead.pk).exists():
        raise _taken()


def _taken() -> ConflictError:
    text = "There is a lead with this e-mail address already. Look among the archived ones too."
    return ConflictError(text, code="LEAD_EXISTS", fields={"email": [text]})


def _names_of(changed: list[str], keys: Iterable[str]) -> str:
    """`keys`: of the custom fields that have changed."""
    names = [*(name for name in changed if name != "custom_fields"), *(f"custom_fields.{key}" for key in keys)]
    return f"Changed: {', '.join(names)}." if names else ""
