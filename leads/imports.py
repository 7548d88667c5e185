"""What a worker does with a checked file of leads."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from django.db import transaction
from django.db.models import F

from agents.selectors import lead_fields
from knowrithm.errors import ServiceError
from knowrithm.jobs import complete_task, fail_task, report_progress
from leads.csv_rows import Row, rows_of
from leads.enums import CONSENT_FIELDS, EventKind, ImportStatus
from leads.models import Lead, LeadConsent, LeadEvent, LeadImport, email_hash, email_hashes

BATCH = 500


def run(import_id: str) -> None:
    """Each batch is committed together with the mark how far it is: killed at any moment, the next worker goes on."""
    row = LeadImport.objects.get(pk=import_id)
    if row.status != ImportStatus.RUNNING or row.task_id is None:
        return
    task_id = str(row.task_id)
    try:
        with row.file.open("rb") as file:
            rows = rows_of(file.file, row.encoding, lead_fields())
            position = sum(1 for _ in islice(rows, row.rows_done))
            while batch := list(islice(rows, BATCH)):
                if not _write(import_id, batch, position):
                    return  # another worker has it
                position += len(batch)
                report_progress(task_id, position * 100 // max(row.total, 1), f"{position:,} of {row.total:,} rows")
    except (ServiceError, OSError):
        LeadImport.objects.filter(pk=import_id).update(status=ImportStatus.FAILED)
        fail_task(task_id, "The file cannot be read any more. Upload it again.", "IMPORT_FAILED")
        return
    # An address that stands in the file twice is one of the faults, and not known besides.
    known = F("total") - F("faulty") - F("created_count")
    LeadImport.objects.filter(pk=import_id).update(status=ImportStatus.COMPLETED, known_count=known)
    row.refresh_from_db()
    row.file.delete(save=True)  # personal data are not kept twice
    counts = {"created": row.created_count, "known": row.known_count, "faulty": row.faulty, "total": row.total}
    complete_task(task_id, {"message": "The leads were imported.", **counts})


@transaction.atomic
def _write(import_id: str, batch: list[Row], position: int) -> bool:
    row = LeadImport.objects.select_for_update().get(pk=import_id)
    if row.rows_done != position or row.status != ImportStatus.RUNNING:
        return False
    wanted = {email_hash(one.values["email"]): one for one in reversed(batch) if not one.errors}  # the first counts
    asked = [index for one in wanted.values() for index in email_hashes(one.values["email"])]
    known = set(_indexes(row, asked))
    fresh = [one for one in wanted.values() if known.isdisjoint(email_hashes(one.values["email"]))]
    # A consent that the file does not tell of was not given, as far as anybody knows.
    unknown = dict.fromkeys(CONSENT_FIELDS, False)
    leads = [Lead(agent_id=row.agent_id, **one.values, **{**unknown, **one.consents}) for one in fresh]
    Lead.objects.bulk_create(leads, ignore_conflicts=True)
    there = set(Lead.objects.filter(pk__in=[lead.pk for lead in leads]).values_list("pk", flat=True))
    LeadEvent.objects.bulk_create(
        LeadEvent(lead=lead, kind=EventKind.IMPORTED, actor_label=row.actor_label) for lead in leads if lead.pk in there
    )
    LeadConsent.objects.bulk_create(
        LeadConsent(lead=lead, kind=CONSENT_FIELDS[name], is_given=is_given, actor_label=row.actor_label)
        for lead, one in zip(leads, fresh, strict=True)
        if lead.pk in there
        for name, is_given in one.consents.items()
    )
    LeadImport.objects.filter(pk=import_id).update(
        rows_done=F("rows_done") + len(batch),
        created_count=F("created_count") + len(there),
        known_count=F("known_count") + sum(1 for one in batch if not one.errors) - len(there),
    )
    return True


def _indexes(row: LeadImport, asked: list[str]) -> Iterator[str]:
    yield from Lead.objects.filter(agent=row.agent_id, email_hash__in=asked).values_list("email_hash", flat=True)
