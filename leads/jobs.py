"""What a worker does about leads."""

from __future__ import annotations

from django.db import transaction

from leads.models import Lead
from tenants.selectors import encrypts_lead_data

BATCH = 200


def apply_encryption() -> None:
    """Rewrite every lead that does not lie as the company wants it.

    Each batch is committed by itself, and what is done is not looked at again: killed at any moment, the next run
    does the rest. Switched back meanwhile, it turns back.
    """
    while apply_batch():
        pass


def apply_batch() -> int:
    """Returns the number of leads that were rewritten."""
    with transaction.atomic():
        rows = Lead.objects.to_be_rewritten(is_encrypted=encrypts_lead_data()).order_by("pk")
        leads = list(rows.select_for_update(skip_locked=True).only("email", "phone")[:BATCH])
        for lead in leads:
            Lead.objects.filter(pk=lead.pk).update(email=lead.email, phone=lead.phone)  # the field does the rest
    return len(leads)
