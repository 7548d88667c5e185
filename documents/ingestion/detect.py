"""What kind of document a file is, told from its first bytes. Cheap: it runs while the upload waits."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path, PurePath

from documents.ingestion.base import (
    DamagedDocumentError,
    EmptyDocumentError,
    EncryptedDocumentError,
    TypeMismatchError,
    UnsupportedTypeError,
)

EXTENSIONS = {
    "pdf": "pdf",
    "docx": "docx",
    "pptx": "pptx",
    "pptm": "pptx",
    "xlsx": "xlsx",
    "xlsm": "xlsx",
    "png": "image",
    "jpg": "image",
    "jpeg": "image",
    "tif": "image",
    "tiff": "image",
    "txt": "txt",
    "text": "txt",
    "log": "txt",
    "md": "md",
    "markdown": "md",
    "html": "html",
    "htm": "html",
    "xhtml": "html",
    "csv": "csv",
    "tsv": "tsv",
    "tab": "tsv",
    "json": "json",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "xml": "xml",
}
SUPPORTED = "PDF, DOCX, PPTX, XLSX, PNG, JPEG, TIFF, TXT, Markdown, HTML, CSV, TSV, JSON, JSON Lines and XML"

_NAMES = {  # of what the content alone tells
    "pdf": "a PDF document",
    "docx": "a Word document",
    "pptx": "a PowerPoint presentation",
    "xlsx": "an Excel workbook",
    "image": "a picture",
}
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_RTF = "an RTF document: save it as DOCX"
_SIGNATURES = (
    (b"GIF8", "a GIF picture: save it as PNG"),
    (b"BM", "a BMP picture: save it as PNG"),
    (b"RIFF", "a media file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"{\\rtf", _RTF),
    (b"ID3", "an audio file"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)
_HTML = re.compile(r"<!doctype html|<html[\s>]|<head[\s>]|<body[\s>]", re.IGNORECASE)
_HTML_TAGS = re.compile(r"</?(?:p|div|span|h[1-6]|ul|ol|li|table|tr|td|a|br|section|article)\b[^>]*>", re.IGNORECASE)


def detect_type(*, filename: str, head: bytes, size: int, path: Path | None = None) -> str:
    """One of pdf docx pptx xlsx image txt md html csv tsv json jsonl xml.

    `head` is the first up to 64 kB of a file of `size` bytes; `path` lets an archive be looked into whose parts lie
    beyond it. The content decides; among text formats the name does, unless the content contradicts.

    Raises EmptyDocumentError, TypeMismatchError, UnsupportedTypeError, EncryptedDocumentError (Office files) and
    DamagedDocumentError (a broken archive).
    """
    head = head[:65536]
    if size == 0 or (size <= len(head) and not head.strip(b" \t\r\n\f\v\x00\xef\xbb\xbf\xff\xfe")):
        raise EmptyDocumentError("The file is empty.")
    extension = PurePath(filename).suffix.lower().lstrip(".")
    named = EXTENSIONS.get(extension)
    found = _binary_type(head, size=size, path=path, extension=extension)
    if found is not None:
        if named not in (None, found):
            raise _mismatch(extension, _NAMES[found])
        return found
    text = _decode(head)
    if text is None:
        what = next((name for signature, name in _SIGNATURES if head.startswith(signature)), "not a text")
        if named is not None:
            raise _mismatch(extension, what)
        raise _unsupported(what)
    if named in _NAMES:
        raise _mismatch(extension, "a text")
    if text.startswith("{\\rtf"):
        raise _unsupported(_RTF) if named is None else _mismatch(extension, "an RTF document")
    if not text.strip() and size <= len(head):
        raise EmptyDocumentError("The file is empty.")
    return _named_text_type(named, extension, text) if named else _guess_text_type(text, is_whole=size <= len(head))


def _binary_type(head: bytes, *, size: int, path: Path | None, extension: str) -> str | None:
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in head or extension in ("docx", "xlsx", "xlsm", "pptx", "pptm"):
            raise EncryptedDocumentError(
                "This Office document is protected by a password. Save it without the password and upload it again."
            )
        raise UnsupportedTypeError(
            "This is an old Office document (.doc, .xls, .ppt). Save it as .docx, .xlsx or .pptx and upload it again."
        )
    if head.startswith(_PICTURES):
        return "image"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _archive_type(head, size=size, path=path, extension=extension)
    return None


def _archive_type(head: bytes, *, size: int, path: Path | None, extension: str) -> str:
    if path is not None or size <= len(head):
        try:
            with zipfile.ZipFile(path if path is not None else io.BytesIO(head)) as archive:
                names = "\n".join(archive.namelist())
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DamagedDocumentError(
                "The file is a damaged archive and cannot be opened. Save the document again and retry."
            ) from error
    else:
        names = head.decode("latin-1")  # the names of the first parts stand in clear before each part
    if "word/document" in names or ("word/" in names and extension == "docx"):
        return "docx"
    if "ppt/presentation" in names or ("ppt/" in names and extension in ("pptx", "pptm")):
        return "pptx"
    if "xl/workbook.xml" in names or ("xl/" in names and extension in ("xlsx", "xlsm")):
        return "xlsx"
    what = (
        "a binary Excel workbook: save it as XLSX" if "xl/" in names
        else "an OpenDocument file: save it as DOCX, XLSX or PPTX" if "opendocument" in names or "content.xml" in names
        else "a ZIP archive"
    )  # fmt: skip
    if extension in EXTENSIONS:
        raise _mismatch(extension, what)
    raise _unsupported(what)


def _decode(head: bytes) -> str | None:
    """The head as text, or None when it is not text."""
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return head.decode(encoding, errors="replace")
    if b"\0" in head:
        return None
    try:
        return head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(head) - 3:
            return head[: error.start].decode("utf-8")  # only the last character was cut
    # One byte a character, or an Asian encoding: text has next to no control characters.
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    if controls > len(head) // 200 or any(head.startswith(signature) for signature, _ in _SIGNATURES):
        return None
    return head.decode("latin-1")


def _named_text_type(named: str, extension: str, text: str) -> str:
    start = text.lstrip("\ufeff \t\r\n")[:2000]
    is_markup = start.startswith("<")
    if named == "json" and is_markup:
        raise _mismatch(extension, "HTML or XML")
    if named == "xml":
        if not is_markup:
            raise _mismatch(extension, "not XML")
        if start[:14].lower() == "<!doctype html":
            return "html"
    return named


def _guess_text_type(text: str, *, is_whole: bool) -> str:
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped.startswith(("{", "[")) and (kind := _json_type(stripped, is_whole=is_whole)):
        return kind
    if stripped.startswith("<"):
        if _HTML.search(stripped[:4000]):
            return "html"
        if stripped.startswith("<?xml"):
            return "xml"
        if len(_HTML_TAGS.findall(stripped[:4000])) > 2:
            return "html"
        if re.match(r"<([\w:.-]+)[^<>]*>", stripped) and stripped.rstrip().endswith(">"):
            return "xml"
    return _separated_type(text) or "txt"


def _json_type(text: str, *, is_whole: bool) -> str | None:
    first, _, rest = text.partition("\n")
    if text.startswith("{") and rest.lstrip().startswith("{") and _is_object(first):
        return "jsonl"
    if not is_whole:
        start = re.match(r'\{\s*"(?:[^"\\]|\\.)*"\s*:|\[\s*[\[{"\d\-tfn]', text)
        return "json" if start else None
    try:
        json.loads(text)
    except RecursionError:
        return "json"
    except ValueError:
        return None
    return "json"


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _separated_type(text: str) -> str | None:
    """At least three lines that all have the same number, two or more, of one separator."""
    lines = [line for line in text.splitlines()[:20] if line.strip()]
    if len(lines) < 3:
        return None
    lines = lines[:-1] if len(text) >= 65536 else lines
    marks = (mark for mark in "\t;,|" if lines[0].count(mark) >= 2 and len({line.count(mark) for line in lines}) == 1)
    mark = next(marks, None)
    return None if mark is None else "tsv" if mark == "\t" else "csv"


def _mismatch(extension: str, what: str) -> TypeMismatchError:
    return TypeMismatchError(
        f"The file is named .{extension}, but its content is {what}. Rename it or export it again."
    )


def _unsupported(what: str) -> UnsupportedTypeError:
    return UnsupportedTypeError(f"This kind of file is not supported ({what}). Supported: {SUPPORTED}.")
