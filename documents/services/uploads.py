"""Taking documents in. Reading them is a worker's business (documents.jobs)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.db import transaction
from django.template.defaultfilters import filesizeformat

from documents import tasks
from documents.enums import DocumentStatus
from documents.exceptions import FileTooLargeError, RejectedFileError
from documents.ingestion.base import IngestionError
from documents.ingestion.detect import detect_type
from documents.jobs import ask_for_worker
from documents.models import Document, Home, IngestionJob, owned_by
from documents.services.cancel import stop_jobs
from documents.services.records import count_documents, record_documents
from knowrithm.errors import InvalidInputError
from knowrithm.jobs import create_task
from knowrithm.principal import Principal

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
    home: Home,
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
            document = create_document(actor=actor, home=home, file=file, filename=name, metadata=metadata)
        except (RejectedFileError, FileTooLargeError) as error:
            outcome.rejected.append(RejectedUpload(name, str(error), error.code))
        else:
            outcome.documents.append(document)
    for url in urls:
        try:
            outcome.documents.append(create_document_from_url(actor=actor, home=home, url=url, metadata=metadata))
        except RejectedFileError as error:
            outcome.rejected.append(RejectedUpload(printable(url)[:300], str(error), error.code))
    if outcome.documents:
        record_documents(actor, "document.uploaded", outcome.documents)
    return outcome


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
    home: Home,
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
        **owned_by(home),
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
    count_documents(home, +1)
    queue_ingestion(document)
    return document


@transaction.atomic
def create_document_from_url(
    *, actor: Principal, home: Home, url: str, metadata: Mapping[str, Any] | None = None
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
        **owned_by(home),
        user_id=actor.user_id,
        original_filename=clean_filename(PurePath(parts.path).name or parts.hostname),
        source_url=url.strip(),
        metadata=dict(metadata or {}),
    )
    count_documents(home, +1)
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


def queue_ingestion(document: Document, *, is_bulk: bool = False) -> IngestionJob:
    """Have the document read, instead of whatever reads it now. `is_bulk` lets others of the company go first."""
    stop_jobs(document)
    job = IngestionJob.objects.create(document=document, task_id=create_task(), is_bulk=is_bulk)
    ask_for_worker(tasks.ingest)
    return job


@transaction.atomic
def retry_document(*, actor: Principal, document: Document) -> Document:
    """Read a document again that failed or was cancelled."""
    if document.status not in (DocumentStatus.FAILED, DocumentStatus.CANCELLED):
        raise InvalidInputError("Only a document that failed or was cancelled can be tried again.")
    document.status, document.processing_error, document.error_code = DocumentStatus.PENDING, "", ""
    document.save(update_fields=["status", "processing_error", "error_code", "updated_at"])
    queue_ingestion(document)
    record_documents(actor, "document.retried", [document])
    return document


@transaction.atomic
def read_again(*, home: Home) -> int:
    """Queue every document of the agent or dataset that has been read, archived ones too. Returns how many."""
    documents = list(Document.objects.filter(**owned_by(home), status=DocumentStatus.PROCESSED))
    Document.objects.filter(pk__in=[document.pk for document in documents]).update(status=DocumentStatus.PENDING)
    for document in documents:
        queue_ingestion(document, is_bulk=True)
    return len(documents)
