"""Leads from a CSV file: first the faults of its rows, then the rest of them, written by a worker."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from agents.selectors import get_agent, lead_fields
from knowrithm.errors import ConflictError, NotFoundError, TooLargeError
from knowrithm.jobs import create_task, enqueue
from knowrithm.principal import Principal
from leads import csv_rows
from leads.enums import ImportStatus
from leads.export import RefusedRows
from leads.models import LeadImport
from leads.tasks import import_leads
from tenants.audit.services import record_event

SHOWN_ERRORS = 200


@transaction.atomic
def check_import(*, actor: Principal, file: UploadedFile[bytes], agent_id: uuid.UUID | None = None) -> LeadImport:
    """Reads every row and writes none. Raises `InvalidInputError` for what is no CSV file of leads."""
    if (file.size or 0) > csv_rows.MAX_BYTES:
        raise TooLargeError(f"A file may have at most {csv_rows.MAX_BYTES // 1024**2} MB. Split it.")
    content: Any = file.file
    row = LeadImport(
        filename=(file.name or "leads.csv")[:300], agent=get_agent(agent_id) if agent_id else None,
        encoding=csv_rows.encoding_of(content), actor_label=actor.label[:254],
    )  # fmt: skip
    seen: set[int] = set()
    with RefusedRows() as refused:
        for found in csv_rows.rows_of(content, row.encoding, lead_fields()):
            row.total += 1
            address = hash(found.values["email"].lower())
            if not found.errors and address in seen:
                found.errors.append("This e-mail address stands in the file twice.")
            seen.add(address)
            if found.errors:
                row.faulty += 1
                refused.add(found)
                if len(row.errors) < SHOWN_ERRORS:
                    row.errors.append([found.line, found.fault])
        file.seek(0)
        row.file.save("original", file, save=False)
        if row.faulty:
            row.refused.save("refused.csv", refused.file(), save=False)
    row.save()
    record_event(
        actor=actor, event_type="lead_import.checked", entity=row, changes={"rows": (None, row.total)}
    )  # fmt: skip
    return row


@transaction.atomic
def start_import(*, actor: Principal, row: LeadImport) -> LeadImport:
    """Has a worker write the rows that have no fault; known addresses are left as they are."""
    found = LeadImport.objects.select_for_update().filter(pk=row.pk).first()
    if found is None:
        raise NotFoundError("The file was not imported within a day and is deleted. Upload it again.")
    row = found
    if row.status != ImportStatus.CHECKED:
        raise ConflictError("This file was imported already.", code="IMPORT_STARTED")
    row.status, row.task_id = ImportStatus.RUNNING, uuid.UUID(create_task())
    row.save(update_fields=["status", "task_id", "updated_at"])
    enqueue(import_leads, str(row.pk))
    record_event(
        actor=actor, event_type="lead_import.started", entity=row, changes={"rows": (None, row.valid)}
    )  # fmt: skip
    return row
