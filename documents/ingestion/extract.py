"""From a file to its blocks: one module a format, imported only when it is needed."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Callable
from pathlib import Path

from documents.ingestion.base import Extraction, UnsupportedTypeError
from documents.ingestion.clean import clean_text
from documents.ingestion.ocr import OcrOptions

# What programs leave in the field: their own name, or a name of a file.
_MEANINGLESS_TITLE = re.compile(
    r"^(untitled|document\d*$|microsoft (word|powerpoint|excel) - |adobe |powerpoint presentation$|slide 1$)"
    r"|\.(docx?|odt|rtf|txt|tex|dvi|xlsx?|ods|pptx?|odp|pdf|indd|qxd|html?)\b",
    re.IGNORECASE,
)
_READERS = {  # module, and its function where that is not `extract`
    "pdf": "pdf",
    "docx": "docx_format",
    "pptx": "pptx_format",
    "xlsx": "xlsx_format",
    "image": "image_format",
    "txt": "text",
    "md": "markdown",
    "html": "html_format",
    "csv": "csv_format",
    "tsv": "csv_format:extract_tabs",
    "json": "json_format",
    "jsonl": "json_format:extract_lines",
    "xml": "xml_format",
}
RECOGNISED = frozenset({"pdf", "image"})  # their readers may need tesseract


def extract(path: Path, document_type: str, *, ocr: OcrOptions, progress: Callable[[float, str], None]) -> Extraction:
    """What the file says, not yet cleaned. `progress` gets a share from 0 to 1 and what is done: `text` or `ocr`.

    Raises an IngestionError whose sentence is for the person who uploaded the file.
    """
    if document_type not in _READERS:
        raise UnsupportedTypeError(f"Documents of the type {document_type} are not supported.")
    name, _, function = _READERS[document_type].partition(":")
    read = getattr(importlib.import_module(f"documents.ingestion.formats.{name}"), function or "extract")
    extraction: Extraction = read(path, ocr=ocr, progress=progress) if document_type in RECOGNISED else read(path)
    title = " ".join(clean_text(extraction.title).split())[:300]
    return dataclasses.replace(extraction, title="" if _MEANINGLESS_TITLE.search(title) else title)


__all__ = ["RECOGNISED", "OcrOptions", "extract"]
