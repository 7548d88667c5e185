"""The shapes that pass between the ingestion steps. Pure: no Django, no ORM, no Celery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# A JSON object that finds a text again in its original; `type` says which of these it is:
#   page       page, page_end (1-based), boxes [[page, x0, y0, x1, y1]…] in PDF points from the bottom left, ocr (bool)
#   lines      start, end (1-based, inclusive): TXT
#   section    headings (path), start, end (lines): MD
#   element    xpath, xpath_end, headings, fragment (nearest id or null): HTML
#   paragraphs start, end (1-based over the body's paragraphs and table rows), headings: DOCX
#   slide      slide, slide_end (1-based), shapes [[slide, shape id]…], notes (bool: in the speaker's notes): PPTX
#   sheet      sheet (its name), start, end (row numbers as the program shows them), header: XLSX
#   image      page, page_end (1-based), boxes [[page, x0, y0, x1, y1]…] in pixels from the top left: PNG, JPEG, TIFF
#   rows       start, end (1-based data rows, the header not counted), header: CSV and TSV
#   pointer    pointer, pointer_end (RFC 6901): JSON; in JSON Lines the first step is the line, counted from 0
#   xpath      xpath, xpath_end (absolute, indexed): XML
Locator = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Block:
    """The smallest piece of a document that has a place of its own: a paragraph, a row, a record, an element."""

    text: str
    locator: Locator
    headings: tuple[str, ...] = ()
    atomic: bool = False  # a table row or record: better kept whole than cut


@dataclass(frozen=True, slots=True)
class Extraction:
    """What a file says. `page_count` is None for formats without pages; `warnings` are sentences for the user.

    `metadata["pages"]` tells of pages that were recognised by OCR or left out; see `ocr.OcrPage.record`.
    `ocr_seconds` were spent on that; it is None where nothing was to be recognised.
    """

    blocks: tuple[Block, ...]
    page_count: int | None = None
    title: str = ""
    warnings: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    ocr_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of text to embed and cite. `index` counts from 0; `word_count` counts `text`'s words.

    `original` is what stands in the document, where a person has changed `text` by hand.
    """

    index: int
    text: str
    locator: Locator
    headings: tuple[str, ...] = ()
    word_count: int = 0
    original: str | None = None


class IngestionError(Exception):
    """A document cannot be read, and trying again would not help.

    `str(error)` is a sentence for the person who uploaded it: what is wrong and what to do.
    """

    code = "DOC_UNREADABLE"


class UnsupportedTypeError(IngestionError):
    code = "DOC_UNSUPPORTED_TYPE"


class TypeMismatchError(IngestionError):
    """The content is not what the file's name says."""

    code = "DOC_TYPE_MISMATCH"


class EmptyDocumentError(IngestionError):
    code = "DOC_EMPTY"


class EncryptedDocumentError(IngestionError):
    code = "DOC_ENCRYPTED"


class DamagedDocumentError(IngestionError):
    code = "DOC_DAMAGED"


class DangerousDocumentError(IngestionError):
    """An entity bomb, an external entity, an archive that unpacks to far more than it holds."""

    code = "DOC_DANGEROUS"


class TooLargeError(IngestionError):
    """More memory, time or text than one document may take."""

    code = "DOC_TOO_LARGE"


class OcrUnavailableError(IngestionError):
    code = "DOC_OCR_UNAVAILABLE"
