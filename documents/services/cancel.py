"""Stopping what is being read."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from documents.enums import ACTIVE_STATUSES, DocumentStatus
from documents.jobs import stop_jobs
from documents.models import Document
from documents.services.records import record_documents
from knowrithm.errors import InvalidInputError
from knowrithm.principal import Principal


@transaction.atomic
def cancel_document(*, actor: Principal, document: Document) -> Document:
    """Stop reading a document; its worker notices within a second. It can be read again by `retry_document`.

    Raises `InvalidInputError` when it is not being read.
    """
    stop_jobs([document])
    now = timezone.now()
    rows = Document.objects.filter(pk=document.pk, status__in=ACTIVE_STATUSES)
    if not rows.update(status=DocumentStatus.CANCELLED, processing_error="", error_code="", updated_at=now):
        raise InvalidInputError("This document is not being read, so there is nothing to cancel.")
    document.status = DocumentStatus.CANCELLED
    record_documents(actor, "document.cancelled", [document])
    return document
