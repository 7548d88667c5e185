"""Columns of prose that a PDF draws row by row, across all of them, in the order in which they are read.

Most programs write one column after the other, and nothing is to be done. Others write the first line of each column,
then the second of each: the text runs from one column into the next on every line.
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from documents.ingestion.formats.pdf_tables import CELL_GAP, MAX_VALUE_WORDS, Word, box_of

MIN_ROWS = 4  # with text in both columns
MAX_PIECES = 2000
GUTTER = 0.5  # of the height of a line, at least, that no line reaches into
MAX_DROP = 3.0  # heights of a line between two rows of the same columns


class Line(NamedTuple):
    text: str
    left: float
    bottom: float
    right: float
    top: float
    is_hyphenated: bool


class _Piece(NamedTuple):
    """What stands of a line between wide gaps. `source` is the line's index."""

    line: Line
    words: int
    source: int


def has_wide_gap(words: Sequence[Word]) -> bool:
    return any(_is_wide(before, word) for before, word in itertools.pairwise(words) if before.line == word.line)


def in_reading_order(lines: Sequence[Line], words: Sequence[Word]) -> list[Line]:
    """The lines, cut where columns were drawn row by row: each column whole, and then the next one.

    `words` are those of all lines. What stands beside each other without being prose, as in a list with prices, stays.
    """
    pieces = list(_pieces(lines, words))
    if len(pieces) > MAX_PIECES or len(pieces) < 2 * MIN_ROWS:
        return list(lines)
    counts = Counter(piece.source for piece in pieces)
    ordered: list[Line] = []
    for source, found in itertools.groupby(_ordered(pieces), key=lambda piece: piece.source):
        of_line = list(found)
        whole = len(of_line) == counts[source]  # its pieces are still side by side: it was cut for nothing
        ordered += [lines[source]] if whole else [piece.line for piece in of_line]
    return ordered


def _is_wide(before: Word, word: Word) -> bool:
    return word.left - before.right > CELL_GAP * (word.top - word.bottom)


def _pieces(lines: Sequence[Line], words: Sequence[Word]) -> Iterator[_Piece]:
    for number, found in itertools.groupby(words, key=lambda word: word.line):
        runs: list[list[Word]] = []
        for word in found:
            if runs and not _is_wide(runs[-1][-1], word):
                runs[-1].append(word)
            else:
                runs.append([word])
        line = lines[number]
        if len(runs) == 1:
            yield _Piece(line, len(runs[0]), number)
            continue
        for run in runs:
            text, is_hyphenated = " ".join(word.text for word in run), run is runs[-1] and line.is_hyphenated
            if run is not runs[-1] and len(text) > 1 and text[-1] in "-\u2010" and text[-2].isalpha():
                text, is_hyphenated = text[:-1], True
            yield _Piece(Line(text, *box_of(run), is_hyphenated), len(run), number)


def _ordered(pieces: Sequence[_Piece]) -> Iterator[_Piece]:
    at = 0
    while at < len(pieces):
        left, right = _columns_at(pieces, at)
        if right:
            yield from left
            yield from _ordered(right)  # of three columns two are there
            at += len(left) + len(right)
        else:
            yield pieces[at]
            at += 1


def _columns_at(pieces: Sequence[_Piece], start: int) -> tuple[list[_Piece], list[_Piece]]:
    """The pieces on the two sides of a gutter that begins here; nothing when none does."""
    if start + 1 == len(pieces) or not _are_beside(pieces[start].line, pieces[start + 1].line):
        return [], []
    left, right = [pieces[start]], [pieces[start + 1]]
    low, high = left[0].line.right, right[0].line.left
    rows = 1
    before = right[0].line
    for piece in pieces[start + 2 :]:
        line = piece.line
        height = line.top - line.bottom
        if line.bottom > before.top or before.bottom - line.top > MAX_DROP * height:
            break
        if line.left < low and line.right < high - GUTTER * height:
            low = max(low, line.right)
            left.append(piece)
        elif line.right > high and line.left > low + GUTTER * height:
            high = min(high, line.left)
            right.append(piece)
            rows += _are_beside(before, line) and before is left[-1].line
        else:
            break
        before = line
    is_prose = min(statistics.fmean(piece.words for piece in side) for side in (left, right)) > MAX_VALUE_WORDS
    return (left, right) if rows >= MIN_ROWS and is_prose else ([], [])


def _are_beside(before: Line, line: Line) -> bool:
    shared = min(before.top, line.top) - max(before.bottom, line.bottom)
    return line.left > before.right and shared > 0.5 * min(before.top - before.bottom, line.top - line.bottom)
