"""The history of what a lead has consented to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from knowrithm.principal import Principal
from leads.enums import CONSENT_FIELDS
from leads.models import Lead, LeadConsent

FIELDS = CONSENT_FIELDS


def record_consents(*, actor: Principal | None, lead: Lead, fields: Collection[str], text_version: str = "") -> None:
    """Write down how those of the lead's consents stand now that are among `fields`, which somebody was asked for: a
    default is no answer. Part of another service: the caller's transaction, no audit row.
    """
    LeadConsent.objects.bulk_create(
        LeadConsent(
            lead=lead,
            kind=kind,
            is_given=getattr(lead, name),
            text_version=text_version,
            actor_id=actor.id if actor else None,
            actor_label=actor.label[:254] if actor else "",
        )
        for name, kind in FIELDS.items()
        if name in fields
    )


def note_consents(*, lead: Lead, said: Mapping[str, Any], text_version: str) -> None:
    """Write down what a visitor says who registers with the address of a lead that is known: nothing proves that it is
    the same person, so the lead's own consents stay. What was said last before is not written down again.

    Part of another service, as `record_consents`.
    """
    given = {kind: bool(said[name]) for name, kind in FIELDS.items() if name in said}
    rows = LeadConsent.objects.filter(lead=lead, kind__in=given).order_by("kind", "-created_at").distinct("kind")
    known = {row.kind: (row.is_given, row.text_version) for row in rows}
    LeadConsent.objects.bulk_create(
        LeadConsent(lead=lead, kind=kind, is_given=is_given, text_version=text_version, is_unproven=True)
        for kind, is_given in given.items()
        if known.get(kind) != (is_given, text_version)
    )
