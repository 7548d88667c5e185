from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.db.models import Q, QuerySet

from documents.models import Document, DocumentChunk, IngestionJob
from knowrithm.errors import NotFoundError


def documents_list(
    *,
    search: str = "",
    status: str = "",
    agent_id: uuid.UUID | None = None,
    document_type: str = "",
    is_archived: bool = False,
) -> QuerySet[Document]:
    rows = Document.objects.with_progress()
    rows = rows.archived() if is_archived else rows.live()
    if status:
        rows = rows.filter(status=status)
    if agent_id:
        rows = rows.filter(agent_id=agent_id)
    if document_type:
        rows = rows.filter(document_type=document_type)
    if search:
        rows = rows.filter(Q(original_filename__icontains=search) | Q(title__icontains=search))
    found: QuerySet[Document] = rows
    return found


def get_document(document_id: uuid.UUID, *, include_archived: bool = False) -> Document:
    """A document of the current company. Raises `NotFoundError`, also for another company's."""
    rows = Document.objects.with_progress()
    document: Document | None = (rows if include_archived else rows.live()).filter(pk=document_id).first()
    if document is None:
        raise NotFoundError("There is no such document.")
    return document


def task_ids(documents: Sequence[Document]) -> list[uuid.UUID]:
    """Of the jobs that read these documents, to be polled at `/tasks/{id}/status`."""
    jobs = IngestionJob.objects.filter(document__in=[document.pk for document in documents])
    return list(jobs.values_list("task_id", flat=True))


def get_chunk(chunk_id: uuid.UUID) -> DocumentChunk:
    chunk: DocumentChunk | None = DocumentChunk.objects.select_related("document").filter(pk=chunk_id).first()
    if chunk is None:
        raise NotFoundError("There is no such chunk.")
    return chunk


def chunks_of(document: Document, *, search: str = "") -> QuerySet[DocumentChunk]:
    rows = document.chunks.live().defer("embedding", "lexical").order_by("index")
    found: QuerySet[DocumentChunk] = rows.filter(content__icontains=search) if search else rows
    return found
