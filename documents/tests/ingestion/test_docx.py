"""Word documents."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.oxml import OxmlElement
from docx.text.paragraph import Paragraph

from documents.ingestion.base import DamagedDocumentError, DangerousDocumentError
from documents.tests.ingestion.builders import chunked, extracted, one_line, texts, write, zip_of


def saved(document: Any, folder: Path) -> Path:
    out = io.BytesIO()
    document.save(out)
    return write(folder, "a.docx", out.getvalue())


def handbook() -> Any:
    document = docx.Document()
    document.core_properties.title = "Staff handbook"
    document.add_heading("Holidays", 1)
    document.add_paragraph("Everybody has thirty days a year.")
    document.add_heading("Carrying over", 2)
    document.add_paragraph("Five days may be taken in the next year.")
    document.add_heading("Travel", 1)
    document.add_paragraph("Trains before planes.", style="List Bullet")
    table = document.add_table(rows=3, cols=2)
    for row, cells in zip(table.rows, [("Country", "Daily rate"), ("France", "49"), ("Norway", "75")], strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    document.add_paragraph("Rates are checked in January.")
    return document


def test_paragraphs_lists_and_rows_under_their_headings(tmp_path: Path) -> None:
    extraction = extracted(saved(handbook(), tmp_path), "docx")

    assert extraction.title == "Staff handbook"
    assert [(block.text, block.headings, block.locator["start"], block.atomic) for block in extraction.blocks] == [
        ("Everybody has thirty days a year.", ("Holidays",), 2, False),
        ("Five days may be taken in the next year.", ("Holidays", "Carrying over"), 4, False),
        ("Trains before planes.", ("Travel",), 6, False),
        ("Country: France; Daily rate: 49", ("Travel",), 8, True),
        ("Country: Norway; Daily rate: 75", ("Travel",), 9, True),
        ("Rates are checked in January.", ("Travel",), 10, False),
    ]


def test_cutting_the_body_at_the_paragraphs_gives_the_text(tmp_path: Path) -> None:
    path = saved(handbook(), tmp_path)
    places: list[str] = []
    for item in docx.Document(str(path)).iter_inner_content():
        if isinstance(item, Paragraph):
            places.append(item.text)
        else:
            places += [" ".join(cell.text for cell in row.cells) for row in item.rows]
    chunks = chunked(path, "docx")

    assert len(chunks) == 3
    for chunk in chunks:
        cut = one_line(" ".join(places[chunk.locator["start"] - 1 : chunk.locator["end"]]))
        told = chunk.text.replace("Country: ", "").replace("; Daily rate:", "")
        assert one_line(told) == cut.replace("Country Daily rate ", "")


def test_the_text_of_links_is_kept_and_of_deletions_not(tmp_path: Path) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("See the ")
    link, deletion = OxmlElement("w:hyperlink"), OxmlElement("w:del")
    link.append(paragraph.add_run("price list")._r)
    deletion.append(paragraph.add_run("old price list")._r)
    paragraph._p.append(link)
    paragraph._p.append(deletion)
    paragraph.add_run(".")
    assert texts(extracted(saved(document, tmp_path), "docx").blocks) == ["See the price list."]


def test_merged_cells_and_tables_in_cells_are_told_once(tmp_path: Path) -> None:
    document = docx.Document()
    table = document.add_table(rows=2, cols=2)
    table.cell(0, 0).merge(table.cell(0, 1)).text = "Both columns"
    table.cell(1, 0).text = "left"
    table.cell(1, 1).add_table(rows=1, cols=1).cell(0, 0).text = "inner"
    blocks = extracted(saved(document, tmp_path), "docx").blocks
    assert [(block.text, block.locator["start"]) for block in blocks] == [("Both columns", 1), ("left; inner", 2)]


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = zip_of({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"A" * (12 * 2**20)})
    assert len(bomb) < 100_000
    with pytest.raises(DangerousDocumentError) as caught:
        extracted(write(tmp_path, "a.docx", bomb), "docx")
    assert str(caught.value) == (
        "This Word document unpacks to far more data than a document needs, and was not opened."
    )


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 and then nothing",
        zip_of({"word/document.xml": b"<document/>"}),
        zip_of({"[Content_Types].xml": b"<Types", "word/document.xml": b"<document/>"}),
    ],
)
def test_damaged(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DamagedDocumentError):
        extracted(write(tmp_path, "a.docx", content), "docx")


def test_an_entity_bomb_inside_is_refused(tmp_path: Path) -> None:
    import zipfile

    bomb = '<!DOCTYPE d [<!ENTITY a "boom boom"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    path = saved(handbook(), tmp_path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    body = parts["word/document.xml"].decode()
    declaration, rest = body.split("?>", 1)
    parts["word/document.xml"] = f"{declaration}?>{bomb}{rest}".replace("Trains before", "&b; before").encode()
    with pytest.raises(DangerousDocumentError):
        extracted(write(tmp_path, "b.docx", zip_of(parts)), "docx")
