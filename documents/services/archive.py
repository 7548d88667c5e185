"""Out of every answer, and back."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from documents.enums import ACTIVE_STATUSES, DocumentStatus
from documents.indexes import count_edit
from documents.jobs import stop_jobs
from documents.models import Document, DocumentChunk
from documents.services.records import record_documents
from documents.services.uploads import queue_ingestion
from documents.versions import count_documents, withdraw
from knowrithm.errors import InvalidInputError, NotFoundError
from knowrithm.principal import Principal
from tenants.audit.services import record_event


@transaction.atomic
def archive_document(*, actor: Principal, document: Document) -> int:
    """Take a document out of every answer. Returns the number of its chunks."""
    chunks = _archive([document])
    record_documents(actor, "document.archived", [document])
    return chunks


def _archive(documents: Sequence[Document]) -> int:
    """Returns the number of their chunks. As many statements for many as for one, and one for each agent or dataset."""
    stop_jobs(documents)
    rows = Document.objects.live().filter(pk__in=[document.pk for document in documents])
    # Of two that archive at once only one counts: who holds the row.
    held = {document.pk for document in rows.only("pk").order_by("pk").select_for_update()}
    found = Document.objects.filter(pk__in=held)
    found.filter(status=DocumentStatus.PROCESSING).update(status=DocumentStatus.PENDING)
    now = timezone.now()
    found.update(archived_at=now, updated_at=now)
    homes = {document.home.pk: document.home for document in documents}
    gone = Counter(document.home.pk for document in documents if document.pk in held)
    for home_id in sorted(gone):
        count_documents(homes[home_id], -gone[home_id])
    return DocumentChunk.objects.live().filter(document__in=documents).count()


@transaction.atomic
def restore_document(*, actor: Principal, document: Document) -> Document:
    """Back into answers. What was still to be read when it was archived is read now.

    An earlier version takes the place of the one that answers now.
    """
    for other in _other_versions(document):
        withdraw(other)
    if Document.objects.archived().filter(pk=document.pk).update(archived_at=None, updated_at=timezone.now()):
        count_documents(document.home, +1)
        if document.status in ACTIVE_STATUSES:
            queue_ingestion(document)
    document.archived_at = None
    record_documents(actor, "document.restored", [document])
    return document


def _other_versions(document: Document) -> list[Document]:
    if document.lineage is None or not document.is_archived or document.status == DocumentStatus.FAILED:
        return []
    rows = Document.objects.live().filter(lineage=document.lineage).exclude(pk=document.pk)
    return list(rows.select_related("agent", "dataset"))


@transaction.atomic
def archive_documents(*, actor: Principal, document_ids: Sequence[uuid.UUID]) -> tuple[int, int]:
    """Archive many. Returns the numbers of documents and chunks; raises `NotFoundError` when one is unknown."""
    documents = list(Document.objects.live().select_related("agent", "dataset").filter(pk__in=document_ids))
    if len(documents) != len(set(document_ids)):
        raise NotFoundError("One of the documents does not exist.")
    chunks = _archive(documents)
    if documents:
        record_documents(actor, "document.archived", documents)
    return len(documents), chunks


@transaction.atomic
def archive_chunks(*, actor: Principal, chunks: Sequence[DocumentChunk]) -> int:
    ids = _to_change(chunks)
    count = DocumentChunk.objects.live().filter(pk__in=ids).update(archived_at=timezone.now())
    _record_chunks(actor, "document_chunk.archived", chunks, count)
    return count


@transaction.atomic
def restore_chunks(*, actor: Principal, chunks: Sequence[DocumentChunk]) -> int:
    """Raises `InvalidInputError` while the document itself is archived."""
    if any(chunk.document.is_archived for chunk in chunks):
        raise InvalidInputError("The document is archived. Restore it first.", code="DOC_ARCHIVED")
    ids = _to_change(chunks)
    count = DocumentChunk.objects.archived().filter(pk__in=ids).update(archived_at=None)
    _record_chunks(actor, "document_chunk.restored", chunks, count)
    return count


def _to_change(chunks: Sequence[DocumentChunk]) -> list[uuid.UUID]:
    for document in {chunk.document for chunk in chunks}:
        count_edit(document)
    return [chunk.pk for chunk in chunks]


def _record_chunks(actor: Principal, event_type: str, chunks: Sequence[DocumentChunk], count: int) -> None:
    if not chunks:
        return
    document = chunks[0].document
    record_event(
        actor=actor,
        event_type=event_type,
        entity_type="document_chunk",
        entity_id=chunks[0].pk if len(chunks) == 1 else "",
        entity_label=document.original_filename,
        changes={"document": (None, document.pk), "chunks": (None, count)},
    )
