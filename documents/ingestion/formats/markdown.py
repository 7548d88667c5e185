"""Markdown: paragraphs, lists, fenced code and tables under the path of their headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from documents.ingestion.base import Block, Extraction
from documents.ingestion.formats.text import paragraphs, read_text

_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_TABLE_RULE = re.compile(r"^ {0,3}\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_FRONT_MATTER_TITLE = re.compile(r"^title:\s*['\"]?(.*?)['\"]?\s*$", re.MULTILINE)
_TABLE_ROWS = 8  # rows of a table in one block


def extract(path: Path) -> Extraction:
    lines = read_text(path).split("\n")
    start = _front_matter_end(lines)
    found = _FRONT_MATTER_TITLE.search("\n".join(lines[1 : start - 1])) if start else None
    blocks, first_heading = _read(lines, start)
    return Extraction(tuple(blocks), title=found[1] if found else first_heading)


def _front_matter_end(lines: list[str]) -> int:
    """The index of the first line after a `---` block at the very beginning; 0 without one."""
    if lines[0].rstrip() != "---":
        return 0
    for index, line in enumerate(lines[1:200], 1):
        if line.rstrip() in ("---", "..."):
            return index + 1
    return 0


def _read(lines: list[str], index: int) -> tuple[list[Block], str]:
    blocks: list[Block] = []
    path: list[tuple[int, str]] = []
    title = ""
    pending = index  # first line not yet in a block

    def headings() -> tuple[str, ...]:
        return tuple(text for _, text in path)

    def flush(end: int) -> None:
        for text, first, last in paragraphs(lines[pending:end], pending + 1):
            blocks.append(_block(text, first, last, headings()))

    while index < len(lines):
        line = lines[index]
        after = lines[index + 1] if index + 1 < len(lines) else ""
        heading = _heading(line, after, is_open=index > pending and bool(lines[index - 1].strip()))
        if heading is not None:
            flush(index)
            level, text, length = heading
            path = [*(entry for entry in path if entry[0] < level), (level, text)]
            title = title or text
            index = pending = index + length
        elif _FENCE.match(line):
            flush(index)
            end = _fence_end(lines, index)
            blocks.append(_block("\n".join(lines[index:end]), index + 1, end, headings(), atomic=True))
            index = pending = end
        elif "|" in line and "|" in after and _TABLE_RULE.match(after):
            flush(index)
            end = _table_end(lines, index)
            blocks.extend(_table(lines, index, end, headings()))
            index = pending = end
        else:
            index += 1
    flush(index)
    return blocks, title


def _heading(line: str, after: str, *, is_open: bool) -> tuple[int, str, int] | None:
    """(level, text, number of lines), when a heading begins here. `is_open`: the line continues a paragraph."""
    found = _HEADING.match(line)
    if found and found[2]:
        return len(found[1]), found[2], 1
    underline = _UNDERLINE.match(after)
    if underline and line.strip() and not is_open and not line.startswith((" " * 4, "\t", "-", "*", ">", "|")):
        return (1 if underline[1].startswith("=") else 2), line.strip(), 2
    return None


def _fence_end(lines: list[str], index: int) -> int:
    found = _FENCE.match(lines[index])
    mark = found[1] if found else "```"
    for end in range(index + 1, len(lines)):
        closing = lines[end].strip()
        if closing.startswith(mark) and not closing.strip(mark[0]):
            return end + 1
    return len(lines)


def _table_end(lines: list[str], index: int) -> int:
    end = index + 2
    while end < len(lines) and "|" in lines[end]:
        end += 1
    return end


def _table(lines: list[str], index: int, end: int, headings: tuple[str, ...]) -> Iterator[Block]:
    """The table in groups of rows, each under the table's header."""
    header = [lines[index].strip(), lines[index + 1].strip()]
    for start in range(index + 2, max(end, index + 3), _TABLE_ROWS):
        stop = min(start + _TABLE_ROWS, end)
        first = index + 1 if start == index + 2 else start + 1
        text = "\n".join([*header, *(line.strip() for line in lines[start:stop])])
        yield _block(text, first, stop, headings, atomic=True)


def _block(text: str, start: int, end: int, headings: tuple[str, ...], *, atomic: bool = False) -> Block:
    locator = {"type": "section", "headings": list(headings), "start": start, "end": end}
    return Block(text, locator, headings, atomic)
