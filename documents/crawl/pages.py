"""The documents of a website's pages: made, replaced, taken out of answers and brought back."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from typing import Any

from celery import Task
from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone

from documents.enums import DocumentStatus, PageStatus
from documents.jobs import queue_job
from documents.models import Document, WebsitePage, WebsiteSource, owned_by
from documents.versions import count_documents


def store(page: WebsitePage, content: tuple[str, str, bytes], ingest: Task[Any, Any]) -> None:
    """The page's document with this content, to be read."""
    name, kind, body = content
    source = page.source
    document = page.document
    if document is None:
        document = Document(**owned_by(source.home), source_url=page.url)
        count_documents(source.home, +1)
    elif page.is_document_out and document.archived_at is not None:
        document.archived_at = None
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
    """Take documents of this source's pages out of every answer. Returns how many were not so already."""
    now = timezone.now()
    taken = Document.objects.live().filter(pk__in=list(ids)).update(archived_at=now, updated_at=now)
    if taken:
        count_documents(source.home, -taken)
    return taken


def restore_documents(source: WebsiteSource, ids: Iterable[uuid.UUID]) -> int:
    brought = Document.objects.archived().filter(pk__in=list(ids)).update(archived_at=None, updated_at=timezone.now())
    if brought:
        count_documents(source.home, brought)
    return brought
