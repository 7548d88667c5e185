"""Text as a reader sees it: characters that cannot be stored or found are mended, running page headers dropped."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from documents.ingestion.base import Block

_LIGATURES = {
    0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st",
}  # fmt: skip
_LINE_ENDS = {0x2028: "\n", 0x2029: "\n\n", 0x0B: "\n", 0x0C: "\n", 0x85: "\n", 0x0D: "\n"}
_BLANKS = dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " ")
# Control characters (PostgreSQL refuses NUL), lone surrogates, soft hyphens, zero-width marks that split words,
# non-characters, and the invisible tag characters that carry instructions no reader sees. ZWJ and ZWNJ stay: emoji
# and several scripts need them.
_DROPPED = dict.fromkeys(
    (
        *(code for code in range(32) if code not in (9, 10, 0x0B, 0x0C, 0x0D)),
        *(code for code in range(0x7F, 0xA0) if code != 0x85),
        0xAD, 0x200B, 0x2060, 0xFEFF, 0xFFFE, 0xFFFF,
        *range(0xFDD0, 0xFDF0),
        *range(0xE0000, 0xE0080),
        *range(0xD800, 0xE000),
    )
)  # fmt: skip
_TABLE = {**_DROPPED, **_BLANKS, **_LINE_ENDS, **_LIGATURES}
_LIGATURE = re.compile("[\ufb00-\ufb05]")
_INNER_BLANKS = re.compile(r"(?<=\S)(?: [ \t]+|\t[ \t]*)")
_LINE_END_BLANKS = re.compile(r"[ \t]+\n")
_MANY_LINES = re.compile(r"\n{3,}")
_HYPHENATED = re.compile(r"(?<=[^\W\d_])[-\u2010]\n[ \t]*(?=[^\W\d_])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NUMBER = re.compile(r"\d+")

# A running header or footer: short, among the first or last blocks of its page, on most pages.
MAX_RUNNING_WORDS = 20
MIN_RUNNING_PAGES, MIN_RUNNING_SHARE = 4, 0.6


def clean_blocks(blocks: Sequence[Block]) -> list[Block]:
    """The blocks with clean texts, without those that are empty then and without running headers and footers."""
    cleaned = []
    for block in without_running_headers(blocks):
        text = clean_text(block.text, is_print=block.locator.get("type") in ("page", "image", "lines"))
        headings = tuple(filter(None, (clean_text(heading) for heading in block.headings)))
        if text:
            locator = {key: _storable(value) for key, value in block.locator.items()}
            cleaned.append(Block(text, locator, headings, block.atomic))
    return cleaned


def clean_text(text: str, *, is_print: bool = False) -> str:
    """NFC without control characters, ligatures and repeated blanks; indentation stays.

    `is_print`: lines end where the page ended, so a word that is hyphenated there is one word.
    """
    # Most text needs no mending, and everything in the table but ligatures is unprintable.
    if not text.replace("\n", "").isprintable() or (not text.isascii() and _LIGATURE.search(text)):
        if is_print:
            text = text.replace("\xad\n", "")
        text = text.replace("\r\n", "\n").translate(_TABLE)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if is_print and "\n" in text:
        text = _HYPHENATED.sub(_join_word, text)
    if "  " in text or "\t" in text:
        text = _INNER_BLANKS.sub(" ", text)
    if "\n" in text:
        text = _MANY_LINES.sub("\n\n", _LINE_END_BLANKS.sub("\n", text))
    return text.strip("\n").rstrip() if text[:1].isspace() and "\n" in text else text.strip()


def _storable(value: Any) -> Any:
    """A locator's value without what PostgreSQL's jsonb refuses: NUL and lone surrogates."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    return [_storable(part) for part in value] if isinstance(value, list) else value


def _join_word(match: re.Match[str]) -> str:
    return "" if match.string[match.end()].islower() else "-"


def without_running_headers(blocks: Sequence[Block]) -> Sequence[Block]:
    """Drop what stands at the same height at the top or bottom of most pages with the same words.

    A number in it may differ only as the page number does: "Page 3 of 9", not "Question 3" on a page of its own.
    A page is never left empty.
    """
    pages: dict[int, list[int]] = defaultdict(list)
    for index, block in enumerate(blocks):
        if block.locator.get("type") == "page":
            pages[block.locator["page"]].append(index)
    if len(pages) < MIN_RUNNING_PAGES:
        return blocks
    candidates: dict[tuple[object, ...], set[int]] = defaultdict(set)
    for page, indexes in pages.items():
        for index in {*indexes[:2], *indexes[-2:]} if len(indexes) > 2 else ():
            block = blocks[index]
            if block.text.count(" ") < MAX_RUNNING_WORDS:
                for key in _running_keys(block, page):
                    candidates[key].add(index)
    needed = max(MIN_RUNNING_PAGES, MIN_RUNNING_SHARE * len(pages))
    dropped: set[int] = set()
    for indexes_of_key in candidates.values():
        if len({blocks[index].locator["page"] for index in indexes_of_key}) >= needed:
            dropped |= indexes_of_key
    return [block for index, block in enumerate(blocks) if index not in dropped]


def _running_keys(block: Block, page: int) -> list[tuple[object, ...]]:
    """What must be equal on the other pages: the height on the page, and the words with the page's number left out."""
    height = round(block.locator["boxes"][0][4] / 6)
    text = " ".join(block.text.casefold().split())
    keys: list[tuple[object, ...]] = [(height, text)]
    for number in list(_NUMBER.finditer(text))[:4]:
        words = f"{text[: number.start()]}#{text[number.end() :]}"
        keys.append((height, words, int(number[0][-9:]) - page))
    return keys
