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
from documents.jobs import queue_job
from documents.models import Document, Home, IngestionJob, owned_by
from documents.services.records import record_documents
from documents.services.tags import clean_tags
from documents.versions import count_documents
from knowrithm.errors import InvalidInputError
from knowrithm.principal import Principal

HEAD_SIZE = 64 * 1024  # bytes of a file that its type is told from


@dataclass(frozen=True, slots=True)
class RejectedUpload:
    name: str
    error: str
    code: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A file whose content is there already, as `document`."""

    name: str
    document: Document

    @property
    def sentence(self) -> str:
        return f"{self.name} is there already, as {self.document.name}. It was not taken again."


@dataclass(frozen=True, slots=True)
class UploadOutcome:
    """`documents` are new; `duplicates` were there already."""

    documents: list[Document] = field(default_factory=list)
    rejected: list[RejectedUpload] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)


@transaction.atomic
def upload(
    *,
    actor: Principal,
    home: Home,
    files: Sequence[UploadedFile[Any]] = (),
    urls: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
    allow_duplicate: bool = False,
) -> UploadOutcome:
    """Take every file and address that can be taken; say of each other why not. One bad file spoils no other.

    A file whose content the agent or dataset has already is not taken again, unless `allow_duplicate`.
    """
    if not files and not urls:
        raise InvalidInputError("Send at least one file (field `files`) or address (field `urls`).")
    outcome = UploadOutcome()
    options: dict[str, Any] = {"actor": actor, "home": home, "metadata": metadata, "tags": clean_tags(tags)}
    for file in files:
        name = clean_filename(file.name or "")
        if not allow_duplicate and (known := _known(home, file)):
            outcome.duplicates.append(Duplicate(name, known))
            continue
        try:
            document = create_document(file=file, filename=name, **options)
        except (RejectedFileError, FileTooLargeError) as error:
            outcome.rejected.append(RejectedUpload(name, str(error), error.code))
        else:
            outcome.documents.append(document)
    for url in urls:
        try:
            outcome.documents.append(create_document_from_url(url=url, **options))
        except RejectedFileError as error:
            outcome.rejected.append(RejectedUpload(printable(url)[:300], str(error), error.code))
    if outcome.documents:
        record_documents(actor, "document.uploaded", outcome.documents)
    return outcome


def _known(home: Home, file: UploadedFile[Any]) -> Document | None:
    """What the agent or dataset has of the same content. One that could not be read does not count."""
    if not file.size or file.size > settings.MAX_FILE_SIZE:
        return None
    rows = Document.objects.with_progress().live().filter(**owned_by(home), sha256=sha256_of(file))
    known: Document | None = rows.exclude(status=DocumentStatus.FAILED).order_by("created_at").first()
    return known


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
    tags: Sequence[str] = (),
    version: Mapping[str, Any] | None = None,
) -> Document:
    """Store a file and queue its reading: one of those that `upload` takes, and records together.

    `version` are the fields of a later version of another document. Raises `RejectedFileError` or `FileTooLargeError`.
    """
    document_type = checked_type(file, filename)
    document = Document(
        **owned_by(home),
        **(version or {}),
        user_id=actor.user_id,
        original_filename=filename,
        document_type=document_type,
        file_size=file.size or 0,
        sha256=sha256_of(file),
        metadata=dict(metadata or {}),
        tags=list(tags),
    )
    file.seek(0)
    document.file.save("original", file, save=False)
    document.save()
    count_documents(home, +1)
    queue_ingestion(document)
    return document


@transaction.atomic
def create_document_from_url(
    *,
    actor: Principal,
    home: Home,
    url: str,
    metadata: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
    version: Mapping[str, Any] | None = None,
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
        **(version or {}),
        user_id=actor.user_id,
        original_filename=clean_filename(PurePath(parts.path).name or parts.hostname),
        source_url=url.strip(),
        metadata=dict(metadata or {}),
        tags=list(tags),
    )
    count_documents(home, +1)
    queue_ingestion(document)
    return document


def checked_type(file: UploadedFile[Any], filename: str) -> str:
    """The type of a file that may be taken. Raises `RejectedFileError` or `FileTooLargeError`."""
    size = file.size or 0
    if size > settings.MAX_FILE_SIZE:
        limit = filesizeformat(settings.MAX_FILE_SIZE)
        raise FileTooLargeError(f"{filename} is {filesizeformat(size)}; at most {limit} can be taken.")
    try:
        return _detect_type(file, filename)
    except IngestionError as error:
        raise RejectedFileError(str(error), code=error.code) from None


def _detect_type(file: UploadedFile[Any], filename: str) -> str:
    size = file.size or 0
    file.seek(0)
    if isinstance(file, TemporaryUploadedFile):  # a large one, on disk
        path = Path(file.temporary_file_path())
        return detect_type(filename=filename, head=file.read(HEAD_SIZE), size=size, path=path)
    return detect_type(filename=filename, head=file.read(), size=size)


def sha256_of(file: UploadedFile[Any]) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    for piece in file.chunks():
        digest.update(piece)
    return digest.hexdigest()


def queue_ingestion(document: Document) -> IngestionJob:
    return queue_job(document, tasks.ingest)


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
