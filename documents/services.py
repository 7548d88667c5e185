"""What a request does to documents. Reading them is a worker's business (documents.jobs)."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from agents.models import Agent
from documents import tasks
from documents.enums import DocumentStatus
from documents.exceptions import FileTooLargeError, RejectedFileError
from documents.ingestion.base import IngestionError
from documents.ingestion.detect import detect_type
from documents.models import Document, DocumentChunk, IngestionJob
from knowrithm.errors import InvalidInputError, NotFoundError
from knowrithm.jobs import create_task, enqueue
from knowrithm.principal import Principal
from tenants.audit.models import RiskLevel
from tenants.audit.services import record_event

HEAD_SIZE = 64 * 1024  # bytes of a file that its type is told from


@dataclass(frozen=True, slots=True)
class RejectedUpload:
    name: str
    error: str
    code: str


@dataclass(frozen=True, slots=True)
class UploadOutcome:
    documents: list[Document] = field(default_factory=list)
    rejected: list[RejectedUpload] = field(default_factory=list)


@transaction.atomic
def upload(
    *,
    actor: Principal,
    agent: Agent,
    files: Sequence[UploadedFile[Any]] = (),
    urls: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
) -> UploadOutcome:
    """Take every file and address that can be taken; say of each other why not. One bad file spoils no other."""
    if not files and not urls:
        raise InvalidInputError("Send at least one file (field `files`) or address (field `urls`).")
    outcome = UploadOutcome()
    for file in files:
        name = clean_filename(file.name or "")
        try:
            document = create_document(actor=actor, agent=agent, file=file, filename=name, metadata=metadata)
        except (RejectedFileError, FileTooLargeError) as error:
            outcome.rejected.append(RejectedUpload(name, str(error), error.code))
        else:
            outcome.documents.append(document)
    for url in urls:
        try:
            outcome.documents.append(create_document_from_url(actor=actor, agent=agent, url=url, metadata=metadata))
        except RejectedFileError as error:
            outcome.rejected.append(RejectedUpload(printable(url)[:300], str(error), error.code))
    if outcome.documents:
        _record(actor, "document.uploaded", outcome.documents)
    return outcome


def _record(actor: Principal, event_type: str, documents: Sequence[Document]) -> None:
    """One row, however many documents: they are named in it."""
    is_one = len(documents) == 1
    names = [{"id": document.pk, "name": document.original_filename} for document in documents]
    record_event(
        actor=actor,
        event_type=event_type,
        entity_type="document",
        entity_id=documents[0].pk if is_one else "",
        entity_label=documents[0].original_filename if is_one else f"{len(documents)} documents",
        changes={} if is_one else {"documents": (None, names)},
        risk_level=RiskLevel.MEDIUM if event_type == "document.archived" and not is_one else RiskLevel.LOW,
    )


def clean_filename(name: str) -> str:
    """The last part of the name, printable and short. It is only ever shown, never used as a path."""
    last = PurePath(name.replace("\\", "/")).name
    return printable(last)[-300:] or "unnamed"


def printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())


@transaction.atomic
def create_document(
    *,
    actor: Principal,
    agent: Agent,
    file: UploadedFile[Any],
    filename: str,
    metadata: Mapping[str, Any] | None = None,
) -> Document:
    """Store a file and queue its reading: one of those that `upload` takes, and records together.

    Raises `RejectedFileError` or `FileTooLargeError`.
    """
    size = file.size or 0
    if size > settings.MAX_FILE_SIZE:
        limit = filesizeformat(settings.MAX_FILE_SIZE)
        raise FileTooLargeError(f"{filename} is {filesizeformat(size)}; at most {limit} can be taken.")
    try:
        document_type = _detect_type(file, filename)
    except IngestionError as error:
        raise RejectedFileError(str(error), code=error.code) from None
    document = Document(
        agent=agent,
        user_id=actor.user_id,
        original_filename=filename,
        document_type=document_type,
        file_size=size,
        sha256=_sha256(file),
        metadata=dict(metadata or {}),
    )
    file.seek(0)
    document.file.save("original", file, save=False)
    document.save()
    _count_documents(agent, +1)
    queue_ingestion(document)
    return document


@transaction.atomic
def create_document_from_url(
    *, actor: Principal, agent: Agent, url: str, metadata: Mapping[str, Any] | None = None
) -> Document:
    """Queue the fetching and reading of one address; the worker fetches it. Raises `RejectedFileError`."""
    url = url.strip()
    if not url.isprintable():
        raise RejectedFileError("This is not an address that can be fetched.", code="DOC_BAD_URL")
    try:
        parts = urlsplit(url)
    except ValueError:  # such as an open bracket in the host
        raise RejectedFileError("This is not an address that can be fetched.", code="DOC_BAD_URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or len(url) > 2000:
        raise RejectedFileError("An address must start with http:// or https://.", code="DOC_BAD_URL")
    document = Document.objects.create(
        agent=agent,
        user_id=actor.user_id,
        original_filename=clean_filename(PurePath(parts.path).name or parts.hostname),
        source_url=url.strip(),
        metadata=dict(metadata or {}),
    )
    _count_documents(agent, +1)
    queue_ingestion(document)
    return document


def _detect_type(file: UploadedFile[Any], filename: str) -> str:
    size = file.size or 0
    if isinstance(file, TemporaryUploadedFile):  # a large one, on disk
        path = Path(file.temporary_file_path())
        return detect_type(filename=filename, head=file.read(HEAD_SIZE), size=size, path=path)
    return detect_type(filename=filename, head=file.read(), size=size)


def _sha256(file: UploadedFile[Any]) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    for piece in file.chunks():
        digest.update(piece)
    return digest.hexdigest()


def queue_ingestion(document: Document) -> IngestionJob:
    job = IngestionJob.objects.create(document=document, task_id=create_task())
    enqueue(tasks.ingest, str(job.id))
    return job


@transaction.atomic
def retry_document(*, actor: Principal, document: Document) -> Document:
    """Read a failed document again."""
    if document.status != DocumentStatus.FAILED:
        raise InvalidInputError("Only a document that failed can be tried again.")
    document.status, document.processing_error, document.error_code = DocumentStatus.PENDING, "", ""
    document.save(update_fields=["status", "processing_error", "error_code", "updated_at"])
    queue_ingestion(document)
    _record(actor, "document.retried", [document])
    return document


@transaction.atomic
def read_again(*, agent: Agent) -> int:
    """Queue every document of the agent that has been read, archived ones too. Returns how many."""
    documents = list(Document.objects.filter(agent=agent, status=DocumentStatus.PROCESSED))
    Document.objects.filter(pk__in=[document.pk for document in documents]).update(status=DocumentStatus.PENDING)
    for document in documents:
        queue_ingestion(document)
    return len(documents)


# --- Archive and restore ------------------------------------------------------------------------------------------


@transaction.atomic
def archive_document(*, actor: Principal, document: Document) -> int:
    """Take a document out of every answer. Returns the number of its chunks."""
    chunks = _archive(document)
    _record(actor, "document.archived", [document])
    return chunks


def _archive(document: Document) -> int:
    now = timezone.now()
    # One UPDATE decides: of two at once only one counts.
    if Document.objects.live().filter(pk=document.pk).update(archived_at=now, updated_at=now):
        _count_documents(document.agent, -1)
    return document.chunks.live().count()


@transaction.atomic
def restore_document(*, actor: Principal, document: Document) -> Document:
    if Document.objects.archived().filter(pk=document.pk).update(archived_at=None, updated_at=timezone.now()):
        _count_documents(document.agent, +1)
    document.archived_at = None
    _record(actor, "document.restored", [document])
    return document


@transaction.atomic
def archive_documents(*, actor: Principal, document_ids: Sequence[uuid.UUID]) -> tuple[int, int]:
    """Archive many. Returns the numbers of documents and chunks; raises `NotFoundError` when one is unknown."""
    documents = list(Document.objects.live().select_related("agent").filter(pk__in=document_ids))
    if len(documents) != len(set(document_ids)):
        raise NotFoundError("One of the documents does not exist.")
    chunks = sum(map(_archive, documents))
    if documents:
        _record(actor, "document.archived", documents)
    return len(documents), chunks


@transaction.atomic
def archive_chunks(*, actor: Principal, chunks: Sequence[DocumentChunk]) -> int:
    ids = [chunk.pk for chunk in chunks]
    count = DocumentChunk.objects.live().filter(pk__in=ids).update(archived_at=timezone.now())
    _record_chunks(actor, "document_chunk.archived", chunks, count)
    return count


@transaction.atomic
def restore_chunks(*, actor: Principal, chunks: Sequence[DocumentChunk]) -> int:
    """Raises `InvalidInputError` while the document itself is archived."""
    if any(chunk.document.is_archived for chunk in chunks):
        raise InvalidInputError("The document is archived. Restore it first.", code="DOC_ARCHIVED")
    ids = [chunk.pk for chunk in chunks]
    count = DocumentChunk.objects.archived().filter(pk__in=ids).update(archived_at=None)
    _record_chunks(actor, "document_chunk.restored", chunks, count)
    return count


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


def _count_documents(agent: Agent, difference: int) -> None:
    count = Greatest(F("documents_count") + difference, 0)  # a figure that is off must not keep a document from going
    Agent.objects.filter(pk=agent.pk).update(documents_count=count)
