"""XML: a block a record, each value under the path of its tags; namespaces are left out of the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import defusedxml
import defusedxml.ElementTree
from lxml import etree

from documents.ingestion.base import Block, DamagedDocumentError, DangerousDocumentError, Extraction, TooLargeError
from documents.ingestion.formats.xpaths import XPaths
from documents.ingestion.limits import MAX_CHARACTERS

# A record with more words than this is told in parts.
MAX_RECORD_WORDS = 150
_RUN_WORDS = 40  # loose values beside each other share a block until here


def extract(path: Path) -> Extraction:
    if path.stat().st_size > 4 * MAX_CHARACTERS:
        raise TooLargeError(f"The file holds more than {4 * MAX_CHARACTERS // 10**6} MB of XML. Split it into parts.")
    _guard(path)
    # What passed the guard declares no entity; the parser is told to resolve none all the same.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True, huge_tree=True
    )
    try:
        root = etree.parse(str(path), parser).getroot()
    except etree.XMLSyntaxError as error:
        if "depth" in error.msg:
            raise TooLargeError("This XML is nested too deeply to be read. Flatten it and upload it again.") from error
        raise DamagedDocumentError(f"This is not well-formed XML: {error.msg}.") from error
    title = root.findtext("{*}title") or ""
    return Extraction(tuple(_blocks(root)), title=title.strip())


def _guard(path: Path) -> None:
    """Read the file once with a parser that stops at the first declared entity and fetches nothing."""
    parser = defusedxml.ElementTree.DefusedXMLParser(target=_Nothing())
    try:
        with path.open("rb") as file:
            while data := file.read(1 << 20):
                parser.feed(data)
            parser.close()
    except defusedxml.DefusedXmlException as error:
        raise DangerousDocumentError(
            "This XML file declares entities or refers to other files, which can be used for attacks. "
            "Export it without them and upload it again."
        ) from error
    except ParseError as error:
        line, column = error.position
        cause = str(error).split(":")[0]
        raise DamagedDocumentError(
            f"This is not well-formed XML: {cause} in line {line}, column {column + 1}."
        ) from error
    except (ValueError, LookupError) as error:
        raise DamagedDocumentError(f"This is not readable XML: {error}.") from error


class _Nothing:
    """A target that builds no tree."""

    def close(self) -> None: ...


def _blocks(root: Any) -> Iterator[Block]:
    """Records in the order of the file. Walks with a stack of its own: depth is the file's business.

    The stack holds elements, and lists of simple elements that stand beside each other.
    """
    xpaths = XPaths()
    stack: list[Any] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            yield from _runs(item, xpaths)
        elif _is_mixed(item):
            yield _block([" ".join("".join(item.itertext()).split())], item, item, xpaths, atomic=False)
        elif _is_list(item, is_root=item is root) or (lines := _flatten(item)) is None:
            attributes = _attributes(item, "")
            if attributes:
                yield _block(attributes, item, item, xpaths)
            stack.extend(reversed(_parts(item)))
        elif lines:
            yield _block(lines, item, item, xpaths)


def _is_mixed(element: Any) -> bool:
    """Running text, perhaps with marked words in it."""
    if not len(element):
        return len((element.text or "").split()) > MAX_RECORD_WORDS
    return any(text and not text.isspace() for text in (element.text, *(child.tail for child in element)))


def _is_list(element: Any, *, is_root: bool) -> bool:
    """Whether the element holds records rather than being one."""
    records = Counter(child.tag for child in element if len(child) or child.attrib)
    return bool(records) and (is_root or max(records.values()) > 1)


def _parts(element: Any) -> list[Any]:
    parts: list[Any] = []
    for child in element:
        if len(child) or child.attrib or _is_mixed(child):
            parts.append(child)
        elif parts and isinstance(parts[-1], list):
            parts[-1].append(child)
        else:
            parts.append([child])
    return parts


def _flatten(element: Any) -> list[str] | None:
    """`path: value` lines of everything inside, or None when that is too much for one record."""
    lines: list[str] = []
    budget = MAX_RECORD_WORDS
    stack: list[tuple[Any, str]] = [(element, "")]
    while stack:
        current, path = stack.pop()
        found = _attributes(current, path)
        is_prose = len(current) and _is_mixed(current)
        text = " ".join(("".join(current.itertext()) if is_prose else current.text or "").split())
        if text:
            found.insert(0, f"{path or _name(current)}: {text}")
        lines += found
        budget -= sum(line.count(" ") + 1 for line in found)
        if budget < 0 and current is not element:
            return None
        if not is_prose:
            stack.extend((child, f"{path}.{_name(child)}" if path else _name(child)) for child in reversed(current))
    return lines


def _attributes(element: Any, path: str) -> list[str]:
    prefix = f"{path}." if path else ""
    return [
        f"{prefix}{etree.QName(name).localname}: {value.strip()}"
        for name, value in element.attrib.items()
        if value.strip()
    ]


def _runs(elements: list[Any], xpaths: XPaths) -> Iterator[Block]:
    """Simple values beside each other, a few to a block."""
    lines: list[str] = []
    words, first = 0, elements[0]
    for element in elements:
        text = " ".join((element.text or "").split())
        if not text:
            continue
        if not lines:
            first = element
        lines.append(f"{_name(element)}: {text}")
        words += text.count(" ") + 2
        if words > _RUN_WORDS:
            yield _block(lines, first, element, xpaths)
            lines, words = [], 0
    if lines:
        yield _block(lines, first, elements[-1], xpaths)


def _block(lines: list[str], first: Any, last: Any, xpaths: XPaths, *, atomic: bool = True) -> Block:
    locator = {"type": "xpath", "xpath": xpaths.of(first), "xpath_end": xpaths.of(last)}
    return Block("\n".join(lines), locator, atomic=atomic)


def _name(element: Any) -> str:
    return str(etree.QName(element).localname)
