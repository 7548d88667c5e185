"""Word documents: paragraphs and table rows in the order of the body, under the path of their headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from documents.ingestion.base import Block, DamagedDocumentError, Extraction
from documents.ingestion.formats.archives import DAMAGE, guard
from documents.ingestion.formats.csv_format import named_rows

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_LEFT_OUT = {_FALLBACK, f"{_W}pPr", f"{_W}del", f"{_W}instrText"}
_CHARACTERS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_HEADING_STYLE = re.compile(r"^heading (\d)$", re.IGNORECASE)


def extract(path: Path) -> Extraction:
    guard(path, "Word document")
    import docx
    from lxml import etree

    try:
        document = docx.Document(str(path))
        levels = _heading_levels(document)
        body = document.element.body
        title = document.core_properties.title or ""
    except (*DAMAGE, etree.XMLSyntaxError) as error:
        raise DamagedDocumentError(
            "This Word document is damaged and cannot be opened. Save it again in Word and retry."
        ) from error
    return Extraction(tuple(_blocks(body, levels)), title=title)


def _heading_levels(document: Any) -> dict[str, int]:
    """Style id → heading level (1-9), also through the styles that a style is based on; `Title` is 1."""
    levels: dict[str, int] = {}
    for style in document.styles.element.iterchildren(f"{_W}style"):
        style_id = style.get(f"{_W}styleId", "")
        name = style.find(f"{_W}name")
        found = _HEADING_STYLE.match(name.get(f"{_W}val", "") if name is not None else "")
        outline = style.find(f"{_W}pPr/{_W}outlineLvl")
        if found:
            levels[style_id] = int(found[1])
        elif name is not None and name.get(f"{_W}val") == "Title":
            levels[style_id] = 1
        elif outline is not None and (outline.get(f"{_W}val") or "9") < "9":
            levels[style_id] = int(outline.get(f"{_W}val")) + 1
        else:
            based_on = style.find(f"{_W}basedOn")
            parent = based_on.get(f"{_W}val") if based_on is not None else None
            if parent in levels:
                levels[style_id] = levels[parent]
    return levels


def _blocks(body: Any, levels: dict[str, int]) -> Iterator[Block]:
    number = 0
    path: list[tuple[int, str]] = []
    for element in _inner(body):
        headings = tuple(text for _, text in path)
        if element.tag == f"{_W}tbl":
            rows = list(_rows(element))
            yield from _table(rows, number, headings)
            number += len(rows)
            continue
        number += 1
        text = _text(element).strip()
        if not text:
            continue
        level = _level(element, levels)
        if level and len(text) <= 300:
            path = [*(entry for entry in path if entry[0] < level), (level, text)]
            continue
        if element.find(f"{_W}pPr/{_W}numPr") is not None:
            text = f"- {text}"
        yield Block(text, _locator(number, headings), headings)


def _inner(container: Any) -> Iterator[Any]:
    """Paragraphs and tables, also those inside content controls and tracked insertions."""
    for child in container:
        if child.tag in (f"{_W}p", f"{_W}tbl"):
            yield child
        elif child.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}customXml", f"{_W}smartTag"):
            yield from _inner(child)


def _level(paragraph: Any, levels: dict[str, int]) -> int:
    style = paragraph.find(f"{_W}pPr/{_W}pStyle")
    outline = paragraph.find(f"{_W}pPr/{_W}outlineLvl")
    if outline is not None and (outline.get(f"{_W}val") or "9") < "9":
        return int(outline.get(f"{_W}val")) + 1
    return levels.get(style.get(f"{_W}val"), 0) if style is not None else 0


def _text(element: Any) -> str:
    """All text inside, of links and text boxes too; not what a tracked change deleted, nor a box's second copy."""
    parts: list[str] = []
    stack = [element]
    while stack:
        current = stack.pop()
        tag = current.tag
        if tag in _LEFT_OUT:
            continue
        if tag == f"{_W}t":
            parts.append(current.text or "")
        elif tag in _CHARACTERS:
            parts.append(_CHARACTERS[tag])
        elif tag == f"{_W}p" and parts and current is not element:
            parts.append("\n")
        stack.extend(reversed(current))
    return "".join(parts)


def _rows(table: Any) -> Iterator[list[str]]:
    for row in table.iter(f"{_W}tr"):
        if next(row.iterancestors(f"{_W}tbl")) is not table:
            continue  # a table inside a cell: its text belongs to the cell
        cells: list[str] = []
        for cell in row.iter(f"{_W}tc"):
            if next(cell.iterancestors(f"{_W}tr")) is not row:
                continue
            span = cell.find(f"{_W}tcPr/{_W}gridSpan")
            width = int(span.get(f"{_W}val") or 1) if span is not None else 1
            cells += [" ".join(_text(cell).split()), *[""] * (min(width, 64) - 1)]
        yield cells


def _table(rows: list[list[str]], before: int, headings: tuple[str, ...]) -> Iterator[Block]:
    for number, text in named_rows(rows):
        yield Block(text, _locator(before + number, headings), headings, atomic=True)


def _locator(number: int, headings: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "paragraphs", "start": number, "end": number, "headings": list(headings)}
