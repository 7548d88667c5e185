"""PDFs with a text layer."""

from __future__ import annotations

from pathlib import Path

import pypdfium2
import pytest

from documents.ingestion.base import DamagedDocumentError
from documents.tests.ingestion.builders import chunked, extracted, lines_down, one_line, pdf_of, texts, write

FIRST = ["Orders are shipped within two days of payment, and", "a message tells the customer the tracking number."]
SECOND = [
    "Returns are free within thirty days. The goods must be",
    "unused and in their box when they come back to us.",
]


def test_paragraphs_have_their_page_and_box(tmp_path: Path) -> None:
    page = [*lines_down(FIRST, top=720), *lines_down(SECOND, top=660)]
    extraction = extracted(write(tmp_path, "a.pdf", pdf_of(page, lines_down(["Last page"]))), "pdf")

    assert extraction.page_count == 2
    assert texts(extraction.blocks) == [" ".join(FIRST), " ".join(SECOND), "Last page"]
    assert [block.locator["page"] for block in extraction.blocks] == [1, 1, 2]
    locator = extraction.blocks[0].locator
    number, x0, y0, x1, y1 = locator["boxes"][0]
    assert (locator["type"], locator["page_end"], locator["ocr"], number) == ("page", 1, False, 1)
    assert 70 < x0 < 74
    assert 700 < y0 < 706
    assert 300 < x1 < 350
    assert 727 < y1 < 735


def test_cutting_the_pages_at_the_boxes_gives_the_text(tmp_path: Path) -> None:
    pages = [[*lines_down(FIRST, top=720), *lines_down(SECOND, top=660)], lines_down(["A third paragraph, alone."])]
    path = write(tmp_path, "a.pdf", pdf_of(*pages))
    document = pypdfium2.PdfDocument(path)
    chunks = chunked(path, "pdf")

    assert len(chunks) == 2
    for chunk in chunks:
        cut = " ".join(
            document[page - 1].get_textpage().get_text_bounded(x0, y0, x1, y1)
            for page, x0, y0, x1, y1 in chunk.locator["boxes"]
        )
        assert one_line(chunk.text) in one_line(cut)
        assert {box[0] for box in chunk.locator["boxes"]} == set(
            range(chunk.locator["page"], chunk.locator["page_end"] + 1)
        )
    document.close()


def test_columns_keep_the_order_of_reading(tmp_path: Path) -> None:
    left, right = lines_down(FIRST, x=40), lines_down(SECOND, x=330)
    extraction = extracted(write(tmp_path, "a.pdf", pdf_of([*left, *right])), "pdf")
    assert texts(extraction.blocks) == [" ".join(FIRST), " ".join(SECOND)]


def test_short_lines_stay_lines(tmp_path: Path) -> None:
    page = lines_down(["Standard 4.90", "Express 9.90", "All of it leaves our warehouse on the same day"])
    extraction = extracted(write(tmp_path, "a.pdf", pdf_of(page)), "pdf")
    assert texts(extraction.blocks) == ["Standard 4.90\nExpress 9.90\nAll of it leaves our warehouse on the same day"]


def test_a_word_hyphenated_at_the_line_end_is_one_word(tmp_path: Path) -> None:
    page = lines_down(["The supplier and the customer made an agree-", "ment about the time of every delivery."])
    extraction = extracted(write(tmp_path, "a.pdf", pdf_of(page)), "pdf")
    assert texts(extraction.blocks) == [
        "The supplier and the customer made an agreement about the time of every delivery."
    ]


def test_the_outline_gives_the_headings(tmp_path: Path) -> None:
    page = [*lines_down(FIRST, top=720), *lines_down(SECOND, top=400)]
    data = pdf_of(page, lines_down(["More about returns"]), outline={"Shipping": (1, 740), "Returns": (1, 420)})
    extraction = extracted(write(tmp_path, "a.pdf", data), "pdf")
    assert [block.headings for block in extraction.blocks] == [("Shipping",), ("Returns",), ("Returns",)]


def test_long_text_is_cut_so_that_boxes_stay_precise(tmp_path: Path) -> None:
    page = lines_down([f"Line {number} of a text without any paragraph in it" for number in range(40)], leading=12)
    extraction = extracted(write(tmp_path, "a.pdf", pdf_of(page)), "pdf")
    assert [block.text.count("Line") for block in extraction.blocks] == [16, 16, 8]


def test_a_turned_page_keeps_its_paragraphs_together(tmp_path: Path) -> None:
    extraction = extracted(write(tmp_path, "a.pdf", pdf_of(lines_down(FIRST), rotate=180)), "pdf")
    assert texts(extraction.blocks) == [" ".join(FIRST)]


def test_a_page_without_text_or_image_is_not_a_scan(tmp_path: Path) -> None:
    extraction = extracted(write(tmp_path, "a.pdf", pdf_of([], lines_down(["Text"]))), "pdf")
    assert texts(extraction.blocks) == ["Text"]
    assert (extraction.page_count, extraction.warnings, extraction.metadata) == (2, (), {})


@pytest.mark.parametrize("content", [b"%PDF-1.4\n", b"%PDF-1.7\nnothing of a PDF follows\n%%EOF"])
def test_damaged(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DamagedDocumentError) as caught:
        extracted(write(tmp_path, "a.pdf", content), "pdf")
    assert str(caught.value) == "This PDF is damaged and cannot be opened. Export it again and retry."
