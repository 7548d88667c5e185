"""The history of what a lead has consented to."""

from __future__ import annotations

from collections.abc import Collection

from knowrithm.principal import Principal
from leads.enums import ConsentKind
from leads.models import Lead, LeadConsent

FIELDS = {f"consent_{kind.value}": kind for kind in ConsentKind}


def record_consents(
    *, actor: Principal | None, lead: Lead, text_version: str = "", fields: Collection[str] = tuple(FIELDS)
) -> None:
    """Write down how the lead's consents stand now. Part of another service: the caller's transaction, no audit row."""
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
