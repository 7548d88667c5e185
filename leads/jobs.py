"""What a worker does about leads."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from leads.enums import ImportStatus
from leads.models import Lead, LeadImport
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


def purge_imports() -> None:
    """Forget files that nobody had imported within a day, and what is left of those that could not be.

    The files go before the row: killed in between, the next run finds the row again.
    """
    old = LeadImport.objects.filter(
        status__in=(ImportStatus.CHECKED, ImportStatus.FAILED), updated_at__lt=timezone.now() - LeadImport.KEPT
    ).exclude(file="")
    for pk in old.values_list("pk", flat=True):
        with transaction.atomic():
            row = old.filter(pk=pk).select_for_update(skip_locked=True).first()
            if row is None:
                continue  # it is being started just now
            row.file.delete(save=row.status == ImportStatus.FAILED)
            if row.status == ImportStatus.CHECKED:
                row.refused.delete(save=False)
                row.delete()
