"""Tables on the pages of a PDF: what stands in which cell. PDF knows no tables, only rules and words at places.

A table is told by its rules, or, where it has none, by words that stand in columns under a row of names. Looking for
one costs as much as reading the page again: `may_hold_table` decides first, by boxes that are known anyway.
"""

from __future__ import annotations

import bisect
import ctypes
import itertools
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

from documents.ingestion.formats.csv_format import is_header, is_value

Box = tuple[float, float, float, float]

# Letters are hardly wider than half the height of their line: a line that is wider has gaps.
GAPPY = 0.6
# A blank between two words is about a quarter of the height of the line, in justified text up to a half.
CELL_GAP = 0.9
TOLERANCE = 2.5  # points between rules that are one, and from a rule to what it meets
MAX_OBJECTS, MAX_RULES, MAX_GRID = 20_000, 20_000, 40_000
MANY_CURVES = 120  # a round letter has about eight
MAX_CELL_WORDS = 40  # on average: boxes with more are a layout, not a table
MAX_VALUE_WORDS = 4  # on average, in all columns but one of a table without rules: else they are columns of prose


class Word(NamedTuple):
    text: str
    left: float
    bottom: float
    right: float
    top: float
    line: int  # index of the line that it is part of


class Row(NamedTuple):
    cells: list[str]
    box: Box


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` are the places of the columns, by which a table is known again on the next page."""

    columns: tuple[float, ...]
    rows: list[Row]
    words: frozenset[int]  # indexes of the words that it took
    is_ruled: bool


class _Rule(NamedTuple):
    """A horizontal line `at` a height, or a vertical one `at` a place, from `start` to `end`."""

    at: float
    start: float
    end: float


def may_hold_table(lines: Sequence[Any]) -> bool:
    """Whether two lines have wide gaps, or stand beside the line before them. Columns of prose do so once a page."""
    signs = 0
    before_right = before_bottom = float("inf")
    for text, left, bottom, right, top, _ in lines:
        if right - left > GAPPY * (top - bottom) * len(text) or (left > before_right and top > before_bottom):
            signs += 1
            if signs > 2:
                return True
        before_right, before_bottom = right, bottom
    return False


def find_tables(page: pypdfium2.PdfPage, words: Sequence[Word]) -> list[Table]:
    """The page's tables, those with rules first; no word is in two."""
    tables = list(_ruled(page, words))
    taken = {index for table in tables for index in table.words}
    return [*tables, *_unruled(words, taken)]


# --- tables with rules


def _ruled(page: pypdfium2.PdfPage, words: Sequence[Word]) -> Iterator[Table]:
    flat: list[_Rule] = []
    upright: list[_Rule] = []
    for x0, y0, x1, y1 in itertools.islice(_segments(page), MAX_RULES):
        if abs(y0 - y1) <= 1 and abs(x0 - x1) > TOLERANCE:
            flat.append(_Rule((y0 + y1) / 2, min(x0, x1), max(x0, x1)))
        elif abs(x0 - x1) <= 1 and abs(y0 - y1) > TOLERANCE:
            upright.append(_Rule((x0 + x1) / 2, min(y0, y1), max(y0, y1)))
    flat, upright = _merged(flat), _merged(upright)
    if not flat or not upright or len(flat) * len(upright) > MAX_GRID:
        return
    taken: set[int] = set()
    for rows, columns in _grids(flat, upright):
        table = _filled(rows, columns, words, taken)
        if table is not None:
            taken |= table.words
            yield table


def _segments(page: pypdfium2.PdfPage) -> Iterator[Box]:
    """The straight strokes of every path that is drawn, those inside of forms too, in the page's points."""
    for kind, found, matrix in _objects(page):
        if kind == pdfium.FPDF_PAGEOBJ_PATH and _is_drawn(found):
            yield from _strokes(found, matrix)


def drawn_share(page: pypdfium2.PdfPage) -> float:
    """How much of the page its images cover, from 0 to 1; where they overlap, twice."""
    left, bottom, right, top = page.get_bbox()
    covered = 0.0
    for kind, _, matrix in _objects(page):
        if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            x0, y0, x1, y1 = matrix.on_rect(0, 0, 1, 1)
            covered += max(min(x1, right) - max(x0, left), 0) * max(min(y1, top) - max(y0, bottom), 0)
    share: float = min(covered / max((right - left) * (top - bottom), 1.0), 1.0)
    return share


def has_hidden_text(page: pypdfium2.PdfPage) -> bool:
    """Whether text lies unseen over a picture: somebody has recognised the page before."""
    return any(
        pdfium.FPDFTextObj_GetTextRenderMode(found) == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE
        for kind, found, _ in _objects(page)
        if kind == pdfium.FPDF_PAGEOBJ_TEXT
    )


def has_many_curves(page: pypdfium2.PdfPage) -> bool:
    """Whether as many curves are drawn as a line of letters has. Frames, rules and bar charts have none."""
    curves = 0
    for kind, found, _ in _objects(page):
        if kind == pdfium.FPDF_PAGEOBJ_PATH and _is_drawn(found):
            for index in range(min(pdfium.FPDFPath_CountSegments(found), MAX_RULES)):
                segment = pdfium.FPDFPath_GetPathSegment(found, index)
                curves += pdfium.FPDFPathSegment_GetType(segment) == pdfium.FPDF_SEGMENT_BEZIERTO
            if curves >= MANY_CURVES:
                return True
    return False


def _objects(page: pypdfium2.PdfPage) -> Iterator[tuple[int, Any, pypdfium2.PdfMatrix]]:
    """The kind of everything drawn, those inside of forms too, and the matrix by which it is placed on the page."""
    budget = itertools.count()
    stack: list[tuple[Any, int, Any, pypdfium2.PdfMatrix, int]] = [
        (pdfium.FPDFPage_GetObject, pdfium.FPDFPage_CountObjects(page), page, pypdfium2.PdfMatrix(), 0)
    ]
    while stack:
        get, count, holder, matrix, depth = stack.pop()
        for index in range(count):
            if next(budget) > MAX_OBJECTS:
                return
            found = get(holder, index)
            kind, inner = pdfium.FPDFPageObj_GetType(found), _matrix_of(found).multiply(matrix)
            yield kind, found, inner
            if kind == pdfium.FPDF_PAGEOBJ_FORM and depth < 3:
                count_inside = pdfium.FPDFFormObj_CountObjects(found)
                stack.append((pdfium.FPDFFormObj_GetObject, count_inside, found, inner, depth + 1))


def _is_drawn(path: Any) -> bool:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(path, fill, stroke)
    return bool(fill.value or stroke.value)


def _matrix_of(found: Any) -> pypdfium2.PdfMatrix:
    raw = pdfium.FS_MATRIX()
    return pypdfium2.PdfMatrix.from_raw(raw) if pdfium.FPDFPageObj_GetMatrix(found, raw) else pypdfium2.PdfMatrix()


def _strokes(path: Any, matrix: pypdfium2.PdfMatrix) -> Iterator[Box]:
    x, y = ctypes.c_float(), ctypes.c_float()
    start = before = (0.0, 0.0)
    for index in range(min(pdfium.FPDFPath_CountSegments(path), MAX_RULES)):
        segment = pdfium.FPDFPath_GetPathSegment(path, index)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        point = matrix.on_point(x.value, y.value)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            start = point
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            yield (*before, *point)
        before = point
        if pdfium.FPDFPathSegment_GetClose(segment):
            yield (*before, *start)
            before = start


def _merged(rules: list[_Rule]) -> list[_Rule]:
    """Rules that lie on one line and touch are one."""
    at_places: list[list[_Rule]] = []
    for rule in sorted(rules):
        if at_places and rule.at - at_places[-1][0].at <= TOLERANCE:
            at_places[-1].append(rule)
        else:
            at_places.append([rule])
    merged = []
    for group in at_places:
        at = statistics.fmean(rule.at for rule in group)
        start = end = None
        for rule in sorted(group, key=lambda rule: rule.start):
            if start is None or end is None:
                start, end = rule.start, rule.end
            elif rule.start <= end + TOLERANCE:
                end = max(end, rule.end)
            else:
                merged.append(_Rule(at, start, end))
                start, end = rule.start, rule.end
        if start is not None and end is not None:
            merged.append(_Rule(at, start, end))
    return merged


def _grids(flat: list[_Rule], upright: list[_Rule]) -> Iterator[tuple[list[float], list[float]]]:
    """Heights (from the top down) and places of the rules that hang together, where they make two by two cells."""
    # Union-find over the rules that meet.
    parent = list(range(len(flat) + len(upright)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for index, rule in enumerate(flat):
        for other_index, other in enumerate(upright, len(flat)):
            if (
                rule.start - TOLERANCE <= other.at <= rule.end + TOLERANCE
                and other.start - TOLERANCE <= rule.at <= other.end + TOLERANCE
            ):
                parent[root(index)] = root(other_index)
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(parent)):
        groups[root(index)].append(index)
    for group in groups.values():
        across = [flat[index] for index in group if index < len(flat)]
        down = [upright[index - len(flat)] for index in group if index >= len(flat)]
        if not across or not down:
            continue
        # A table may be open at its sides: its outer edge is then where its rules end.
        rows = _places([*(rule.at for rule in across), *(edge for rule in down for edge in rule[1:])])
        columns = _places([*(rule.at for rule in down), *(edge for rule in across for edge in rule[1:])])
        if len(rows) > 2 and len(columns) > 2:
            yield rows[::-1], columns


def _places(values: list[float]) -> list[float]:
    places: list[float] = []
    for value in sorted(values):
        if not places or value - places[-1] > TOLERANCE:
            places.append(value)
    return places


def _filled(rows: list[float], columns: list[float], words: Sequence[Word], taken: set[int]) -> Table | None:
    """The words in the cells of this grid; None when it is none of a table."""
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    downward = [-height for height in rows]
    for index, word in enumerate(words):
        row = bisect.bisect(downward, -(word.bottom + word.top) / 2) - 1
        column = bisect.bisect(columns, (word.left + word.right) / 2) - 1
        if 0 <= row < len(rows) - 1 and 0 <= column < len(columns) - 1 and index not in taken:
            cells[row, column].append(index)
    used_rows = sorted({row for row, _ in cells})
    used_columns = sorted({column for _, column in cells})
    wide = [row for row, filled in Counter(row for row, _ in cells).items() if filled > 1]
    count = sum(map(len, cells.values()))
    if len(wide) < 2 or len(used_columns) < 2 or count > MAX_CELL_WORDS * len(cells):
        return None
    return Table(
        tuple(columns[column] for column in used_columns),
        [
            Row(
                [" ".join(words[index].text for index in cells.get((row, column), ())) for column in used_columns],
                box_of([words[index] for column in used_columns for index in cells.get((row, column), ())]),
            )
            for row in used_rows
        ],
        frozenset(index for inside in cells.values() for index in inside),
        is_ruled=True,
    )


def box_of(words: Sequence[Word]) -> Box:
    return (
        min(word.left for word in words), min(word.bottom for word in words),
        max(word.right for word in words), max(word.top for word in words),
    )  # fmt: skip


# --- tables without rules


class _Cell(NamedTuple):
    """Words that stand close beside each other."""

    words: list[int]
    left: float
    right: float


class _Band(NamedTuple):
    """Cells at one height."""

    cells: list[_Cell]
    bottom: float
    top: float


def _unruled(words: Sequence[Word], taken: set[int]) -> Iterator[Table]:
    run: list[_Band] = []
    for band in _bands(words, taken):
        height = band.top - band.bottom
        is_near = bool(run) and -height < run[-1].bottom - band.top < 1.6 * height
        if not is_near or (len(band.cells) < 2 and not _is_continued(run[-1], band)):
            table = _table_of(run, words)
            if table is not None:
                yield table
            run = []
        if run or len(band.cells) > 1:
            run.append(band)
    table = _table_of(run, words)
    if table is not None:
        yield table


def _bands(words: Sequence[Word], taken: set[int]) -> Iterator[_Band]:
    """In the order of the file: columns of prose, which follow each other in it, never share a band."""
    band: list[_Cell] = []
    bottom = top = 0.0
    for index, word in enumerate(words):
        if index in taken:
            continue
        is_beside = bool(band) and min(top, word.top) - max(bottom, word.bottom) > 0.5 * (word.top - word.bottom)
        if is_beside and word.left >= band[-1].right - 1:
            if word.left - band[-1].right > CELL_GAP * (word.top - word.bottom):
                band.append(_Cell([index], word.left, word.right))
            else:
                band[-1].words.append(index)
                band[-1] = band[-1]._replace(right=word.right)
            bottom, top = min(bottom, word.bottom), max(top, word.top)
            continue
        if band:
            yield _Band(band, bottom, top)
        band, bottom, top = [_Cell([index], word.left, word.right)], word.bottom, word.top
    if band:
        yield _Band(band, bottom, top)


def _is_continued(before: _Band, band: _Band) -> bool:
    """A single cell that goes on under the second or a later one of the row above."""
    (cell,) = band.cells
    return cell.left > before.cells[0].right and before.bottom - band.top < 0.5 * (band.top - band.bottom)


def _table_of(run: list[_Band], words: Sequence[Word]) -> Table | None:
    """What these rows say, if they stand in columns, below names, with values in one column at least."""
    if sum(len(band.cells) > 1 for band in run) < 3:
        return None
    columns = _columns(run)
    if len(columns) < 2 or len(columns) != len(run[0].cells):
        return None
    rows: list[list[list[int]]] = []
    for band in run:
        placed: list[list[int]] = [[] for _ in columns]
        for cell in band.cells:
            placed[bisect.bisect(columns, cell.left + 0.01) - 1] += cell.words
        if len(band.cells) > 1:
            rows.append(placed)
        else:
            rows[-1] = [above + below for above, below in zip(rows[-1], placed, strict=True)]
    texts = [[" ".join(words[index].text for index in cell) for cell in row] for row in rows]
    names, body = texts[0], texts[1:]
    if not is_header(names, body) or any(sum(map(str.isalpha, name)) < 2 for name in names):
        return None
    if sum(all(row) for row in body) < 0.5 * len(body):
        return None
    lengths = [statistics.fmean(len(row[column]) for row in rows) for column in range(len(columns))]
    if sum(length > MAX_VALUE_WORDS for length in lengths) > 1:
        return None
    if not any(_has_values([row[column] for row in body]) for column in range(len(columns))):
        return None
    return Table(
        tuple(columns),
        [
            Row(cells, box_of([words[index] for cell in row for index in cell]))
            for cells, row in zip(texts, rows, strict=True)
        ],
        frozenset(index for row in rows for cell in row for index in cell),
        is_ruled=False,
    )


def _columns(run: list[_Band]) -> list[float]:
    """Where the columns begin: between two there is a strip in which no row has a word."""
    columns: list[float] = []
    right = float("-inf")
    for cell in sorted((cell for band in run for cell in band.cells), key=lambda cell: cell.left):
        if cell.left > right + TOLERANCE:
            columns.append(cell.left)
        right = max(right, cell.right)
    return columns


_DIGIT = re.compile(r"\d")


def _has_values(texts: Sequence[str]) -> bool:
    filled = [text for text in texts if text]
    return bool(filled) and sum(is_value(text) or bool(_DIGIT.match(text)) for text in filled) >= 0.6 * len(filled)
