"""PDF: the text layer as paragraphs with their boxes; pages that have none go through OCR."""

from __future__ import annotations

import bisect
import itertools
import re
import struct
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from documents.ingestion.base import (
    Block,
    DamagedDocumentError,
    EncryptedDocumentError,
    Extraction,
    OcrUnavailableError,
    TooLargeError,
)
from documents.ingestion.formats.csv_format import column_names, is_header, row_text
from documents.ingestion.formats.pdf_columns import MIN_ROWS, Line, has_wide_gap, in_reading_order
from documents.ingestion.formats.pdf_scans import page_image
from documents.ingestion.formats.pdf_tables import (
    Box,
    Table,
    Word,
    box_of,
    drawn_share,
    find_tables,
    has_hidden_text,
    has_many_curves,
    may_hold_table,
)
from documents.ingestion.limits import MAX_CHARACTERS
from documents.ingestion.ocr import (
    OcrLine,
    OcrOptions,
    OcrPage,
    doubtful_warnings,
    is_or_are,
    page_record,
    pages,
    recognise,
)

# A page with fewer letters and digits than the first, and with an image or drawn like letters, is a picture of a page.
# With fewer than the second it is one with a stamp, a header or a footer on it, if images cover most of it.
MIN_USEFUL_CHARACTERS, SPARSE_CHARACTERS, MOST_OF_PAGE = 16, 400, 0.6
# A paragraph ends where the next line is further away than this many line heights.
PARAGRAPH_GAP = 0.75
# … or its type is this much larger or smaller.
MAX_SIZE_RATIO = 1.25
# Paragraphs are cut at the end of a line about here, so that their boxes stay precise.
SOFT_PARAGRAPH_LINES, MAX_PARAGRAPH_LINES = 8, 16
MAX_BOOKMARKS = 5000
# A table goes on on the next page below its header and above the page's footer of at most so many lines.
MAX_LINES_BETWEEN = 3

# pdfium ends a line with CR LF, and writes U+FFFE (older versions: 0x02) for a hyphen at the end of a line.
_LINE = re.compile("[^\r\n\ufffe\x02]+")
_HYPHENS = "\ufffe\x02"
# pdfium tells the code that a font draws when the font does not tell the character: a number, from 1 on.
_UNMAPPED = re.compile("[\x00\x01\x03-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ue000-\uf8ff]")
MAX_UNMAPPED_SHARE = 0.08  # a space is one of six characters
# pdfium's rectangle: left, top, right, bottom. Reading its fields one by one costs more than asking for it.
_RECT = struct.Struct("4f")
_WORD = re.compile(r"\S+")
_USEFUL = re.compile(r"[^\W_]")
_SENTENCE_END = re.compile(r"[.!?:;。！？]['\"”’)\]]*$")


class _Kind(Enum):
    TEXT = auto()
    SCAN = auto()
    MAPLESS = auto()


@dataclass(frozen=True, slots=True)
class _Bookmark:
    page: int
    top: float  # in points from the bottom; infinity when the bookmark names only the page
    path: tuple[str, ...]


@dataclass(slots=True)
class _Header:
    """The names above the table that ended the page before: it may go on on the next one."""

    columns: tuple[float, ...] = ()
    names: tuple[str, ...] = ()


def extract(path: Path, *, ocr: OcrOptions, progress: Callable[[float, str], None]) -> Extraction:
    document = _open(path)
    try:
        return _extract(document, ocr, progress)
    finally:
        document.close()


def _open(path: Path) -> pypdfium2.PdfDocument:
    try:
        document = pypdfium2.PdfDocument(path)
        if document.get_formtype() != pdfium.FORMTYPE_NONE:
            document.init_forms()  # without it the values filled into a form are not part of any page
    except pypdfium2.PdfiumError as error:
        if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise EncryptedDocumentError(
                "This PDF is protected by a password. Save it without the password and upload it again."
            ) from error
        raise DamagedDocumentError("This PDF is damaged and cannot be opened. Export it again and retry.") from error
    return document


