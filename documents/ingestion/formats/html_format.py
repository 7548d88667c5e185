"""HTML: the text of the page's own content, element by element, under the path of its headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree, html

from documents.ingestion.base import Block, DamagedDocumentError, Extraction
from documents.ingestion.formats.csv_format import row_text
from documents.ingestion.formats.text import read_text
from documents.ingestion.formats.xpaths import XPaths

# What is not the page's own content.
_DROPPED = {
    "script", "style", "noscript", "template", "nav", "head", "svg", "iframe", "object", "canvas", "button", "select",
    "dialog", "math",
}  # fmt: skip
_DROPPED_ROLES = {"navigation", "search", "menu", "banner", "contentinfo", "dialog"}
# Dropped only around the page, not inside an article of it.
_FRAME = {"header", "footer", "aside"}
_BLOCK_TAGS = {
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html",
    "legend", "li", "main", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead",
    "tr", "ul",
}  # fmt: skip
_HEADING = re.compile(r"^h([1-6])$")
_ENCODING_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_CONTENT_ROOTS = ("//main", "//*[@role='main']", "//article")
_MIN_CONTENT_SHARE = 0.4
_SPACES = re.compile(r"\s+")


def extract(path: Path) -> Extraction:
    text = _ENCODING_DECLARATION.sub("", read_text(path)).replace("\0", "")
    parser = html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        root = html.document_fromstring(text.encode("utf-8", errors="replace"), parser=parser)
    except etree.ParserError as error:
        if not re.sub(r"<[^>]*>|\s", "", text):
            return Extraction(())
        raise DamagedDocumentError("This HTML file cannot be read: it holds no elements.") from error
    title = " ".join((root.findtext(".//title") or "").split())
    walk = _Walk(root)
    for content in _contents(root):
        walk.visit(content)
    return Extraction(tuple(walk.blocks), title=title)


def _contents(root: Any) -> list[Any]:
    """The elements that hold the page's own content, when the page says so and a good part of the text is in them."""
    body = root.find("body")
    whole = body if body is not None else root
    enough = _MIN_CONTENT_SHARE * _text_length(whole)
    for expression in _CONTENT_ROOTS:
        found = set(root.xpath(expression))
        outer = [element for element in found if found.isdisjoint(element.iterancestors())]
        if outer and sum(map(_text_length, outer)) >= enough:
            return [element for element in root.iter() if element in outer]
    return [whole]


def _text_length(element: Any) -> int:
    return int(element.xpath("string-length(normalize-space(string()))"))


class _Walk:
    """Collects blocks in the order of the page, with a stack of its own: pages nest as deep as they like."""

    def __init__(self, root: Any) -> None:
        self.blocks: list[Block] = []
        self._headings: list[tuple[int, str]] = []
        self._xpaths = XPaths()
        self._fragment: str | None = None  # the last id before the place, or on it
        self._containers = _containers(root)  # elements with a block element somewhere inside

    def visit(self, root: Any) -> None:
        stack: list[Any] = [root]
        while stack:
            item = stack.pop()
            if isinstance(item, _LooseText):
                self._fragment = item.anchor or self._fragment
                self._add(item.text, item.parent)
                continue
            if _is_dropped(item) or (item.tag in _FRAME and root.tag == "body" and item.getparent() is root):
                continue
            self._fragment = item.get("id") or self._fragment
            heading = _HEADING.match(item.tag)
            if heading:
                self._enter(int(heading[1]), item)
            elif item.tag == "pre":
                self._add(item.text_content().strip("\n"), item)
            elif item.tag == "table" and not any(True for _ in item.iterdescendants("table")):
                self._table(item)
            elif item in self._containers:
                stack.extend(reversed(self._parts(item)))
            else:
                text = _inline_text(item)
                self._add(f"- {text}" if item.tag == "li" and text else text, item)

    def _enter(self, level: int, heading: Any) -> None:
        text = _inline_text(heading)[:300]
        if text:
            self._headings = [*(entry for entry in self._headings if entry[0] < level), (level, text)]
            self._fragment = _anchor_in(heading) or self._fragment

    def _add(self, text: str, element: Any, *, atomic: bool = False) -> None:
        if not text.strip():
            return
        headings = tuple(title for _, title in self._headings)
        xpath = self._xpaths.of(element)
        locator = {
            "type": "element",
            "xpath": xpath,
            "xpath_end": xpath,
            "headings": list(headings),
            "fragment": self._fragment,
        }
        self.blocks.append(Block(text, locator, headings, atomic))

    def _table(self, table: Any) -> None:
        header: list[str] = []
        for row in table.iter("tr", "caption"):
            if row.tag == "caption":
                self._add(_inline_text(row), row)
                continue
            cells = [cell for cell in row if cell.tag in ("td", "th")]
            texts: list[str] = []
            for cell in cells:
                texts += [_inline_text(cell), *[""] * (_span(cell) - 1)]
            if not header and cells and (row.getparent().tag == "thead" or all(cell.tag == "th" for cell in cells)):
                header = texts
            else:
                self._add(row_text(header, texts), row, atomic=True)

    def _parts(self, element: Any) -> list[Any]:
        """The blocks directly inside, and a stand-in for each run of text between them."""
        parts: list[Any] = []
        run = [element.text or ""]
        anchor: str | None = None
        for child in element:
            if _is_dropped(child):
                pass
            elif child.tag in _BLOCK_TAGS or child in self._containers:
                _end_run(run, parts, element, anchor)
                anchor = None
                parts.append(child)
            else:
                run.append(_inline_text(child, strip=False))
                anchor = _anchor_in(child) or anchor
            run.append(child.tail or "")
        _end_run(run, parts, element, anchor)
        return parts


@dataclass(frozen=True, slots=True)
class _LooseText:
    text: str
    parent: Any
    anchor: str | None


def _end_run(run: list[str], parts: list[Any], element: Any, anchor: str | None) -> None:
    text = " ".join("".join(run).split())
    run.clear()
    if text or anchor:
        parts.append(_LooseText(text, element, anchor))


def _containers(root: Any) -> set[Any]:
    found: set[Any] = set()
    for element in root.iter(*_BLOCK_TAGS):
        for ancestor in element.iterancestors():
            if ancestor in found:
                break
            found.add(ancestor)
    return found


def _is_dropped(element: Any) -> bool:
    return (
        not isinstance(element.tag, str)
        or element.tag in _DROPPED
        or element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or element.get("role") in _DROPPED_ROLES
    )


def _inline_text(element: Any, *, strip: bool = True) -> str:
    """The text inside; a `br` is a line end, every other run of white space one blank."""
    parts: list[str] = []
    stack: list[Any] = [element]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(_SPACES.sub(" ", item))
        elif item.tag == "br":
            parts.append("\n")
        elif not _is_dropped(item):
            inner: list[Any] = [item.text or ""]
            for child in item:
                inner += [child, child.tail or ""]
            if item.tag in _BLOCK_TAGS and item is not element:
                inner = [" ", *inner, " "]
            stack.extend(reversed(inner))
    text = "".join(parts)
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.split("\n")))) if strip else text


def _span(cell: Any) -> int:
    value = cell.get("colspan", "1")
    return min(int(value), 64) if value.isascii() and value.isdigit() and value != "0" else 1


def _anchor_in(element: Any) -> str | None:
    """The element's id, or the first id or anchor name inside it."""
    found = element.xpath("(descendant-or-self::*/@id | descendant-or-self::a/@name)[1]")
    return str(found[0]) if found and found[0] else None
