"""Passages taken apart into the pieces that can be quoted: sentences, list items and rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_SENTENCE = 500
WRAPPED_LINE = 45
MAX_HEADING_WORDS = 8

_BULLET = re.compile(r"^(?:[-*•–▪◦·]|\(?\d{1,2}[.)]|[a-z]\))\s+")
_MARKDOWN_HEADING = re.compile(r"^#{1,6}\s+")
_FAQ_LABEL = re.compile(r"^(?:Q|A|Question|Answer)\s?[:.]\s+")
_TABLE_RULE = re.compile(r"^[\s|:+=_-]+$")
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s+[\"'“‘«(\[]*[^\W_a-zß-öø-ÿ])|[。！？]")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|vs|cf|incl|excl|mr|mrs|ms|dr|prof|st|inc|ltd|dept|z\.b|bzw)|(?:^|\s|\.)(?-i:[A-ZÀ-Þ]))\.$",
    re.IGNORECASE,
)
_ABBREVIATION_BEFORE_NUMBER = re.compile(
    r"\b(?:no|nr|fig|sec|art|vol|pp?|approx|ca|max|min|tel|ext|est)\.$", re.IGNORECASE
)


# Rows of tables, as ingestion tells them: "name: value; name: value", or "value; value" where there are no names.
_NAMED_ROW = re.compile(r"^[^:;]{1,64}: [^;]+(?:; [^:;]{1,64}: [^;]+)+$")
MAX_ROW_VALUE_WORDS = 6


@dataclass(frozen=True, slots=True)
class Sentence:
    """A quotable piece, white space collapsed. `heading` is the one it stands under, `block` its paragraph or list."""

    text: str
    heading: str = ""
    block: int = 0
    is_item: bool = False
    is_question: bool = False


@dataclass(frozen=True, slots=True)
class _Unit:
    text: str
    kind: str  # "heading", "item", "row" or "prose"; of lines also "blank" and "rule"
    block: int


def split_sentences(text: str) -> list[Sentence]:
    """The sentences of a passage in order. Headings are not sentences: they become the `heading` of what follows."""
    sentences: list[Sentence] = []
    heading = ""
    for unit in _units(text):
        if unit.kind == "heading":
            heading = unit.text
            continue
        pieces = _bounded(unit.text) if unit.kind == "row" else _pieces(_FAQ_LABEL.sub("", unit.text))
        for piece in pieces:
            sentences.append(
                Sentence(
                    text=piece,
                    heading=heading,
                    block=unit.block,
                    is_item=unit.kind == "item",
                    is_question=piece.rstrip("\"'”’»)]").endswith(("?", "？")),
                )
            )
    return sentences


def _units(text: str) -> Iterator[_Unit]:
    """Lines joined where one was merely wrapped, told apart by kind."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    block = 0
    pending = ""
    for number, line in enumerate(lines):
        before, after = lines[number - 1] if number else "", lines[number + 1] if number + 1 < len(lines) else ""
        kind = "row" if _is_row(line, before, after) else _kind(line, following=lines[number + 1 :])
        if pending and not (kind == "prose" and _is_wrapped(pending, line)):
            yield _Unit(pending, "prose", block)
            pending = ""
        if kind == "blank":
            block += 1
        elif kind == "heading":
            block += 1
            yield _Unit(_MARKDOWN_HEADING.sub("", line).strip("* "), "heading", block)
        elif kind == "item":
            yield _Unit(_BULLET.sub("", line), "item", block)
        elif kind == "row":
            block += 1  # what one row says does not lean on the next
            yield _Unit(line, "row", block)
        elif kind == "prose":
            pending = f"{pending} {line}" if pending else line
    if pending:
        yield _Unit(pending, "prose", block)


def _is_row(line: str, before: str, after: str) -> bool:
    if _NAMED_ROW.match(line):
        return _NAMED_ROW.match(after) is not None or not after[:1].islower()  # else a sentence that goes on
    count = _values(line)
    return count > 1 and count in (_values(before), _values(after))


def _values(line: str) -> int:
    """How many values a row without names has; 0 for what is none."""
    values = line.split("; ")
    is_row = len(values) > 1 and all(0 < len(value.split()) <= MAX_ROW_VALUE_WORDS for value in values)
    return len(values) if is_row and not line.endswith((".", ";", ",", ":")) else 0


def _kind(line: str, *, following: list[str]) -> str:
    if not line:
        return "blank"
    if _TABLE_RULE.match(line):
        return "rule"
    if _MARKDOWN_HEADING.match(line):
        return "heading"
    if _BULLET.match(line) or line.startswith("|"):
        return "item"
    has_text_below = any(following)
    looks_like_title = (
        len(line.split()) <= MAX_HEADING_WORDS
        and not line.endswith((".", "!", "?", ":", ";", ",", "…", "。"))
        and not re.search(r"[:;|=,@]|\d\s*(?:%|€|\$|£)", line)
        and line[0].isupper()
    )
    if looks_like_title and has_text_below:
        below = following[0]
        if not below or _BULLET.match(below) or (below[0].isupper() and len(below) > len(line)):
            return "heading"
    return "prose"


def _is_wrapped(before: str, line: str) -> bool:
    """Whether `line` carries on the sentence that `before` began."""
    if before.endswith((":", ";")) and not line[0].islower():
        return False
    if line[0].islower():
        return True
    # Rows of "name: value" are short or end where they end; running text fills its lines.
    last_line = before[-200:]
    return len(last_line) >= WRAPPED_LINE and ":" not in line.split(" ", 3)[0]


def _pieces(text: str) -> Iterator[str]:
    start = 0
    for end in _SENTENCE_END.finditer(text):
        candidate = text[start : end.end()]
        is_before_number = text[end.end() :].lstrip()[:1].isdigit()
        if _ABBREVIATION.search(candidate) or (is_before_number and _ABBREVIATION_BEFORE_NUMBER.search(candidate)):
            continue
        yield from _bounded(candidate.strip())
        start = end.end()
    yield from _bounded(text[start:].strip())


def _bounded(text: str) -> Iterator[str]:
    """The text itself, or its parts where it is too long to be quoted whole."""
    while len(text) > MAX_SENTENCE:
        window = text[:MAX_SENTENCE]
        cut = max(window.rfind("; "), window.rfind(" | ")) + 1 or window.rfind(" ") + 1 or MAX_SENTENCE
        yield text[:cut].strip(" ")
        text = text[cut:].strip(" ")
    if text:
        yield text