def _extract(document: pypdfium2.PdfDocument, ocr: OcrOptions, progress: Callable[[float, str], None]) -> Extraction:
    page_count = len(document)
    bookmarks = _bookmarks(document)
    texts: dict[int, list[Block]] = {}
    scans: list[int] = []
    mapless: list[int] = []
    broken: list[int] = []
    characters = 0
    header = _Header()
    for number in range(1, page_count + 1):
        try:
            blocks, kind = _read_page(document, number, bookmarks, header)
        except pypdfium2.PdfiumError:
            broken.append(number)
            continue
        texts[number] = blocks
        if kind is not _Kind.TEXT:
            scans.append(number)
        if kind is _Kind.MAPLESS:
            mapless.append(number)
        characters += sum(len(block.text) for block in blocks)
        if characters > MAX_CHARACTERS:
            raise TooLargeError(f"This PDF holds more than {MAX_CHARACTERS:,} characters. Split it into parts.")
        if number % 16 == 0:
            progress(number / page_count, "text")
    if len(broken) == page_count:
        raise DamagedDocumentError("No page of this PDF can be read: the file is damaged.")
    warnings = [f"{pages(broken)} could not be read and {is_or_are(broken)} left out."] if broken else []
    if mapless:
        warnings.append(
            f"The fonts of {pages(mapless).lower()} do not say which characters they draw, "
            "so the text was taken from the picture of the page instead."
        )
    records = [page_record(number, "left_out") for number in broken]
    ocr_seconds = None
    if scans:
        started = time.perf_counter()
        more_warnings, more_records = _recognise(document, scans, texts, ocr, progress)
        warnings += more_warnings
        records += more_records
        ocr_seconds = time.perf_counter() - started if ocr.enabled else None
    return Extraction(
        tuple(block for number in sorted(texts) for block in texts[number]),
        page_count=page_count,
        title=(document.get_metadata_value("Title") or "").strip(),
        warnings=tuple(warnings),
        metadata={"pages": sorted(records, key=lambda record: int(record["page"]))} if records else {},
        ocr_seconds=ocr_seconds,
    )


def _read_page(
    document: pypdfium2.PdfDocument, number: int, bookmarks: list[_Bookmark], header: _Header
) -> tuple[list[Block], _Kind]:
    """The page's paragraphs and rows, and what kind of page it is; none if it has no map of its characters."""
    parts: list[list[Line] | Table]
    page = document[number - 1]
    try:
        if document.formenv:
            pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY)
            page.close()
            page = document[number - 1]
        textpage = page.get_textpage()
        try:
            text = textpage.get_text_range()
            if _UNMAPPED.search(text) and _is_mapless(text):
                return [], _Kind.MAPLESS
            lines, spans = _lines(textpage, text)
            rotation = page.get_rotation() if lines else 0
            parts = [lines]
            if not rotation:
                is_gappy = may_hold_table(lines)
                if is_gappy:
                    parts = _parted(page, textpage, text, lines)
                has_tables = any(isinstance(part, Table) for part in parts)
                if not has_tables and (is_gappy or _may_hold_columns(textpage, text, spans)):
                    parts = [in_reading_order(lines, list(_words(textpage, text)))]
        finally:
            textpage.close()
        is_scan = len(text) < 4 * SPARSE_CHARACTERS and _is_picture(page, len(_USEFUL.findall(text)))
    finally:
        page.close()
    blocks = []
    for part in parts:
        if isinstance(part, Table):
            places = _rows(part, header)
        else:
            if len(part) > MAX_LINES_BETWEEN:
                header.columns = ()
            paragraphs = ((_union(lines), lines) for lines in _paragraphs(part, is_sideways=rotation in (90, 270)))
            places = ((_join(lines, box), box) for box, lines in paragraphs)
        for told, box in places:
            locator = page_locator(number, box, ocr=False)
            headings = _headings_at(bookmarks, number, box[3]) if bookmarks else ()
            blocks.append(Block(told, locator, headings, isinstance(part, Table)))
    return blocks, _Kind.SCAN if is_scan else _Kind.TEXT


