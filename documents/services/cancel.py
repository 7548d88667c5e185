"""Stopping what is being read."""

from __future__ import annotations

from functools import partial

from django.db import transaction
from django.utils import timezone

from documents.enums import ACTIVE_STATUSES, DocumentStatus, JobStatus
from documents.models import Document, IngestionJob
from documents.services.records import record_documents
from knowrithm.errors import InvalidInputError
from knowrithm.jobs import fail_task
from knowrithm.principal import Principal

UNFINISHED = (JobStatus.PENDING, JobStatus.PROCESSING)


@transaction.atomic
def cancel_document(*, actor: Principal, document: Document) -> Document:
    """Stop reading a document; its worker notices within a second. It can be read again by `retry_document`.

    Raises `InvalidInputError` when it is not being read.
    """
    stop_jobs(document)
    now = timezone.now()
    rows = Document.objects.filter(pk=document.pk, status__in=ACTIVE_STATUSES)
    if not rows.update(status=DocumentStatus.CANCELLED, processing_error="", error_code="", updated_at=now):
        raise InvalidInputError("This document is not being read, so there is nothing to cancel.")
    document.status = DocumentStatus.CANCELLED
    record_documents(actor, "document.cancelled", [document])
    return document


def stop_jobs(document: Document) -> None:
    """Cancel the jobs that would read the document or do. Call inside the transaction that says what comes instead."""
    jobs = IngestionJob.objects.filter(document=document, status__in=UNFINISHED)
    for job in jobs.select_for_update():
        job.status, job.finished_at, job.lease_until, job.seconds_left = JobStatus.CANCELLED, timezone.now(), None, None
        job.save(update_fields=["status", "finished_at", "lease_until", "seconds_left", "updated_at"])
        tell = partial(fail_task, str(job.task_id), "Reading this document was cancelled.", "DOC_CANCELLED")
        transaction.on_commit(tell, robust=True)
