"""Excel workbooks: a block a row, each value under the name of its column, sheet by sheet."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import defusedxml
import openpyxl
from lxml import etree
from openpyxl.worksheet._reader import FORMULA_TAG, WorkSheetParser

from documents.ingestion.base import Block, DamagedDocumentError, DangerousDocumentError, Extraction, TooLargeError
from documents.ingestion.formats.archives import DAMAGE, guard
from documents.ingestion.formats.csv_format import is_header, row_text
from documents.ingestion.limits import MAX_CHARACTERS

MAX_CELLS = 2_000_000  # with a value, in all sheets
MAX_COLUMNS = 1000  # with a value, in one row
_MAX_HEADER_ROWS = 4
_MAX_MERGED_CELLS = 100_000  # that one merged range fills


@dataclass(slots=True)
class _Sheet:
    """`rows` holds the filled cells by row and column, both counted from 1 as the program shows them."""

    name: str
    rows: dict[int, dict[int, str]]
    merges: list[tuple[int, int, int, int]]  # first and last row, first and last column


def extract(path: Path) -> Extraction:
    guard(path, "Excel workbook")
    blocks: list[Block] = []
    hidden: list[str] = []
    reader = _Reader()
    # A file and not its path: openpyxl would judge it by the name.
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # styles and extensions that openpyxl does not keep
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            title = book.properties.title or ""
            for sheet in book.worksheets:
                if sheet.sheet_state == "visible":
                    blocks += _blocks(reader.read(sheet))
                else:
                    hidden.append(str(sheet.title))
        except defusedxml.DefusedXmlException as error:
            raise DangerousDocumentError(
                "This Excel workbook declares entities in its XML, which can be used for attacks. Save it again."
            ) from error
        except (*DAMAGE, ParseError, etree.XMLSyntaxError) as error:
            raise DamagedDocumentError(
                "This Excel workbook is damaged and cannot be opened. Save it again in Excel and retry."
            ) from error
    return Extraction(tuple(blocks), title=str(title), warnings=tuple(_warnings(hidden, reader.without_value)))


def _warnings(hidden: list[str], without_value: int) -> Iterator[str]:
    if hidden:
        names = ", ".join(f"“{name}”" for name in hidden[:10]) + (" …" if len(hidden) > 10 else "")
        yield f"Left out because hidden: {names}. Show the sheet in Excel and upload the file again to have it read."
    if without_value:
        yield (
            f"Formulas without a stored value: {without_value}. "
            "Open the workbook in Excel, save it and upload it again to have their results read."
        )


class _Reader:
    """Counts over all sheets of one workbook."""

    def __init__(self) -> None:
        self.cells = self.characters = self.without_value = 0

    def read(self, sheet: Any) -> _Sheet:
        rows: dict[int, dict[int, str]] = {}
        book = sheet.parent
        # openpyxl's own rows are as wide as a sheet says that it is, which may be 16,384 columns of nothing.
        with sheet._get_source() as source:
            parser = _Parser(
                source,
                sheet._shared_strings,
                data_only=True,
                epoch=book.epoch,
                date_formats=book._date_formats,
                timedelta_formats=book._timedelta_formats,
            )
            for number, cells in parser.parse():
                row = {cell["column"]: text for cell in cells if (text := _text(cell["value"]))}
                if row:
                    self._count(row)
                    rows[number] = row
        self.without_value += parser.without_value
        merges = [area.bounds for area in parser.merged_cells.mergeCell] if parser.merged_cells else []
        return _Sheet(str(sheet.title), rows, [(top, bottom, left, right) for left, top, right, bottom in merges])

    def _count(self, row: dict[int, str]) -> None:
        self.cells += len(row)
        self.characters += sum(map(len, row.values()))
        if self.cells > MAX_CELLS or len(row) > MAX_COLUMNS:
            raise TooLargeError(
                f"This workbook has more than {MAX_CELLS:,} filled cells, or {MAX_COLUMNS:,} in a row. "
                "Split it into parts."
            )
        if self.characters > MAX_CHARACTERS:
            raise TooLargeError(f"This workbook holds more than {MAX_CHARACTERS:,} characters. Split it into parts.")


class _Parser(WorkSheetParser):  # type: ignore[misc]  # openpyxl has no types
    without_value = 0

    def parse_cell(self, element: Any) -> dict[str, Any]:
        cell: dict[str, Any] = super().parse_cell(element)
        if cell["value"] is None and element.find(FORMULA_TAG) is not None:
            self.without_value += 1
        return cell


def _text(value: Any) -> str:
    """As a reader expects it: whole numbers without a point, dates without a time that nobody gave them."""
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return f"{value:.15g}"
        case datetime.datetime():
            return f"{value:%Y-%m-%d}" if value.time() == datetime.time() else f"{value:%Y-%m-%d %H:%M}"
        case datetime.time():
            return f"{value:%H:%M}"
        case _:
            return " ".join(str(value).split())


def _blocks(sheet: _Sheet) -> Iterator[Block]:
    numbers = sorted(sheet.rows)
    lonely = _lonely_rows(sheet, numbers)
    for number in numbers[:lonely]:
        (text,) = sheet.rows[number].values()
        yield Block(text, _locator(sheet, number, []), (sheet.name,))
    _fill(sheet)
    numbers = numbers[lonely:]
    if not numbers:
        return
    head = _header_rows(sheet, numbers)
    names = _names(sheet, numbers[:head])
    header = [names[column] for column in sorted(names)]
    for number in numbers[head:]:
        row = sheet.rows[number]
        columns = sorted(row)  # only those that are there: a row may be 16,384 columns wide
        text = row_text([names.get(column, "") for column in columns], [row[column] for column in columns])
        yield Block(text, _locator(sheet, number, header), (sheet.name,), atomic=True)
    if head == len(numbers):
        yield Block("; ".join(header), _locator(sheet, numbers[0], header), (sheet.name,))


def _lonely_rows(sheet: _Sheet, numbers: Sequence[int]) -> int:
    """How many rows above the table hold one text each: a title, a date, a remark."""
    if max((len(row) for row in sheet.rows.values()), default=0) < 2:
        return 0
    return next(index for index, number in enumerate(numbers) if len(sheet.rows[number]) > 1)


def _fill(sheet: _Sheet) -> None:
    """Give every cell of a merged range the range's value, in rows that exist."""
    for top, bottom, left, right in sheet.merges:
        value = sheet.rows.get(top, {}).get(left)
        if not value or len(sheet.rows[top]) == 1 or (bottom - top + 1) * (right - left + 1) > _MAX_MERGED_CELLS:
            continue
        for number in range(top, bottom + 1):
            if number in sheet.rows:
                sheet.rows[number].update(dict.fromkeys(range(left, right + 1), value))


