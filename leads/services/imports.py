"""Leads from a CSV file: first the faults of its rows, then the rest of them, written by a worker."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from agents.selectors import get_agent, lead_fields
from knowrithm.errors import ConflictError, InvalidInputError, NotFoundError, TooLargeError
from knowrithm.jobs import create_task, enqueue
from knowrithm.principal import Principal
from leads import csv_rows
from leads.enums import Encoding, ImportStatus
from leads.export import RefusedRows
from leads.models import LeadImport
from leads.tasks import import_leads
from tenants.audit.services import record_event

SHOWN_ERRORS = 200
GONE = "The file was not imported within a day and is deleted. Upload it again."


@transaction.atomic
def check_import(
    *, actor: Principal, file: UploadedFile[bytes], agent_id: uuid.UUID | None = None, encoding: str = ""
) -> LeadImport:
    """Reads every row and writes none, in an encoding that is found where none is given.

    Raises `InvalidInputError` for what is no CSV file of leads.
    """
    if (file.size or 0) > csv_rows.MAX_BYTES:
        raise TooLargeError(f"A file may have at most {csv_rows.MAX_BYTES // 1024**2} MB. Split it.")
    content: Any = file.file
    row = LeadImport(
        filename=(file.name or "leads.csv")[:300], agent=get_agent(agent_id) if agent_id else None,
        encoding=_known(encoding) if encoding else csv_rows.encoding_of(content), actor_label=actor.label[:254],
    )  # fmt: skip
    _check(row, content)
    file.seek(0)
    row.file.save("original", file, save=False)
    row.save()
    record_event(
        actor=actor, event_type="lead_import.checked", entity=row, changes={"rows": (None, row.total)}
    )  # fmt: skip
    return row


@transaction.atomic
def recheck_import(*, actor: Principal, row: LeadImport, encoding: str) -> LeadImport:
    """Reads the file once more, in another encoding. Where that makes no CSV file of leads of it, which is an
    `InvalidInputError`, the import stays as it is.
    """
    row = _waiting(row)
    if not (row.file and row.file.storage.exists(row.file.name or "")):
        raise NotFoundError(GONE)
    before, old = row.encoding, row.refused
    row.encoding = _known(encoding)
    with row.file.open("rb") as file:
        _check(row, file.file)
    row.save()
    if old and old.name != row.refused.name:
        transaction.on_commit(lambda: old.storage.delete(old.name or ""), robust=True)
    record_event(
        actor=actor, event_type="lead_import.checked", entity=row, changes={"encoding": (before, row.encoding)}
    )  # fmt: skip
    return row


def _check(row: LeadImport, content: Any) -> None:
    """Counts the rows of the file and keeps what is wrong with which."""
    row.total, row.faulty, row.errors, row.refused = 0, 0, [], ""
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
        if row.faulty:
            row.refused.save("refused.csv", refused.file(), save=False)


@transaction.atomic
def start_import(*, actor: Principal, row: LeadImport) -> LeadImport:
    """Has a worker write the rows that have no fault; known addresses are left as they are."""
    row = _waiting(row)
    row.status, row.task_id = ImportStatus.RUNNING, uuid.UUID(create_task())
    row.save(update_fields=["status", "task_id", "updated_at"])
    enqueue(import_leads, str(row.pk))
    record_event(
        actor=actor, event_type="lead_import.started", entity=row, changes={"rows": (None, row.valid)}
    )  # fmt: skip
    return row


def _waiting(row: LeadImport) -> LeadImport:
    """Locked, and nobody has started it."""
    found = LeadImport.objects.select_for_update().filter(pk=row.pk).first()
    if found is None:
        raise NotFoundError(GONE)
    if found.status != ImportStatus.CHECKED:
        raise ConflictError("This file was imported already.", code="IMPORT_STARTED")
    return found


def _known(encoding: str) -> Encoding:
    if encoding not in Encoding:
        raise InvalidInputError("Choose one of the encodings that are offered.", fields={"encoding": ["Choose one."]})
    return Encoding(encoding)