def _parted(
    page: pypdfium2.PdfPage, textpage: pypdfium2.PdfTextPage, text: str, lines: list[Line]
) -> list[list[Line] | Table]:
    """Runs of lines, and the tables between them: each where its first word stands in the file."""
    words = list(_words(textpage, text))
    tables = find_tables(page, words)
    table_of = {index: number for number, table in enumerate(tables) for index in table.words}
    parts: list[list[Line] | Table] = []
    run: list[Line] = []
    begun: set[int] = set()
    for line_number, found in itertools.groupby(enumerate(words), key=lambda pair: pair[1].line):
        of_line = list(found)
        beside = [word for index, word in of_line if index not in table_of]
        if len(beside) == len(of_line):
            run.append(lines[line_number])
        elif beside:
            run.append(Line(" ".join(word.text for word in beside), *box_of(beside), is_hyphenated=False))
        for index, _ in of_line:
            number = table_of.get(index)
            if number is not None and number not in begun:
                begun.add(number)
                parts += [run, tables[number]] if run else [tables[number]]
                run = []
    return [*parts, run] if run else parts


def _is_picture(page: pypdfium2.PdfPage, useful: int) -> bool:
    """Whether a page with so many letters and digits shows more than they say."""
    if useful >= SPARSE_CHARACTERS:
        return False
    if useful >= MIN_USEFUL_CHARACTERS:
        return drawn_share(page) >= MOST_OF_PAGE and not has_hidden_text(page)
    return drawn_share(page) > 0 or has_many_curves(page)


