"""JSON and JSON Lines: a block a record, each value under the path of its names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from documents.ingestion.base import Block, DamagedDocumentError, Extraction, TooLargeError
from documents.ingestion.formats.text import read_text

# A record with more words than this is told in parts.
MAX_RECORD_WORDS = 150
_RUN_WORDS = 40  # loose values beside each other share a block until here


def extract(path: Path) -> Extraction:
    root = _parse(read_text(path).lstrip("\ufeff"))
    return Extraction(tuple(_blocks(root)), title=_title(root))


def extract_lines(path: Path) -> Extraction:
    """JSON Lines: each line is a record, and the step of its pointer is its number from 0, blank lines counted."""
    text = read_text(path).lstrip("\ufeff")
    records = _parse_lines(text)
    root = _parse(text) if records is None else records
    return Extraction(tuple(_blocks(root)), title=_title(root))


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise TooLargeError("This JSON is nested too deeply to be read. Flatten it and upload it again.") from error
    except json.JSONDecodeError as error:
        records = _parse_lines(text)
        if records is not None:
            return records
        raise DamagedDocumentError(
            f"This is not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}."
        ) from error


def _parse_lines(text: str) -> list[Any] | None:
    """The values of JSON Lines, or None when the text is not that. Blank lines are kept as None: they have a number."""
    lines = text.split("\n")
    if not lines[0].lstrip().startswith(("{", "[")):
        return None
    records: list[Any] = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line) if line.strip() else None)
        except RecursionError as error:
            raise TooLargeError(f"Line {number} of this file is nested too deeply to be read.") from error
        except json.JSONDecodeError as error:
            if number <= 1 or not line.lstrip().startswith(("{", "[")):
                return None  # one value over many lines
            raise DamagedDocumentError(
                f"Line {number} is not valid JSON: {error.msg}, column {error.colno}."
            ) from error
    return records


def _blocks(root: Any) -> Iterator[Block]:
    """Records in the order of the file. Walks with a stack of its own: depth is the file's business."""
    stack: list[tuple[Any, str, tuple[str, ...]]] = [(root, "", ())]
    while stack:
        value, pointer, names = stack.pop()
        if not isinstance(value, dict | list):
            yield from _run([(str(names[-1]) if names else "", pointer, value)], names)
            continue
        if names or not _has_containers(value):
            lines = _flatten(value, MAX_RECORD_WORDS)
            if lines is not None and not _is_list_of_records(value):
                yield from _block(lines, pointer, pointer, names)
                continue
        loose: list[tuple[str, str, Any]] = []
        inner: list[tuple[Any, str, tuple[str, ...]]] = []
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            child_pointer = f"{pointer}/{escape(str(key))}"
            if isinstance(child, dict | list):
                inner.append((child, child_pointer, _child_names(names, key, value)))
            else:
                loose.append((str(key) if isinstance(value, dict) else "", child_pointer, child))
        yield from _run(loose, names)
        stack.extend(reversed(inner))


def _child_names(names: tuple[str, ...], key: object, parent: Any) -> tuple[str, ...]:
    # An index is no name, but a record of a list at the top must not look like the top itself.
    return (*names, str(key)) if isinstance(parent, dict) else names or ("",)


def _has_containers(value: Any) -> bool:
    children = value.values() if isinstance(value, dict) else value
    return any(isinstance(child, dict | list) for child in children)


def _is_list_of_records(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(child, dict | list) for child in value)


def _flatten(value: Any, budget: int) -> list[str] | None:
    """`path: value` lines of everything inside, or None when that is more than `budget` words."""
    lines: list[str] = []
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        path, current = stack.pop()
        if isinstance(current, dict):
            stack.extend(reversed([(f"{path}.{key}" if path else str(key), child) for key, child in current.items()]))
        elif isinstance(current, list):
            stack.extend(reversed([(path, child) for child in current]))
        elif (line := _line(path, current)) is not None:
            lines.append(line)
            budget -= line.count(" ") + 1
        if budget < 0 or len(stack) > 100_000:
            return None
    return lines


def _line(path: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    return f"{path}: {text}" if path else text


def _run(values: list[tuple[str, str, Any]], names: tuple[str, ...]) -> Iterator[Block]:
    """Loose values of one object or list, a few to a block."""
    lines: list[str] = []
    words, first, last = 0, "", ""
    for name, pointer, value in values:
        line = _line(name, value)
        if line is None:
            continue
        if lines and words > _RUN_WORDS:
            yield from _block(lines, first, last, names)
            lines, words = [], 0
        first = first if lines else pointer
        last = pointer
        lines.append(line)
        words += line.count(" ") + 1
    yield from _block(lines, first, last, names)


def _block(lines: list[str], pointer: str, pointer_end: str, names: tuple[str, ...]) -> Iterator[Block]:
    if lines:
        locator = {"type": "pointer", "pointer": pointer, "pointer_end": pointer_end}
        yield Block("\n".join(lines), locator, tuple(name for name in names if name), atomic=True)


def _title(root: Any) -> str:
    title = root.get("title") if isinstance(root, dict) else None
    return title if isinstance(title, str) else ""


def escape(key: str) -> str:
    """A key as one step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
