"""CSV and TSV: a block a row, each value under the name of its column."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from documents.ingestion.base import Block, DamagedDocumentError, Extraction
from documents.ingestion.formats.text import read_text
from documents.ingestion.limits import MAX_CHARACTERS

_DELIMITERS = ",;\t|"
_SAMPLE_LINES = 50
# A value that a name of a column never is: a number, an amount, a date, an address.
_VALUE = re.compile(r"^[^\w\s]{0,2}[\d.,:/\- ]*\d[\d.,:/\- %€$£]*$|@|^https?://")


def extract(path: Path) -> Extraction:
    text = read_text(path)
    return _extract(text, _delimiter(text), "CSV")


def extract_tabs(path: Path) -> Extraction:
    return _extract(read_text(path), "\t", "TSV")


def _extract(text: str, delimiter: str, what: str) -> Extraction:
    csv.field_size_limit(MAX_CHARACTERS)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise DamagedDocumentError(f"This {what} file cannot be read: {error}.") from error
    if not rows:
        return Extraction(())
    has_header = is_header(rows[0], rows[1:50])
    header = column_names(rows[0] if has_header else [], max(map(len, rows[:1000])))
    names = header if has_header else []
    blocks = []
    for number, row in enumerate(rows[1:] if has_header else rows, 1):
        line = row_text(header, row)
        if line:
            locator = {"type": "rows", "start": number, "end": number, "header": names}
            blocks.append(Block(line, locator, atomic=True))
    if has_header and not blocks:
        blocks = [Block("; ".join(filter(None, header)), {"type": "rows", "start": 0, "end": 0, "header": names})]
    return Extraction(tuple(blocks))


def row_text(header: Sequence[str], row: Sequence[str]) -> str:
    """`name: value; name: value`; a value beyond the last column has no name, an empty one is left out."""
    parts = []
    for index, raw in enumerate(row):
        value = raw.strip()
        name = header[index] if index < len(header) else ""
        if value:
            parts.append(f"{name}: {value}" if name and name != value else value)
    return "; ".join(parts)


def named_rows(rows: Sequence[Sequence[str]]) -> Iterator[tuple[int, str]]:
    """(number from 1, text) of a small table's rows, under the names in the first if it has one for every column."""
    has_header = len(rows) > 1 and len(rows[0]) > 1 and all(rows[0]) and len(set(rows[0])) == len(rows[0])
    for number, row in enumerate(rows, 1):
        if has_header and number == 1:
            continue
        text = row_text(rows[0] if has_header else [], row)
        if text:
            yield number, text


def _delimiter(text: str) -> str:
    """The character that splits the first lines most evenly into the most columns."""
    sample = text[: 64 * 1024].split("\n")[:_SAMPLE_LINES]
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if any(row)]
        if not widths:
            continue
        width, count = Counter(widths).most_common(1)[0]
        score = (width - 1) ** 0.5 * count / len(widths)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def is_header(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Names are there, short, different from each other, and look like no value."""
    names = [name.strip() for name in first]
    filled = [name for name in names if name]
    if len(filled) < max(1, len(names) - 1) or len(set(filled)) < len(filled):
        return False
    if any(len(name) > 64 or "\n" in name or is_value(name) for name in filled):
        return False
    # A list of one column begins with a title only if it is not again in the list.
    return not any([value.strip() for value in row] == names for row in others)


def is_value(text: str) -> bool:
    """Whether this is a number, an amount, a date or an address."""
    return _VALUE.search(text) is not None


def column_names(header: Sequence[str], width: int) -> list[str]:
    return [
        " ".join(header[index].split()) if index < len(header) and header[index].strip() else f"column {index + 1}"
        for index in range(width)
    ]
