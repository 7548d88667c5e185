"""PDFs with a text layer."""

from __future__ import annotations

from pathlib import Path

import pypdfium2
import pytest

from documents.ingestion.base import DamagedDocumentError, Extraction
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


LEFT = [
    "Orders are shipped within two days", "of payment, and a message tells", "the customer the tracking number.",
    "Goods that are missing come later,", "without further cost for the cus-", "tomer, from our store in Lyon.",
]  # fmt: skip
RIGHT = [
    "Returns are free within thirty days", "of delivery. The goods must be", "unused and in their box when they",
    "come back to us. Money is returned", "within a week by the same way that", "it came, and a mail says so.",
]  # fmt: skip


def row_by_row(*columns: list[str], apart: float = 250) -> list[tuple[float, float, str]]:
    placed = [lines_down(lines, x=40 + apart * number) for number, lines in enumerate(columns)]
    return [line for row in zip(*placed, strict=True) for line in row]


def test_columns_that_are_drawn_row_by_row_are_read_one_after_the_other(tmp_path: Path) -> None:
    title = [(40, 760, "What everybody should know about orders and returns before the first order is sent to us")]
    path = write(tmp_path, "a.pdf", pdf_of([*title, *row_by_row(LEFT, RIGHT)]))
    extraction = extracted(path, "pdf")
    assert texts(extraction.blocks) == [title[0][2], " ".join(LEFT).replace("cus- ", "cus"), " ".join(RIGHT)]
    cut_at_their_boxes(path, extraction)


def test_three_columns_drawn_row_by_row(tmp_path: Path) -> None:
    third = [f"Part {number} of it says this" for number in range(6)]
    left, right = ([" ".join(line.split()[:5]) for line in lines] for lines in (LEFT, RIGHT))
    path = write(tmp_path, "a.pdf", pdf_of(row_by_row(left, right, third, apart=190)))
    extraction = extracted(path, "pdf")
    said = " ".join(texts(extraction.blocks)).split()
    assert said == " ".join([*left, *right, *third]).replace("cus- ", "cus").split()
    cut_at_their_boxes(path, extraction)


def cut_at_their_boxes(path: Path, extraction: Extraction) -> None:
    document = pypdfium2.PdfDocument(path)
    for block in extraction.blocks:
        ((page, *box),) = block.locator["boxes"]
        cut = document[page - 1].get_textpage().get_text_bounded(*box)
        assert one_line(cut).replace("cus- ", "cus") == one_line(block.text)
    document.close()


def test_what_stands_beside_its_name_stays_beside_it(tmp_path: Path) -> None:
    names = ["Weight", "Height", "Warranty", "Delivery", "Made in", "Colours"]
    path = write(tmp_path, "a.pdf", pdf_of(row_by_row(names, RIGHT)))
    said = " ".join(texts(extracted(path, "pdf").blocks))
    assert all(f"{name} {text}" in said for name, text in zip(names, RIGHT, strict=True))


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
