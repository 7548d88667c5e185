"""Copies of an agent's documents for a clone of it. Nothing is embedded again: chunks are copied as rows."""

from __future__ import annotations

import uuid

from django.core.files.base import File
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from agents.models import Agent
from documents.chunks import count_copies
from documents.enums import DocumentStatus
from documents.indexes import hold_or_make_index, index_of, record
from documents.ingestion.sandbox import Chunking
from documents.models import Document, DocumentChunk, SearchIndex
from documents.versions import count_documents


def chunks_to_copy(source: Agent) -> int:
    return DocumentChunk.objects.filter(document__in=_readable(source)).count()


def run(source_id: uuid.UUID, clone_id: uuid.UUID) -> None:
    """What a worker does of a clone; nothing where one of the two is gone by now."""
    agents = Agent.objects.with_settings().in_bulk([source_id, clone_id])
    if len(agents) == 2:
        copy_documents(agents[source_id], agents[clone_id])


def copy_documents(source: Agent, clone: Agent) -> int:
    """Copy what the source has read, each document in a transaction of its own. Returns how many were copied.

    A copy's id follows from those of the clone and of the original, so a worker that takes over goes on where the dead
    one was. What is still being read is not copied, and of several versions only the one that answers.
    """
    copied, answering = 0, index_of(source)
    if answering is None:
        return 0  # nothing has been read
    for document in _readable(source).order_by("created_at"):
        copy_id = uuid.uuid5(clone.pk, str(document.pk))
        if not Document.objects.filter(pk=copy_id).exists():
            _copy(document, copy_id, clone, answering)
            copied += 1
    return copied


def _readable(source: Agent) -> QuerySet[Document]:
    rows: QuerySet[Document] = Document.objects.live().filter(agent=source, status=DocumentStatus.PROCESSED)
    return rows


def _copy(document: Document, copy_id: uuid.UUID, clone: Agent, answering: SearchIndex) -> None:
    original_id, file = document.pk, document.file
    document.pk, document.agent, document.created_at = copy_id, clone, timezone.now()
    document.lineage, document.version, document.replaces = None, 1, None
    if file.name and file.storage.exists(file.name):
        with file.open("rb") as content:
            document.file.save("original", File(content), save=False)  # below the copy's own id
    with transaction.atomic():
        index = hold_or_make_index(clone)
        document.save(force_insert=True)
        _copy_chunks(original_id, answering, copy_id, index)
        record(index, document, document.revision, Chunking(answering.chunk_size, answering.chunk_overlap))
        count_documents(clone, +1)


def _copy_chunks(original_id: uuid.UUID, answering: SearchIndex, copy_id: uuid.UUID, index: SearchIndex) -> None:
    """Within the database: no vector leaves it."""
    table = DocumentChunk._meta.db_table
    names = [str(field.column) for field in DocumentChunk._meta.concrete_fields]
    changed = {
        "id": "gen_random_uuid()", "document_id": "%(copy)s", "search_index_id": "%(index)s", "created_at": "now()",
        "updated_at": "now()",
    }  # fmt: skip
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(changed.get(name, f'"{name}"') for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table} "  # noqa: S608  # names of our own model
            "WHERE document_id = %(original)s AND search_index_id = %(answering)s",
            {"copy": copy_id, "index": index.pk, "original": original_id, "answering": answering.pk},
        )
    copies = DocumentChunk.objects.filter(document_id=copy_id).values_list("headings", "content")
    count_copies(" ".join((*headings, content)) for headings, content in copies)
