"""Public files that nobody on this project wrote."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from documents.ingestion.base import (
    DangerousDocumentError,
    EmptyDocumentError,
    EncryptedDocumentError,
    IngestionError,
)
from documents.ingestion.clean import clean_text
from documents.ingestion.detect import detect_type
from documents.ingestion.extract import extract
from documents.ingestion.ocr import OcrOptions
from documents.ingestion.sandbox import IngestionResult, extract_limited
from documents.tests.ingestion.builders import chunked, write

pytestmark = pytest.mark.corpus


def ingest(path: Path, *, ocr: bool = False) -> IngestionResult:
    with path.open("rb") as file:
        head = file.read(65536)
    document_type = detect_type(filename=path.name, head=head, size=path.stat().st_size, path=path)
    return extract_limited(path, document_type, ocr=OcrOptions(enabled=ocr))


def outcomes(folder: Path, pattern: str) -> dict[str, object]:
    """Page count (or number of chunks, where there are no pages) or error of each file."""
    found: dict[str, object] = {}
    for path in sorted(folder.glob(pattern)):
        try:
            result = ingest(path)
        except IngestionError as error:
            found[path.name] = type(error)
        else:
            found[path.name] = result.page_count or len(result.chunks)
    return found


def test_pdf_structures(corpus: Path) -> None:
    assert outcomes(corpus / "pdf" / "structure", "*.pdf") == {
        "attachments.pdf": 1,
        "box_fallback.pdf": 1,
        "empty.pdf": EmptyDocumentError,
        "encrypted.pdf": EncryptedDocumentError,
        "form_object_with_image.pdf": EmptyDocumentError,
        "forms.pdf": 1,
        "images.pdf": 1,
        "multipage.pdf": 3,
        "render.pdf": 1,
        "text.pdf": 2,
        "toc.pdf": 2,
        "toc_circular.pdf": 2,
        "toc_maxdepth.pdf": 2,
        "toc_style.pdf": 2,
        "toc_viewmodes.pdf": 8,
    }


def test_word_files(corpus: Path) -> None:
    found = outcomes(corpus / "docx", "*.docx")
    assert {name for name, outcome in found.items() if outcome is EmptyDocumentError} == {
        "features_steps_test_files_tbl-having-tables.docx",
        "tests_test_files_having-images.docx",
    }
    assert {outcome for outcome in found.values() if outcome is not EmptyDocumentError} == {1}


def test_links_of_a_word_file(corpus: Path) -> None:
    (chunk,) = ingest(corpus / "docx" / "features_steps_test_files_par-hyperlinks.docx").chunks
    assert chunk.text.split("\n\n")[2] == "Three hyperlinks: the first one here, the second one, and the third."


def test_xml_attacks(corpus: Path) -> None:
    assert outcomes(corpus / "xml", "*.xml") == {
        "cyclic.xml": DangerousDocumentError,
        "dtd.xml": 1,
        "external.xml": DangerousDocumentError,
        "external_file.xml": DangerousDocumentError,
        "quadratic.xml": DangerousDocumentError,
        "simple-ns.xml": 1,
        "simple.xml": 1,
        "xmlbomb.xml": DangerousDocumentError,
        "xmlbomb2.xml": DangerousDocumentError,
    }


@pytest.mark.usefixtures("tesseract")
@pytest.mark.parametrize("name", ["linn", "skew"])
def test_scans_are_recognised(corpus: Path, name: str) -> None:
    result = ingest(corpus / "pdf" / "scans" / f"{name}.pdf", ocr=True)
    truth = Counter(re.findall(r"\w+", (corpus / "pdf" / "scans" / "linn.txt").read_text().lower()))
    found = Counter(re.findall(r"\w+", " ".join(chunk.text for chunk in result.chunks).lower()))
    assert (truth & found).total() / truth.total() >= 0.9
    assert {chunk.locator["ocr"] for chunk in result.chunks} == {True}


@pytest.mark.usefixtures("tesseract")
def test_a_page_with_a_text_layer_is_not_recognised_again(corpus: Path) -> None:
    result = ingest(corpus / "pdf" / "scans" / "multipage.pdf", ocr=True)
    assert [page["page"] for page in result.metadata["pages"]] == [1, 2, 3, 5, 6]


def test_naughty_strings_survive_every_text_format(corpus: Path, tmp_path: Path) -> None:
    strings: list[str] = json.loads((corpus / "strings" / "blns.json").read_text())
    wanted = {" ".join(clean_text(string).split()) for string in strings} - {""}

    as_json = chunked(corpus / "strings" / "blns.json", "json", chunk_size=400)
    out = io.StringIO()
    csv.writer(out).writerows([["number", "string"], *enumerate(strings)])
    as_csv = chunked(write(tmp_path, "a.csv", out.getvalue()), "csv", chunk_size=400)
    as_txt = chunked(write(tmp_path, "a.txt", "\n\n".join(strings)), "txt", chunk_size=400)

    for chunks in (as_json, as_csv, as_txt):
        told = " ".join("\n".join(chunk.text for chunk in chunks).split())
        assert "\0" not in told
        told.encode()
        assert [string for string in wanted if len(string) < 200 and string not in told] == []


def test_every_record_of_chinook_has_its_pointer(corpus: Path) -> None:
    path = corpus / "sql" / "ChinookData.json"
    data = json.loads(path.read_text(encoding="utf-8-sig"))
    extraction = extract(path, "json", ocr=OcrOptions(), progress=lambda share, what: None)
    expected = [f"/{table}/{index}" for table, rows in data.items() for index in range(len(rows))]
    assert [block.locator["pointer"] for block in extraction.blocks] == expected
