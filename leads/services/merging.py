"""One person who is several leads: put together, and taken apart again."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction

from knowrithm.errors import ConflictError, InvalidInputError, NotFoundError
from knowrithm.principal import Principal
from leads.enums import EventKind
from leads.models import Lead
from leads.services.records import add_event, label_of
from leads.signals import lead_updated
from tenants.audit.services import record_event

GIVEN = ("tags", "metadata", "custom_fields")  # what a lead takes over; everything else is shown beside its own


@transaction.atomic
def merge_leads(*, actor: Principal, lead: Lead, other_ids: Collection[uuid.UUID]) -> Lead:
    """The others are shown as a part of `lead`. No row is moved: each stays with its agent and keeps its consents.

    Raises `NotFoundError` for one that is not there, `ConflictError` for one that was merged already.
    """
    wanted = set(other_ids) - {lead.pk}
    if not wanted:
        text = "Choose at least one other lead to merge."
        raise InvalidInputError(text, fields={"lead_ids": [text]})
    rows = Lead.objects.live().select_related("agent").filter(pk__in=[lead.pk, *wanted])
    locked: dict[uuid.UUID, Lead] = {row.pk: row for row in rows.order_by("pk").select_for_update(of=("self",))}
    if len(locked) != len(wanted) + 1:
        raise NotFoundError("There is no such lead.")
    if any(row.merged_into_id for row in locked.values()):
        raise ConflictError("One of these leads was merged already. Load the page again.", code="LEAD_MERGED")
    lead = locked[lead.pk]
    for other in (locked[pk] for pk in sorted(wanted)):
        moved = list(other.merged.values_list("pk", flat=True))
        Lead.objects.filter(pk__in=[other.pk, *moved]).update(merged_into=lead)
        lead.last_activity = max(lead.last_activity, other.last_activity)
        given = _take_over(lead, other)
        data = {"lead": str(other.pk), "moved": [str(pk) for pk in moved], "given": given}
        add_event(actor=actor, lead=lead, kind=EventKind.MERGED, note=label_of(other), data=data)
    lead.save(update_fields=[*GIVEN, "last_activity", "updated_at"])
    lead_updated.send(Lead, lead=lead, fields=["merged"])
    record_event(
        actor=actor, event_type="lead.merged", entity=lead, entity_label=label_of(lead),
        changes={"merged": (None, sorted(str(pk) for pk in wanted))},
    )  # fmt: skip
    return lead


@transaction.atomic
def unmerge_lead(*, actor: Principal, lead: Lead) -> Lead:
    """A lead of its own again, with those that it had brought along; the other loses what it was given, unless that
    has been changed since. A visitor who gave the other's address and nothing else has no name again. Returns the lead.
    Raises `ConflictError` when it is not merged.
    """
    lead = Lead.objects.select_related("agent").select_for_update(of=("self",)).get(pk=lead.pk)
    target: Lead | None = (
        Lead.objects.select_related("agent").select_for_update(of=("self",)).filter(pk=lead.merged_into_id).first()
    )
    if target is None:
        raise ConflictError("This lead is not merged with another one.", code="LEAD_NOT_MERGED")
    event = target.events.filter(kind=EventKind.MERGED, data__lead=str(lead.pk)).first()
    data: dict[str, Any] = event.data if event else {}
    lead.merged_into, lead.is_nameless = None, lead.is_nameless or lead.is_made_up
    lead.save(update_fields=["merged_into", "is_nameless", "updated_at"])
    Lead.objects.filter(pk__in=data.get("moved", []), merged_into=target).update(merged_into=lead)
    _take_back(target, data.get("given", {}))
    target.save(update_fields=[*GIVEN, "updated_at"])
    add_event(actor=actor, lead=target, kind=EventKind.UNMERGED, note=label_of(lead), data={"lead": str(lead.pk)})
    lead_updated.send(Lead, lead=target, fields=["merged"])
    record_event(
        actor=actor, event_type="lead.unmerged", entity=lead, entity_label=label_of(lead),
        changes={"merged_into": (str(target.pk), None)},
    )  # fmt: skip
    return lead


def _take_over(lead: Lead, other: Lead) -> dict[str, list[Any]]:
    """Tags, metadata and custom fields that it did not have; returns what they were and are, for the way back."""
    before = {name: getattr(lead, name) for name in GIVEN}
    lead.tags = list(dict.fromkeys([*lead.tags, *other.tags]))
    lead.metadata = {**other.metadata, **lead.metadata}
    lead.custom_fields = {**other.custom_fields, **lead.custom_fields}
    return {name: [was, getattr(lead, name)] for name, was in before.items() if was != getattr(lead, name)}


def _take_back(lead: Lead, given: Mapping[str, list[Any]]) -> None:
    """Tag by tag and key by key, as others may have been merged and taken out since, and people may have changed it."""
    for name, (before, after) in given.items():
        now = getattr(lead, name)
        if name == "tags":
            lead.tags = [tag for tag in now if tag in before or tag not in after]
        else:
            kept = {key: value for key, value in now.items() if key in before or (key, value) not in after.items()}
            setattr(lead, name, kept)
