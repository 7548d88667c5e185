"""PowerPoint presentations and Excel workbooks."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import openpyxl
import pytest

from documents.ingestion.base import DamagedDocumentError, DangerousDocumentError, IngestionError, TooLargeError
from documents.ingestion.formats import xlsx_format
from documents.ingestion.sandbox import Limits, extract_limited
from documents.tests.ingestion.builders import extracted, presentation, saved, texts, workbook, write, zip_of

BOMB_LIMITS = Limits(memory_mb=512, cpu_seconds=30, wall_seconds=60)
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def with_part(path: Path, name: str, content: bytes) -> Path:
    """The archive with one part replaced."""
    with zipfile.ZipFile(path) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    path.write_bytes(zip_of({**parts, name: content}))
    return path


def test_slides_in_reading_order_under_their_titles(tmp_path: Path) -> None:
    extraction = extracted(saved(presentation(), tmp_path, "a.pptx"), "pptx")

    assert (extraction.title, extraction.page_count) == ("Returns 2026", 3)
    assert [(block.headings, block.text, block.locator["notes"]) for block in extraction.blocks] == [
        (("Returns",), "Goods come back within thirty days.\nReturns are free of charge.", False),
        (("Returns",), "Country: France; Days: 14", False),
        (("Returns",), "Country: Norway; Days: 21", False),
        (("Returns", "Notes"), "Say twice that returns cost nothing.", True),
        (("Slide 2",), "A text inside a group", False),
        (("Slide 2",), "Orders: East: 12.5; West: 20", False),
    ]
    assert extraction.warnings == (
        "Left out because hidden: slide 3. Show it and upload the file again to have it read.",
    )


def test_a_slide_with_a_title_alone_is_found_by_it(tmp_path: Path) -> None:
    slides = presentation()
    slides.slides.add_slide(slides.slide_layouts[5]).shapes.title.text = "Thank you"
    assert texts(extracted(saved(slides, tmp_path, "a.pptx"), "pptx").blocks)[-1] == "Thank you"


def test_rows_keep_their_header(tmp_path: Path) -> None:
    extraction = extracted(saved(workbook(), tmp_path, "a.xlsx"), "xlsx")

    assert [block.headings for block in (extraction.blocks[0], extraction.blocks[-1])] == [
        ("Prices",),
        ("Stock & places",),
    ]
    assert texts(extraction.blocks)[:2] == [
        "Price list for pumps",
        "Product: Pump X5; 2026 Q1: 7.5; 2026 Q2: 5; Since: 2026-03-06",
    ]
    assert texts(extraction.blocks)[-2:] == [
        "place: Lyon; pieces: 1234567; checked: TRUE",
        "place: Oslo; pieces: 0.3; checked: FALSE",
    ]
    assert extraction.warnings == (
        "Left out because hidden: “Margins”. Show the sheet in Excel and upload the file again to have it read.",
    )


def test_values_of_formulas_are_read_and_missing_ones_told(tmp_path: Path) -> None:
    path = saved(workbook(), tmp_path, "a.xlsx")
    rows = (
        '<row r="1"><c r="A1" t="str"><v>sum</v></c><c r="B1" t="str"><v>mean</v></c></row>'
        '<row r="2"><c r="A2"><f>1+41</f><v>42</v></c><c r="B2"><f>A2/2</f></c></row>'
    )
    content = f'<worksheet xmlns="{SHEET}"><sheetData>{rows}</sheetData></worksheet>'.encode()
    extraction = extracted(with_part(path, "xl/worksheets/sheet2.xml", content), "xlsx")
    assert texts(extraction.blocks)[-1] == "sum: 42"
    assert extraction.warnings[-1].startswith("Formulas without a stored value: 1. ")


def test_a_value_merged_over_rows_belongs_to_each(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in [("region", "city"), ("North", "Oslo"), (None, "Bergen"), ("South", "Lyon")]:
        book.active.append(row)
    book.active.merge_cells("A2:A3")
    assert texts(extracted(saved(book, tmp_path, "a.xlsx"), "xlsx").blocks) == [
        "region: North; city: Oslo",
        "region: North; city: Bergen",
        "region: South; city: Lyon",
    ]


@pytest.mark.parametrize("kind", ["pptx", "xlsx"])
@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 and then nothing",
        zip_of({"a.txt": b"nothing of an Office document"}),
        zip_of({"[Content_Types].xml": b"<Types", "xl/workbook.xml": b"<x/>", "ppt/presentation.xml": b"<x/>"}),
    ],
    ids=["torn", "other", "broken"],
)
def test_damaged(tmp_path: Path, kind: str, content: bytes) -> None:
    with pytest.raises(DamagedDocumentError):
        extracted(write(tmp_path, "a", content), kind)


@pytest.mark.parametrize("kind", ["pptx", "xlsx"])
def test_truncated(tmp_path: Path, kind: str) -> None:
    document = presentation() if kind == "pptx" else workbook()
    data = saved(document, tmp_path, "whole").read_bytes()
    for share in (0.3, 0.6, 0.99):
        with pytest.raises(DamagedDocumentError):
            extracted(write(tmp_path, "cut", data[: int(len(data) * share)]), kind)


@pytest.mark.parametrize(("kind", "part"), [("pptx", "ppt/slides/slide1.xml"), ("xlsx", "xl/worksheets/sheet1.xml")])
def test_entities_are_refused(tmp_path: Path, kind: str, part: str) -> None:
    path = saved(presentation() if kind == "pptx" else workbook(), tmp_path, "a")
    bomb = b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "boom"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
    with pytest.raises(DangerousDocumentError):
        extracted(with_part(path, part, bomb), kind)


def test_entities_after_a_long_comment_are_refused_too(tmp_path: Path) -> None:
    path = saved(workbook(), tmp_path, "a")
    bomb = b"<!--" + b" " * 5000 + b'--><!DOCTYPE d [<!ENTITY a "boom">]><x>&a;</x>'
    with pytest.raises(IngestionError):
        extracted(with_part(path, "xl/worksheets/sheet1.xml", bomb), "xlsx")


@pytest.mark.parametrize(("kind", "part"), [("pptx", "ppt/slides/slide1.xml"), ("xlsx", "xl/worksheets/sheet1.xml")])
def test_a_gigabyte_of_xml_in_a_small_file(tmp_path: Path, kind: str, part: str) -> None:
    path = saved(presentation() if kind == "pptx" else workbook(), tmp_path, "a")
    row = b'<row><c t="inlineStr"><is><t>boom</t></is></c></row>'
    piece = row * (2**20 // len(row))
    with zipfile.ZipFile(path) as archive:
        others = {name: archive.read(name) for name in archive.namelist() if name != part}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in others.items():
            archive.writestr(name, data)
        with archive.open(part, "w") as file:
            file.write(f'<worksheet xmlns="{SHEET}"><sheetData>'.encode())
            for _ in range(1024):
                file.write(piece)
    assert len(out.getvalue()) < 20 * 2**20
    with pytest.raises(DangerousDocumentError):
        extract_limited(write(tmp_path, "bomb", out.getvalue()), kind, limits=BOMB_LIMITS)


def test_a_sheet_that_says_it_is_as_large_as_a_sheet_can_be(tmp_path: Path) -> None:
    path = saved(workbook(), tmp_path, "a")
    cell = '<c r="XFD{0}" t="inlineStr"><is><t>far {0}</t></is></c>'
    rows = "".join(f'<row r="{number}">{cell.format(number)}</row>' for number in (1, 2, 3, 1_048_576))
    content = f'<worksheet xmlns="{SHEET}"><dimension ref="A1:XFD1048576"/><sheetData>{rows}</sheetData></worksheet>'
    result = extract_limited(with_part(path, "xl/worksheets/sheet1.xml", content.encode()), "xlsx", limits=BOMB_LIMITS)
    assert result.chunks[0].text == "far 1: far 2\nfar 1: far 3\nfar 1: far 1048576"


def test_too_many_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_format, "MAX_CELLS", 100)
    with pytest.raises(TooLargeError):
        extracted(saved(workbook(), tmp_path, "a.xlsx"), "xlsx")
