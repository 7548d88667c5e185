"""What a document would be cut into. Nothing is stored."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from documents.enums import DocumentType
from documents.exceptions import RejectedFileError
from documents.ingestion.base import Chunk, IngestionError
from documents.ingestion.locators import describe
from documents.ingestion.ocr import OcrOptions
from documents.ingestion.sandbox import Chunking, Limits, extract_limited, limits_for
from documents.services.uploads import checked_type, clean_filename
from knowrithm.db.schema import release_connection
from knowrithm.errors import InvalidInputError, UnavailableError
from tenants.selectors import ocr_languages

SHOWN = 200  # chunks
MAX_TEXT = 200_000  # characters
SECONDS, MEMORY_MB = 30, 1024
_places = threading.BoundedSemaphore(2)  # somebody waits for each: so many at once in one process


@dataclass(frozen=True, slots=True)
class SplitPreview:
    """`chunks` are the first of `total`."""

    chunks: list[Chunk]
    total: int
    document_type: str
    page_count: int | None
    warnings: tuple[str, ...]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The chunks with their places in words."""
        return [
            {"index": one.index, "text": one.text, "word_count": one.word_count, "label": describe(one.locator)}
            for one in self.chunks
        ]


def preview_split(
    *, chunking: Chunking, file: UploadedFile[Any] | None = None, text: str = "", text_type: str = DocumentType.TXT
) -> SplitPreview:
    """Read a file or a text as a worker would, in a limited child process.

    Raises `RejectedFileError` or `FileTooLargeError` for what cannot be read, `UnavailableError` when too many are at
    it.
    """
    if (file is None) == (not text.strip()):
        raise InvalidInputError("Send a file (field `file`) or a text (field `text`).")
    if len(text) > MAX_TEXT:
        raise InvalidInputError(f"A text to try may have at most {MAX_TEXT:,} characters. Send it as a file.")
    document_type = text_type if file is None else checked_type(file, clean_filename(file.name or ""))
    if not _places.acquire(blocking=False):
        raise UnavailableError("Several previews are being made. Try again in a moment.")
    try:
        with tempfile.NamedTemporaryFile(suffix=f".{document_type}") as copy:
            for piece in [text.encode()] if file is None else file.chunks():
                copy.write(piece)
            copy.flush()
            ocr = OcrOptions(languages=ocr_languages())
            release_connection()
            return _preview(Path(copy.name), document_type, chunking, ocr)
    finally:
        _places.release()


def _preview(path: Path, document_type: str, chunking: Chunking, ocr: OcrOptions) -> SplitPreview:
    memory_mb = min(MEMORY_MB, settings.INGESTION_MEMORY_MB)
    granted = limits_for(document_type, path.stat().st_size, memory_mb=memory_mb)
    limits = Limits(granted.memory_mb, cpu_seconds=SECONDS, wall_seconds=SECONDS)
    try:
        result = extract_limited(path, document_type, ocr=ocr, chunking=chunking, limits=limits)
    except IngestionError as error:
        raise RejectedFileError(str(error), code=error.code) from None
    return SplitPreview(result.chunks[:SHOWN], len(result.chunks), document_type, result.page_count, result.warnings)
