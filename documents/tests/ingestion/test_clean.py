"""Mended characters, and running headers."""

from __future__ import annotations

import pytest

from documents.ingestion.base import Block
from documents.ingestion.clean import clean_blocks, clean_text


def on_page(page: int, text: str, top: float) -> Block:
    boxes = [[page, 72.0, top - 10, 300.0, top]]
    return Block(text, {"type": "page", "page": page, "page_end": page, "boxes": boxes, "ocr": False})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nul\0 and bell\a", "nul and bell"),
        ("e\u0301", "é"),
        ("e\ufb03cient \ufb01le", "efficient file"),
        ("soft\xadhyphen zero\u200bwidth \ufeffmark", "softhyphen zerowidth mark"),
        ("lone \ud800surrogate", "lone surrogate"),
        ("hidden\U000e0041\U000e0042 tags", "hidden tags"),
        ("many    blanks\tand\xa0others ", "many blanks and others"),
        ("  indented\n    stays", "  indented\n    stays"),
        ("line  \r\nends\x85and\u2028more", "line\nends\nand\nmore"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("family 👨\u200d👩\u200d👧 and می\u200cخواهم", "family 👨\u200d👩\u200d👧 and می\u200cخواهم"),
        ("Ⅳ stays, ½ stays, Ａ stays", "Ⅳ stays, ½ stays, Ａ stays"),
        (" \n\t ", ""),
    ],
)
def test_characters(text: str, expected: str) -> None:
    assert clean_text(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the agree-\nment of", "the agreement of"),
        ("Jean-\nPaul", "Jean-Paul"),
        ("pages 3-\n4", "pages 3-\n4"),
        ("the agree\xad\nment", "the agreement"),
        ("- one\n- two", "- one\n- two"),
    ],
)
def test_hyphens_at_line_ends_of_print(text: str, expected: str) -> None:
    assert clean_text(text, is_print=True) == expected


def test_code_is_no_print() -> None:
    block = Block("x = a-\nb", {"type": "section", "headings": [], "start": 1, "end": 2}, ("T\0itle",))
    (cleaned,) = clean_blocks([block, Block("\0", block.locator)])
    assert (cleaned.text, cleaned.headings) == ("x = a-\nb", ("Title",))


def test_locators_can_be_stored() -> None:
    (cleaned,) = clean_blocks([Block("a", {"type": "rows", "start": 1, "end": 1, "header": ["a\0b", "\ud800"]})])
    assert cleaned.locator["header"] == ["a\ufffdb", "\ufffd"]


def test_running_headers_and_page_numbers_are_dropped() -> None:
    blocks = []
    for page in range(1, 7):
        blocks += [
            on_page(page, "Acme GmbH – General terms", 780),
            on_page(page, f"Clause {page * 7} says this.", 700),
            on_page(page, "The same sentence in the middle of every page.", 500),
            on_page(page, f"And clause {page * 7 + 1} says that.", 300),
            on_page(page, f"Page {page + 2} of 8", 30),
        ]
    assert [block.text for block in clean_blocks(blocks) if block.locator["page"] == 1] == [
        "Clause 7 says this.",
        "The same sentence in the middle of every page.",
        "And clause 8 says that.",
    ]
    assert len(clean_blocks(blocks)) == 18


def test_what_changes_from_page_to_page_stays() -> None:
    blocks = []
    for page, price in enumerate([10, 25, 12, 99, 40, 31], 1):
        blocks += [
            on_page(page, f"Price {price}", 780),
            on_page(page, f"a {price}", 500),
            on_page(page, f"Text {price}", 300),
        ]
    assert len(clean_blocks(blocks)) == 18


def test_a_page_with_nothing_else_is_never_emptied() -> None:
    blocks = [on_page(page, f"Page {page}", 780) for page in range(1, 9)]
    assert clean_blocks(blocks) == blocks


def test_few_pages_prove_no_running_header() -> None:
    blocks = [on_page(page, text, top) for page in (1, 2, 3) for text, top in (("Header", 780), ("a", 500), ("b", 300))]
    assert clean_blocks(blocks) == blocks
