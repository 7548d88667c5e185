"""Taking documents in. Reading them is a worker's business (documents.jobs)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.db import transaction
from django.db.models import Q
from django.template.defaultfilters import filesizeformat

from documents import tasks
from documents.enums import DocumentStatus
from documents.exceptions import FileTooLargeError, RejectedFileError
from documents.ingestion.base import IngestionError
from documents.ingestion.detect import detect_type
from documents.jobs import queue_job
from documents.models import Document, Home, IngestionJob, WebsitePage, owned_by
from documents.selectors import documents_with_content
from documents.services.metadata import check_size
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

    A file whose content the agent or dataset has already is not taken again, unless `allow_duplicate`. The files are
    stored first: the transaction holds the agent's row, for which turns may wait, only for a moment.
    """
    if not files and not urls:
        raise InvalidInputError("Send at least one file (field `files`) or address (field `urls`).")
    check_size(metadata or {})
    outcome = UploadOutcome()
    options: dict[str, Any] = {"actor": actor, "home": home, "metadata": metadata, "tags": clean_tags(tags)}
    with ExitStack() as stored:
        for file in files:
            name = clean_filename(file.name or "")
            if not allow_duplicate and (known := _known(home, file, outcome.documents)):
                outcome.duplicates.append(Duplicate(name, known))
                continue
            try:
                outcome.documents.append(stored.enter_context(stored_file(file, name)))
            except (RejectedFileError, FileTooLargeError) as error:
                outcome.rejected.append(RejectedUpload(name, str(error), error.code))
        for url in urls:
            try:
                outcome.documents.append(document_at(url))
            except RejectedFileError as error:
                outcome.rejected.append(RejectedUpload(printable(url)[:300], str(error), error.code))
        with transaction.atomic():
            for document in outcome.documents:
                add_document(document, **options)
            if outcome.documents:
                record_documents(actor, "document.uploaded", outcome.documents)
    return outcome


def _known(home: Home, file: UploadedFile[Any], beside: Sequence[Document]) -> Document | None:
    """What the agent or dataset has of the same content, or what comes `beside` it."""
    if not file.size or file.size > settings.MAX_FILE_SIZE:
        return None
    sha256 = sha256_of(file)
    known: Document | None = documents_with_content(home, sha256).first()
    return known or next((document for document in beside if document.sha256 == sha256), None)


def clean_filename(name: str) -> str:
    """The last part of the name, printable and short. It is only ever shown, never used as a path."""
    last = PurePath(name.replace("\\", "/")).name
    return printable(last)[-300:] or "unnamed"


def printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())


@contextmanager
def stored_file(file: UploadedFile[Any], filename: str) -> Iterator[Document]:
    """A document whose file lies in the storage, for `add_document`. If what is done with it fails, the file goes.

    Raises `RejectedFileError` or `FileTooLargeError`.
    """
    document = Document(
        original_filename=filename,
        document_type=checked_type(file, filename),
        file_size=file.size or 0,
        sha256=sha256_of(file),
    )
    file.seek(0)
    document.file.save("original", file, save=False)
    try:
        yield document
    except BaseException:
        with suppress(Exception):  # what has failed before is what somebody should hear of
            document.file.delete(save=False)
        raise


def document_at(url: str) -> Document:
    """A document whose file a worker fetches from this address, for `add_document`. Raises `RejectedFileError`."""
    url = url.strip()
    if not url.isprintable():
        raise RejectedFileError("This is not an address that can be fetched.", code="DOC_BAD_URL")
    try:
        parts = urlsplit(url)
    except ValueError:  # such as an open bracket in the host
        raise RejectedFileError("This is not an address that can be fetched.", code="DOC_BAD_URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or len(url) > 2000:
        raise RejectedFileError("An address must start with http:// or https://.", code="DOC_BAD_URL")
    return Document(original_filename=clean_filename(PurePath(parts.path).name or parts.hostname), source_url=url)


def add_document(
    document: Document,
    *,
    actor: Principal,
    home: Home,
    metadata: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
    version: Mapping[str, Any] | None = None,
) -> None:
    """Save it and queue its reading: one of those that a service takes and records together, in its transaction.

    `version` are the fields of a later version of another document.
    """
    fields = {**owned_by(home), **(version or {}), "metadata": dict(metadata or {}), "tags": list(tags)}
    for name, value in {**fields, "user_id": actor.user_id}.items():
        setattr(document, name, value)
    document.save()
    count_documents(home, +1)
    queue_ingestion(document)


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
    return queue_job(document, tasks.ingest, first=tasks.ingest_first)


@transaction.atomic
def retry_document(*, actor: Principal, document: Document) -> Document:
    """Read a document again that failed or was cancelled. What came from an address is fetched anew.

    The page of a website is not: its file is the crawl's, which keeps to the rules of the site.
    """
    if document.status not in (DocumentStatus.FAILED, DocumentStatus.CANCELLED):
        raise InvalidInputError("Only a document that failed or was cancelled can be tried again.")
    document.status, document.processing_error, document.error_code = DocumentStatus.PENDING, "", ""
    document.save(update_fields=["status", "processing_error", "error_code", "updated_at"])
    family = Q(document=document) | Q(document__lineage=document.lineage, document__lineage__isnull=False)
    fetches = bool(document.source_url) and not WebsitePage.objects.filter(family).exists()
    queue_job(document, tasks.ingest, first=tasks.ingest_first, fetches=fetches)
    record_documents(actor, "document.retried", [document])
    return document