def _may_hold_columns(textpage: pypdfium2.PdfTextPage, text: str, spans: list[tuple[int, int]]) -> bool:
    """Whether one of two lines has a wide gap, told by what is drawn at once: measuring all words costs too much."""
    samples = {len(spans) // 3, 2 * len(spans) // 3} if len(spans) >= MIN_ROWS else set()
    drawn_apart = {
        number
        for number in samples
        if pdfium.FPDFText_CountRects(textpage.raw, spans[number][0], spans[number][1] - spans[number][0] + 1) > 1
    }
    return bool(drawn_apart) and has_wide_gap(list(_words(textpage, text, drawn_apart)))


def _words(textpage: pypdfium2.PdfTextPage, text: str, only: Container[int] | None = None) -> Iterator[Word]:
    """The words of the page's lines with their boxes, of which `_lines` asks only two a line. `only` some lines'."""
    is_in_step = textpage.count_chars() == len(text)
    rect = pdfium.FS_RECTF()
    lines = (match for match in _LINE.finditer(text) if match[0].strip())
    for number, line in enumerate(lines):
        if only is not None and number not in only:
            continue
        for word in _WORD.finditer(text, *line.span()):
            boxes = []
            for at in (word.start(), word.end() - 1):
                index = at if is_in_step else pdfium.FPDFText_GetCharIndexFromTextIndex(textpage.raw, at)
                pdfium.FPDFText_GetLooseCharBox(textpage.raw, index, rect)
                boxes.append(_RECT.unpack_from(rect))
            lefts, tops, rights, bottoms = zip(*boxes, strict=True)
            yield Word(word[0], min(lefts), min(bottoms), max(rights), max(tops), number)


def _rows(table: Table, header: _Header) -> Iterator[tuple[str, Box]]:
    """Each row under the names of its columns, with its box."""
    rows = [row.cells for row in table.rows]
    names = column_names(rows[0], len(rows[0])) if is_header(rows[0], rows[1:50]) else []
    start = 1 if names else 0
    if not names and len(header.names) == len(rows[0]) and _are_near(header.columns, table.columns):
        names = list(header.names)  # the table goes on from the page before
    header.columns, header.names = table.columns, tuple(names)
    for row in table.rows[start:]:
        if told := row_text(names, row.cells):
            yield told, row.box


def _are_near(some: tuple[float, ...], others: tuple[float, ...]) -> bool:
    return len(some) == len(others) and all(abs(one - other) < 3 for one, other in zip(some, others, strict=True))


def _is_mapless(text: str) -> bool:
    """Many characters that no print shows: what is left of a font that does not say which characters it draws."""
    return len(_UNMAPPED.findall(text)) > MAX_UNMAPPED_SHARE * len(text)


def page_locator(number: int, box: Box, *, ocr: bool) -> dict[str, Any]:
    rounded = [round(edge, 1) for edge in box]
    return {"type": "page", "page": number, "page_end": number, "boxes": [[number, *rounded]], "ocr": ocr}


def _lines(textpage: pypdfium2.PdfTextPage, text: str) -> tuple[list[Line], list[tuple[int, int]]]:
    """The page's lines in the order of the file, and of each the indexes of its first and last character for pdfium.

    Two boxes a line are asked for: those of these two characters.
    """
    raw = textpage.raw
    # The text and pdfium's list of characters mostly run in step; asking for every index would cost a third more.
    is_in_step = textpage.count_chars() == len(text)
    rect = pdfium.FS_RECTF()
    loose_box = pdfium.FPDFText_GetLooseCharBox
    lines: list[Line] = []
    spans: list[tuple[int, int]] = []
    for match in _LINE.finditer(text):
        found = match[0]
        stripped = found.strip()
        if not stripped:
            continue
        first, end = match.span()
        if len(stripped) != len(found):
            first += len(found) - len(found.lstrip())
        last = first + len(stripped) - 1
        if not is_in_step:
            first = pdfium.FPDFText_GetCharIndexFromTextIndex(raw, first)
            last = pdfium.FPDFText_GetCharIndexFromTextIndex(raw, last)
        loose_box(raw, first, rect)
        left, top, right, bottom = _RECT.unpack_from(rect)
        loose_box(raw, last, rect)
        last_left, last_top, last_right, last_bottom = _RECT.unpack_from(rect)
        # Conditions for min and max: this runs for every line of every document.
        left = left if left < last_left else last_left
        bottom = bottom if bottom < last_bottom else last_bottom
        right = right if right > last_right else last_right
        top = top if top > last_top else last_top
        lines.append(Line(stripped, left, bottom, right, top, end < len(text) and text[end] in _HYPHENS))
        spans.append((first, last))
    return lines, spans


def _paragraphs(lines: list[Line], *, is_sideways: bool) -> Iterator[list[Line]]:
    """Runs of lines that stand close under each other in the same size of type."""
    start = 0
    for index in range(1, len(lines)):
        before, line = lines[index - 1], lines[index]
        count = index - start
        if (
            (_is_apart_sideways(before, line) if is_sideways else _is_apart(before, line))
            or count >= MAX_PARAGRAPH_LINES
            or (count >= SOFT_PARAGRAPH_LINES and _SENTENCE_END.search(before.text))
        ):
            yield lines[start:index]
            start = index
    if lines:
        yield lines[start:]


def _is_apart(before: Line, line: Line) -> bool:
    height, before_height = line.top - line.bottom, before.top - before.bottom
    small, large = (height, before_height) if height < before_height else (before_height, height)
    small = small if small > 1.0 else 1.0
    return (
        before.bottom - line.top > PARAGRAPH_GAP * small
        or large > MAX_SIZE_RATIO * small
        or line.bottom > before.top  # back up to the top: the next column
    )


def _is_apart_sideways(before: Line, line: Line) -> bool:
    """The same on a page that is turned by a quarter, whose lines run up or down."""
    height, before_height = line.right - line.left, before.right - before.left
    small, large = max(min(height, before_height), 1.0), max(height, before_height)
    gap = abs(line.left - before.left) - before_height
    return gap > PARAGRAPH_GAP * small or large > MAX_SIZE_RATIO * small


def _join(paragraph: list[Line], box: Box) -> str:
    """One text. A line that stops well short of the margin ends for a reason (a table row, a list) and stays a line."""
    left, _, right, _ = box
    short = right - 0.2 * (right - left)
    parts = []
    for line, after in itertools.pairwise(paragraph):
        parts.append(line.text)
        if line.is_hyphenated:
            parts.append("" if after.text[0].islower() else "-")
        else:
            parts.append(" " if line.right > short else "\n")
    parts.append(paragraph[-1].text + ("-" if paragraph[-1].is_hyphenated else ""))
    return "".join(parts)


def _union(lines: list[Line]) -> Box:
    _, lefts, bottoms, rights, tops, _ = zip(*lines, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


def _bookmarks(document: pypdfium2.PdfDocument) -> list[_Bookmark]:
    """The outline in the order of the pages, each entry with the path of titles above it."""
    found: list[_Bookmark] = []
    path: list[str] = []
    try:
        for bookmark in document.get_toc(max_depth=6):
            title = bookmark.get_title().strip()
            destination = bookmark.get_dest()
            path = [*path[: bookmark.level], title]
            if destination is None or not title or len(found) >= MAX_BOOKMARKS:
                continue
            index = destination.get_index()
            mode, position = destination.get_view()
            top = float("inf")
            if mode == pdfium.PDFDEST_VIEW_XYZ and len(position) > 1 and position[1]:
                top = position[1]
            if index is not None:
                found.append(_Bookmark(index + 1, top, tuple(part for part in path if part)))
    except pypdfium2.PdfiumError:
        return []
    return sorted(found, key=lambda bookmark: (bookmark.page, -bookmark.top))


def _headings_at(bookmarks: list[_Bookmark], page: int, top: float) -> tuple[str, ...]:
    # Bookmarks aim a little above their heading; a few points of tolerance for those that aim at its baseline.
    at = bisect.bisect_right(bookmarks, (page, -(top - 18)), key=lambda bookmark: (bookmark.page, -bookmark.top))
    return bookmarks[at - 1].path if at else ()


def _recognise(
    document: pypdfium2.PdfDocument,
    scans: list[int],
    texts: dict[int, list[Block]],
    ocr: OcrOptions,
    progress: Callable[[float, str], None],
) -> tuple[list[str], list[dict[str, Any]]]:
    """Put the text of scanned pages in their place in `texts`; return warnings and what is kept about the pages."""
    left_out = [page_record(number, "left_out") for number in scans]
    if not ocr.enabled:
        return [f"{pages(scans)} {is_or_are(scans)} scanned, and text recognition is switched off."], left_out
    warnings: list[str] = []
    results: list[OcrPage] = []
    try:
        images = (page_image(document, number) for number in scans)
        for done, result in enumerate(recognise(images, ocr=ocr, warnings=warnings), 1):
            results.append(result)
            progress(done / len(scans), "ocr")
    except OcrUnavailableError as error:
        if not any(texts.values()):
            raise
        return [f"{pages(scans)} {is_or_are(scans)} scanned and left out. {error}"], left_out
    told = [_without(texts[result.page], result) for result in results]
    for result in told:
        texts[result.page] += [_ocr_block(result.page, paragraph) for paragraph in result.paragraphs]
    records = [result.record for result in told if result.paragraphs or not texts[result.page]]
    return [*warnings, *doubtful_warnings(told)], records


def _without(blocks: list[Block], result: OcrPage) -> OcrPage:
    """What was recognised beside the page's own text, which a picture of the page shows too."""
    own = [(tuple(box[1:]), set(block.text.split())) for block in blocks for box in block.locator["boxes"]]

    def is_own(line: OcrLine) -> bool:
        words = set(line.text.split())
        # A stamp across the page has print below it: the place alone does not tell.
        return any(_is_inside(line.box, box) and 2 * len(words & said) >= len(words) for box, said in own)

    if not own:
        return result
    kept = (tuple(line for line in paragraph if not is_own(line)) for paragraph in result.paragraphs)
    return replace(result, paragraphs=tuple(paragraph for paragraph in kept if paragraph))


def _is_inside(box: Box, other: Box) -> bool:
    """Whether most of the box lies in the other one."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return width > 0 and height > 0 and width * height > 0.5 * area


def _ocr_block(page: int, paragraph: tuple[OcrLine, ...]) -> Block:
    text, box = join_lines(paragraph)
    return Block(text, page_locator(page, box, ocr=True))


def join_lines(paragraph: tuple[OcrLine, ...]) -> tuple[str, Box]:
    """A recognised paragraph as one text, and the box around it."""
    lines = []
    for line in paragraph:
        is_hyphenated = len(line.text) > 1 and line.text[-1] in "-\u2010" and line.text[-2].isalpha()
        lines.append(Line(line.text[:-1] if is_hyphenated else line.text, *line.box, is_hyphenated))
    box = _union(lines)
    return _join(lines, box), box