def _header_rows(sheet: _Sheet, numbers: Sequence[int]) -> int:
    """How many rows from the first on are the table's header: more than one where its cells are merged."""
    count = 1
    while count <= _MAX_HEADER_ROWS:
        last = numbers[count - 1]
        below = max((bottom for top, bottom, _, _ in sheet.merges if top <= last), default=0)
        spans = any(top == last and right > left for top, _, left, right in sheet.merges)
        if not (spans or below > last) or count == len(numbers):
            break
        count += 1
    names = _names(sheet, numbers[:count])
    others = [sheet.rows[number] for number in numbers[count : count + 50]]
    columns = sorted({*names, *(column for row in others for column in row)})
    is_named = is_header(
        [names.get(column, "") for column in columns], [[row.get(column, "") for column in columns] for row in others]
    )
    return count if is_named else 0


def _names(sheet: _Sheet, numbers: Sequence[int]) -> dict[int, str]:
    """The names of the columns; of several rows one below the other: `2026 Q1`."""
    parts: dict[int, dict[str, None]] = {}
    for number in numbers:
        for column, text in sheet.rows[number].items():
            parts.setdefault(column, {})[text] = None
    return {column: " ".join(texts) for column, texts in parts.items()}


def _locator(sheet: _Sheet, number: int, names: list[str]) -> dict[str, Any]:
    return {"type": "sheet", "sheet": sheet.name, "start": number, "end": number, "header": names}
