"""The type of a file, from its first bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from documents.ingestion.base import (
    DamagedDocumentError,
    EmptyDocumentError,
    EncryptedDocumentError,
    IngestionError,
    TypeMismatchError,
    UnsupportedTypeError,
)
from documents.ingestion.detect import detect_type
from documents.tests.ingestion.builders import pdf_of, png, write, zip_of

DOCX = zip_of({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<document/>"})
XLSX = zip_of({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"})
PPTX = zip_of({"[Content_Types].xml": b"<Types/>", "ppt/presentation.xml": b"<p/>"})
PDF = pdf_of([(72, 720, "Hello")])
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)


def detect(filename: str, content: bytes) -> str:
    return detect_type(filename=filename, head=content[:65536], size=len(content))


@pytest.mark.parametrize(
    ("filename", "content", "expected"),
    [
        ("report.pdf", PDF, "pdf"),
        ("report", PDF, "pdf"),
        ("scanner.pdf", b"\r\nnoise before the header\r\n" + PDF, "pdf"),
        ("letter.docx", DOCX, "docx"),
        ("letter", DOCX, "docx"),
        ("notes.txt", b"<html><p>quoted in a text</p></html>", "txt"),
        ("NOTES.TXT", b"plain", "txt"),
        ("readme.md", b"# Title", "md"),
        ("page.htm", b"<p>fragment</p>", "html"),
        ("list.csv", b"a,b\n1,2\n", "csv"),
        ("list.tsv", b"a\tb\n1\t2\n", "tsv"),
        ("data.json", b'{"a": 1}', "json"),
        ("data.jsonl", b'{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("data.ndjson", b'{"a": 1}', "jsonl"),
        ("sheet.xlsx", XLSX, "xlsx"),
        ("sheet", XLSX, "xlsx"),
        ("slides.pptx", PPTX, "pptx"),
        ("slides", PPTX, "pptx"),
        ("scan.png", png(), "image"),
        ("scan.jpg", b"\xff\xd8\xff\xe0" + bytes(64), "image"),
        ("scan.tif", b"II*\0" + bytes(64), "image"),
        ("scan", b"MM\0*" + bytes(64), "image"),
        ("feed.xml", b"<feed/>", "xml"),
        ("page.xml", b"<!DOCTYPE html><html></html>", "html"),
        ("unknown", b'{"a": [1, 2]}', "json"),
        ("unknown", b'{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("unknown", b'{"a": 1,\n"b": 2}\n', "json"),
        ("unknown", b"a\tb\tc\n1\t2\t3\n4\t5\t6\n", "tsv"),
        ("unknown", b'<?xml version="1.0"?><feed/>', "xml"),
        ("unknown", b"<!doctype html><title>x</title>", "html"),
        ("unknown", b"name,age,city\nAnn,4,Rome\nBob,5,Oslo\n", "csv"),
        ("unknown", b"{ not json, just a brace }", "txt"),
        ("unknown", "Grüße aus Köln".encode("latin-1"), "txt"),
        ("utf16.txt", "Hello".encode("utf-16"), "txt"),
        ("cut.txt", b"a" * 65535 + "é".encode(), "txt"),
    ],
)
def test_content_decides_and_among_texts_the_name(filename: str, content: bytes, expected: str) -> None:
    assert detect(filename, content) == expected


@pytest.mark.parametrize(
    ("filename", "content", "error"),
    [
        ("empty.pdf", b"", EmptyDocumentError),
        ("blank.txt", b" \r\n\t\n", EmptyDocumentError),
        ("bom.txt", b"\xef\xbb\xbf", EmptyDocumentError),
        ("picture.pdf", png(), TypeMismatchError),
        ("picture.txt", png(), TypeMismatchError),
        ("report.txt", PDF, TypeMismatchError),
        ("text.pdf", b"only text", TypeMismatchError),
        ("text.docx", b"only text", TypeMismatchError),
        ("sheet.docx", XLSX, TypeMismatchError),
        ("page.json", b"<html></html>", TypeMismatchError),
        ("data.xml", b'{"a": 1}', TypeMismatchError),
        ("zeros.txt", b"abc\0def", TypeMismatchError),
        ("picture.png", b"only text", TypeMismatchError),
        ("picture.gif", b"GIF89a" + bytes(64), UnsupportedTypeError),
        ("sheet.pptx", XLSX, TypeMismatchError),
        ("sheet.xlsb", zip_of({"xl/workbook.bin": b"x"}), UnsupportedTypeError),
        ("archive.zip", zip_of({"a.txt": b"a"}), UnsupportedTypeError),
        ("letter.doc", OLE, UnsupportedTypeError),
        ("letter.rtf", b"{\\rtf1 hello}", UnsupportedTypeError),
        ("noise", bytes(range(256)), UnsupportedTypeError),
        ("letter.docx", OLE, EncryptedDocumentError),
        ("sheet.xlsx", OLE, EncryptedDocumentError),
        ("letter.docx", DOCX[:60], DamagedDocumentError),
    ],
    ids=lambda value: "content" if isinstance(value, bytes) else None,
)
def test_what_cannot_be_read_is_refused(filename: str, content: bytes, error: type[IngestionError]) -> None:
    with pytest.raises(IngestionError) as caught:
        detect(filename, content)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("filename", "content", "sentence"),
    [
        (
            "letter.odt",
            zip_of({"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b"<x/>"}),
            "This kind of file is not supported (an OpenDocument file: save it as DOCX, XLSX or PPTX). "
            "Supported: PDF, DOCX, PPTX, XLSX, PNG, JPEG, TIFF, TXT, Markdown, HTML, CSV, TSV, JSON, JSON Lines "
            "and XML.",
        ),
        (
            "sheet.xls",
            OLE,
            "This is an old Office document (.doc, .xls, .ppt). Save it as .docx, .xlsx or .pptx and upload it again.",
        ),
    ],
    ids=["odt", "xls"],
)
def test_the_refusal_says_what_to_do(filename: str, content: bytes, sentence: str) -> None:
    with pytest.raises(UnsupportedTypeError) as caught:
        detect(filename, content)
    assert str(caught.value) == sentence


def test_an_archive_whose_parts_lie_beyond_the_head(tmp_path: Path) -> None:
    import random

    noise = random.Random(1).randbytes(100_000)
    path = write(tmp_path, "x", zip_of({"media/image.bin": noise, "word/document.xml": b"<document/>"}))
    size = path.stat().st_size
    assert detect_type(filename="unnamed", head=path.read_bytes()[:65536], size=size, path=path) == "docx"
