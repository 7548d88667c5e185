"""Tables in PDFs: a row is told under the names of its columns, and has a place of its own."""

from __future__ import annotations

from pathlib import Path

import pypdfium2
import pytest

from documents.ingestion.base import Extraction
from documents.ingestion.formats import pdf, pdf_tables
from documents.tests.ingestion.builders import (
    chunked,
    extracted,
    grid_at,
    lines_down,
    pdf_of,
    table_at,
    texts,
    write,
)

ROWS = [("Product", "Price", "Warranty"), ("Pump X1", "490.00", "24 months"), ("Hose", "9.90", ""), ("Seal", "3", "-")]
TOLD = ["Product: Pump X1; Price: 490.00; Warranty: 24 months", "Product: Hose; Price: 9.90",
        "Product: Seal; Price: 3; Warranty: -"]  # fmt: skip
ABOVE = ["All prices are in euros and hold from the first of March on.", "They do not contain the tax."]
BELOW = ["Ask us for larger quantities, which are cheaper."]


def read(folder: Path, content: bytes) -> Extraction:
    return extracted(write(folder, "a.pdf", content), "pdf")


def told(folder: Path, content: bytes) -> list[str]:
    return texts(read(folder, content).blocks)


@pytest.mark.parametrize("drawn", [grid_at(4), ""], ids=["ruled", "without rules"])
def test_rows_keep_their_header_between_the_paragraphs(tmp_path: Path, drawn: str) -> None:
    page = [*lines_down(ABOVE, top=760), *table_at(ROWS), *lines_down(BELOW, top=580)]
    blocks = read(tmp_path, pdf_of(page, drawn=drawn)).blocks

    assert texts(blocks) == [" ".join(ABOVE), *TOLD, *BELOW]
    assert [block.atomic for block in blocks] == [False, True, True, True, False]


@pytest.mark.parametrize("drawn", [grid_at(4), ""], ids=["ruled", "without rules"])
def test_cutting_the_page_at_the_box_gives_the_values_of_the_row(tmp_path: Path, drawn: str) -> None:
    path = write(tmp_path, "a.pdf", pdf_of([], table_at(ROWS), drawn=drawn))
    blocks = extracted(path, "pdf").blocks
    document = pypdfium2.PdfDocument(path)
    textpage = document[1].get_textpage()
    cut = ["".join(textpage.get_text_bounded(*block.locator["boxes"][0][1:]).split()) for block in blocks]
    textpage.close()
    document.close()

    assert cut == ["".join(row).replace(" ", "") for row in ROWS[1:]]
    assert {block.locator["page"] for block in blocks} == {2}
    (chunk,) = chunked(path, "pdf")
    assert (chunk.text, len(chunk.locator["boxes"])) == ("\n".join(TOLD), 3)


def test_a_cell_of_several_lines_is_one_value(tmp_path: Path) -> None:
    drawn = "72 700 350 -20 re 72 680 350 -60 re 72 620 350 -20 re 222 700 100 -100 re S"
    cell = lines_down(["A pump for deep", "wells, with its", "own generator"], top=666, x=76)
    page = [
        *table_at(ROWS[:1]),
        *cell,
        (226, 666, "990.00"),
        (326, 666, "36 months"),
        (76, 606, "Seal"),
        (226, 606, "3"),
    ]
    assert told(tmp_path, pdf_of(page, drawn=drawn)) == [
        "Product: A pump for deep wells, with its own generator; Price: 990.00; Warranty: 36 months",
        "Product: Seal; Price: 3",
    ]


def test_a_table_that_goes_on_keeps_the_names_of_the_page_before(tmp_path: Path) -> None:
    footer = [(300.0, 40.0, "a page")]
    first, second = (
        [*table_at(ROWS), *footer],
        [*table_at([("Valve", "12", "6 months"), ("Ring", "1", "no"), *ROWS[2:]])],
    )
    assert told(tmp_path, pdf_of(first, second, drawn=grid_at(4))) == [
        *TOLD, "a page", "Product: Valve; Price: 12; Warranty: 6 months", "Product: Ring; Price: 1; Warranty: no",
        *TOLD[1:],
    ]  # fmt: skip


def test_a_table_below_other_text_has_no_names_of_the_page_before(tmp_path: Path) -> None:
    second = [*lines_down(ABOVE * 2, top=760), *table_at([("Valve", "12", "6"), ("Ring", "1", "9"), *ROWS[2:]])]
    assert told(tmp_path, pdf_of(table_at(ROWS), second, drawn=grid_at(4)))[4:] == [
        "Valve; 12; 6", "Ring; 1; 9", "Hose; 9.90", "Seal; 3; -",
    ]  # fmt: skip


def test_columns_of_prose_are_no_table(tmp_path: Path) -> None:
    """Whatever the order in the file: column after column, and line after line across both."""
    left = [f"The {number} line of the left column" for number in ("first", "second", "third", "fourth")]
    right = [f"and line {number} of the one beside it" for number in range(4)]
    columns = [*lines_down(left, x=40), *lines_down(right, x=330)]
    assert told(tmp_path, pdf_of(columns)) == [" ".join(left), " ".join(right)]
    across = [line for pair in zip(lines_down(left, x=40), lines_down(right, x=330), strict=True) for line in pair]
    assert [(block.text, block.atomic) for block in read(tmp_path, pdf_of(across)).blocks] == [
        (" ".join(left), False),
        (" ".join(right), False),
    ]


def test_lists_and_boxes_are_no_tables(tmp_path: Path) -> None:
    bullets = [line for number in range(5) for line in [(72.0, 700.0 - 14 * number, f"{number}."),
               (110.0, 700.0 - 14 * number, f"Item {number}")]]  # fmt: skip
    assert [block.atomic for block in read(tmp_path, pdf_of(bullets)).blocks] == [False]
    words = " ".join(["word"] * 15)
    boxes = [*lines_down([words] * 4, top=690, x=76), *lines_down([words] * 4, top=690, x=330)]
    drawn = grid_at(2, widths=(250, 250)).replace("680", "600").replace("660", "560")
    assert [block.atomic for block in read(tmp_path, pdf_of(boxes, drawn=drawn)).blocks] == [False, False]


def test_a_page_of_paragraphs_is_not_searched_for_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Searching costs as much as reading: it is for the pages whose lines have gaps."""
    searched: list[int] = []

    def find(page: object, words: list[pdf_tables.Word]) -> list[pdf_tables.Table]:
        searched.append(len(words))
        return []

    monkeypatch.setattr(pdf, "find_tables", find)
    columns = [*lines_down(ABOVE * 5, x=40), *lines_down(ABOVE * 5, x=400)]
    read(tmp_path, pdf_of(lines_down(ABOVE * 12), columns, table_at(ROWS)))
    assert searched == [13]


def test_a_page_of_endless_rules_is_read(tmp_path: Path) -> None:
    drawn = "\n".join(f"{n % 600} 0 m {n % 600} 792 l S 0 {n % 790} m 600 {n % 790} l S" for n in range(30_000))
    page = [*table_at(ROWS), *lines_down(BELOW, top=400)]
    assert texts(read(tmp_path, pdf_of(page, drawn=drawn)).blocks)[-1] == BELOW[0]
