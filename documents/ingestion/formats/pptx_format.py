"""PowerPoint presentations: the texts and table rows of each slide, in reading order, then the speaker's notes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pptx
from lxml import etree
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.exc import PythonPptxError

from documents.ingestion.base import Block, DamagedDocumentError, Extraction
from documents.ingestion.formats.archives import DAMAGE, guard
from documents.ingestion.formats.csv_format import named_rows

_FURNITURE = {PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.HEADER}
_TITLES = {PP_PLACEHOLDER.TITLE, PP_PLACEHOLDER.CENTER_TITLE, PP_PLACEHOLDER.VERTICAL_TITLE}
_MAX_TITLE = 300
_ROW_HEIGHT = 360_000  # a centimetre: shapes whose tops differ by less stand beside each other


def extract(path: Path) -> Extraction:
    guard(path, "PowerPoint presentation")
    blocks: list[Block] = []
    hidden: list[int] = []
    try:
        with path.open("rb") as file:
            presentation = pptx.Presentation(file)
        title = presentation.core_properties.title or ""
        slides = list(presentation.slides)
        for number, slide in enumerate(slides, 1):
            if slide.element.get("show") in ("0", "false"):
                hidden.append(number)
            else:
                blocks += _slide_blocks(slide, number)
    except (*DAMAGE, PythonPptxError, etree.XMLSyntaxError, RecursionError) as error:
        raise DamagedDocumentError(
            "This PowerPoint presentation is damaged or not of the kind .pptx. Save it again as .pptx and retry."
        ) from error
    warnings = []
    if hidden:
        numbers = ", ".join(map(str, hidden[:10])) + (" …" if len(hidden) > 10 else "")
        warnings.append(f"Left out because hidden: slide {numbers}. Show it and upload the file again to have it read.")
    return Extraction(tuple(blocks), page_count=len(slides), title=title, warnings=tuple(warnings))


def _slide_blocks(slide: Any, number: int) -> Iterator[Block]:
    shapes = sorted(_shapes(slide.shapes), key=_place)
    title = next((shape for shape in shapes if _placeholder(shape) in _TITLES and shape.text_frame.text.strip()), None)
    name = " ".join(title.text_frame.text.split()) if title is not None else ""
    has_name = 0 < len(name) <= _MAX_TITLE
    headings = (name if has_name else f"Slide {number}",)
    body = [block for shape in shapes if not (has_name and shape is title) for block in _texts(shape, number, headings)]
    # A slide that says nothing but its title is found by it.
    yield from body or ([Block(name, _locator(number, title), headings)] if title is not None else ())
    if slide.has_notes_slide:
        for shape in slide.notes_slide.placeholders:
            if _placeholder(shape) == PP_PLACEHOLDER.BODY:
                yield from _texts(shape, number, (*headings, "Notes"), notes=True)


def _shapes(shapes: Any) -> Iterator[Any]:
    """All shapes, those inside groups too, without what repeats on every slide."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        elif _placeholder(shape) not in _FURNITURE:
            yield shape


def _placeholder(shape: Any) -> Any:
    return shape.placeholder_format.type if shape.is_placeholder else None


def _place(shape: Any) -> tuple[bool, int, int]:
    """Titles first, then down the slide, and from the left to the right."""
    top, left = shape.top or 0, shape.left or 0
    return _placeholder(shape) not in _TITLES, top // _ROW_HEIGHT, left


def _texts(shape: Any, number: int, headings: tuple[str, ...], *, notes: bool = False) -> Iterator[Block]:
    locator = _locator(number, shape, notes=notes)
    if getattr(shape, "has_table", False):
        rows = [[_cell(cell) for cell in row.cells] for row in shape.table.rows]
        for _, text in named_rows(rows):
            yield Block(text, locator, headings, atomic=True)
    elif shape.has_text_frame:
        lines = [_line(paragraph) for paragraph in shape.text_frame.paragraphs]
        text = "\n".join(filter(None, lines))
        if text:
            yield Block(text, locator, headings)
    elif getattr(shape, "has_chart", False):
        yield from (Block(text, locator, headings, atomic=True) for text in _chart(shape.chart))


def _line(paragraph: Any) -> str:
    text = paragraph.text.replace("\v", " ").strip()
    return f"{'  ' * (paragraph.level - 1)}- {text}" if text and paragraph.level else text


def _cell(cell: Any) -> str:
    return " ".join((cell.text_frame.text if not cell.is_spanned else "").split())


def _chart(chart: Any) -> Iterator[str]:
    """A line a series: what it is called, and its value for each category."""
    for plot in chart.plots:
        categories = [" ".join(str(category).split()) for category in plot.categories]
        for series in plot.series:
            values = [
                f"{category}: {value:.15g}"
                for category, value in zip(categories, series.values, strict=False)
                if value is not None
            ]
            if values:
                yield f"{series.name}: " * bool(series.name) + "; ".join(values)


def _locator(number: int, shape: Any, *, notes: bool = False) -> dict[str, Any]:
    shapes = [[number, int(shape.shape_id)]]
    return {"type": "slide", "slide": number, "slide_end": number, "shapes": shapes, "notes": notes}
