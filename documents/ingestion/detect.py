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
    "txt": "txt",
    "text": "txt",
    "log": "txt",
    "md": "md",
    "markdown": "md",
    "html": "html",
    "htm": "html",
    "xhtml": "html",
    "csv": "csv",
    "tsv": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "xml": "xml",
}
SUPPORTED = "PDF, DOCX, TXT, Markdown, HTML, CSV, JSON and XML"

_BINARY = {"pdf", "docx"}
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"BM", "a BMP image"),
    (b"RIFF", "a media file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"{\\rtf", "an RTF document"),
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
    """One of pdf docx txt md html csv json xml.

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
            raise _mismatch(extension, f"a {found.upper()} document")
        return found
    text = _decode(head)
    if text is None:
        what = next((name for signature, name in _SIGNATURES if head.startswith(signature)), "not a text")
        if named is not None:
            raise _mismatch(extension, what)
        raise _unsupported(what)
    if named in _BINARY:
        raise _mismatch(extension, "a text")
    if text.startswith("{\\rtf"):
        raise _unsupported("an RTF document") if named is None else _mismatch(extension, "an RTF document")
    if not text.strip() and size <= len(head):
        raise EmptyDocumentError("The file is empty.")
    return _named_text_type(named, extension, text) if named else _guess_text_type(text, is_whole=size <= len(head))


def _binary_type(head: bytes, *, size: int, path: Path | None, extension: str) -> str | None:
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in head or extension in ("docx", "xlsx", "pptx"):
            raise EncryptedDocumentError(
                "This Office document is protected by a password. Save it without the password and upload it again."
            )
        raise UnsupportedTypeError(
            f"This is an old Office document (.doc, .xls, .ppt). Save it as .docx. Supported: {SUPPORTED}."
        )
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
    what = (
        "an Excel workbook" if "xl/" in names
        else "a PowerPoint presentation" if "ppt/" in names
        else "an OpenDocument file" if "opendocument" in names or "content.xml" in names
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
    if stripped.startswith(("{", "[")) and _is_json(stripped, is_whole=is_whole):
        return "json"
    if stripped.startswith("<"):
        if _HTML.search(stripped[:4000]):
            return "html"
        if stripped.startswith("<?xml"):
            return "xml"
        if len(_HTML_TAGS.findall(stripped[:4000])) > 2:
            return "html"
        if re.match(r"<([\w:.-]+)[^<>]*>", stripped) and stripped.rstrip().endswith(">"):
            return "xml"
    return "csv" if _is_csv(text) else "txt"


def _is_json(text: str, *, is_whole: bool) -> bool:
    if not is_whole:
        return bool(re.match(r'\{\s*"(?:[^"\\]|\\.)*"\s*:|\[\s*[\[{"\d\-tfn]', text))
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        first = text.split("\n", 1)[0]
        try:
            return text.startswith("{") and isinstance(json.loads(first), dict)
        except ValueError:
            return False
    return True


def _is_csv(text: str) -> bool:
    """At least three lines that all have the same number, two or more, of one separator."""
    lines = [line for line in text.splitlines()[:20] if line.strip()]
    if len(lines) < 3:
        return False
    lines = lines[:-1] if len(text) >= 65536 else lines
    return any(lines[0].count(mark) >= 2 and len({line.count(mark) for line in lines}) == 1 for mark in "\t;,|")


def _mismatch(extension: str, what: str) -> TypeMismatchError:
    return TypeMismatchError(
        f"The file is named .{extension}, but its content is {what}. Rename it or export it again."
    )


def _unsupported(what: str) -> UnsupportedTypeError:
    return UnsupportedTypeError(f"This kind of file is not supported ({what}). Supported: {SUPPORTED}.")
