"""The documents of a website's pages: made, replaced, taken out of answers and brought back."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from typing import Any

from celery import Task
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from documents.enums import DocumentStatus, PageStatus
from documents.ingestion.base import IngestionError
from documents.jobs import queue_job
from documents.models import Document, WebsitePage, WebsiteSource, owned_by
from documents.versions import count_documents, next_version, versions_of

FAULTS_OF_FILES = frozenset(error.code for error in (IngestionError, *IngestionError.__subclasses__()))


def store(page: WebsitePage, content: tuple[str, str, bytes], ingest: Task[Any, Any]) -> None:
    """The page's document with this content, to be read.

    What answers may have cited stays as it was: the new content is the next version of its document. One that a
    person has archived goes on in a version that is archived too.
    """
    name, kind, body = content
    source = page.source
    document = versions_of(page.document).select_for_update(of=("self",)).first() if page.document else None
    is_out = document is not None and document.archived_at is not None and not page.is_document_out
    was_live = document is not None and document.archived_at is None
    if document is None:
        document = Document(**owned_by(source.home), source_url=page.url)
    elif document.chunks.exists():
        inherited = {"source_url": page.url, "metadata": document.metadata, "tags": document.tags}
        document = Document(**owned_by(source.home), **inherited, **next_version(document))
        was_live = False
    document.archived_at = timezone.now() if is_out else None
    if not was_live and not is_out:
        count_documents(source.home, +1)
    document.original_filename, document.document_type = name[-300:], kind
    document.title = page.title
    document.status, document.processing_error, document.error_code = DocumentStatus.PENDING, "", ""
    document.file_size, document.sha256 = len(body), hashlib.sha256(body).hexdigest()
    old, storage = document.file.name, document.file.storage
    document.file.save("original", ContentFile(body), save=False)
    if old and old != document.file.name:
        transaction.on_commit(lambda: storage.delete(old), robust=True)
    document.save()
    page.document, page.is_document_out = document, False
    queue_job(document, ingest, is_bulk=True)


def read_again_if_failed(page: WebsitePage, ingest: Task[Any, Any]) -> None:
    """The page is as it was. Its document may have failed for a cause that lies elsewhere, and that may be over."""
    rows = Document.objects.live().filter(pk=page.document_id, status=DocumentStatus.FAILED)
    document = rows.exclude(error_code__in=FAULTS_OF_FILES).select_for_update(of=("self",)).first()
    if document is None:
        return
    document.status, document.processing_error, document.error_code = DocumentStatus.PENDING, "", ""
    document.save(update_fields=["status", "processing_error", "error_code", "updated_at"])
    queue_job(document, ingest, is_bulk=True)


def set_aside(page: WebsitePage, cause: str, code: str) -> int:
    """No answer comes from this page any more. Returns how many documents were archived for it."""
    page.status, page.cause, page.cause_code = PageStatus.EXCLUDED, cause.replace("\0", ""), code
    page.etag = page.last_modified = ""
    if page.document is None or not archive_documents(page.source, [page.document.pk]):
        return 0
    page.is_document_out = True
    return 1


def bring_back(page: WebsitePage) -> None:
    rows = Document.objects.archived().filter(pk=page.document_id)
    if rows.update(archived_at=None, updated_at=timezone.now()):
        count_documents(page.source.home, +1)
    page.is_document_out = False


def archive_documents(source: WebsiteSource, ids: Iterable[uuid.UUID]) -> int:
    """Take documents of this source's pages out of every answer. Returns how many were not so already.

    With a version that has not been read yet goes the one that answers meanwhile.
    """
    now, given = timezone.now(), list(ids)
    lineages = Document.objects.filter(pk__in=given).exclude(lineage=None).values("lineage")
    family = Q(pk__in=given) | Q(lineage__in=lineages)
    taken = Document.objects.live().filter(family).update(archived_at=now, updated_at=now)
    if taken:
        count_documents(source.home, -taken)
    return taken


def restore_documents(source: WebsiteSource, ids: Iterable[uuid.UUID]) -> int:
    brought = Document.objects.archived().filter(pk__in=list(ids)).update(archived_at=None, updated_at=timezone.now())
    if brought:
        count_documents(source.home, brought)
    return brought
