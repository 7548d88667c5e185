"""For every format: the original, cut at a chunk's locator by other code than the reader's, has the chunk's text."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import pypdfium2
import pytesseract
import pytest
from docx.text.paragraph import Paragraph
from lxml import etree, html
from PIL import Image

from documents.enums import DocumentType
from documents.ingestion.locators import describe
from documents.tests.ingestion.builders import (
    chunked,
    lines_down,
    pdf_of,
    picture_of,
    presentation,
    saved,
    workbook,
    write,
)

Locator = Mapping[str, Any]

RECORDS: list[dict[str, Any]] = [
    {"id": number, "name": f"Pump X{number}", "city": city, "notes": {"warranty": f"{number + 12} months"}}
    for number in range(30)
    for city in ("Lyon", "Oslo")
]
LINES = [json.dumps(record) for record in RECORDS]
NAMES_AND_CITIES = [(record["name"], record["city"]) for record in RECORDS]
PROSE = [f"Paragraph {number} tells how pump X{number} is kept clean and when it is oiled." for number in range(40)]


def page_of(piece: str, values: Iterable[tuple[object, object]], root: str) -> str:
    return f"<{root}>" + "".join(piece.format(*pair) for pair in values) + f"</{root}>"


def table_text(delimiter: str) -> str:
    out = io.StringIO()
    rows = [[record["id"], record["name"], record["city"]] for record in RECORDS]
    csv.writer(out, delimiter=delimiter).writerows([["number", "product", "place"], *rows])
    return out.getvalue()


def word_document() -> Any:
    document = docx.Document()
    for index, text in enumerate(PROSE):
        if index % 8 == 0:
            document.add_heading(f"Chapter {index // 8}", 1)
        document.add_paragraph(text)
    return document


def tiff(folder: Path) -> Path:
    """Every other page upside down."""
    pages = [
        picture_of(*(f"Line {line} of page {page}" for line in range(12)), turned=page % 2 * 180) for page in range(3)
    ]
    return saved(pages[0], folder, "a.tif", save_all=True, append_images=pages[1:])


MAKERS: dict[str, Callable[[Path], Path]] = {
    "pdf": lambda folder: write(
        folder, "a.pdf", pdf_of(*(lines_down(PROSE[start : start + 10], leading=40) for start in range(0, 40, 10)))
    ),
    "docx": lambda folder: saved(word_document(), folder, "a.docx"),
    "pptx": lambda folder: saved(presentation(), folder, "a.pptx"),
    "xlsx": lambda folder: saved(workbook(), folder, "a.xlsx"),
    "image": tiff,
    "txt": lambda folder: write(folder, "a.txt", "\n\n".join(PROSE)),
    "md": lambda folder: write(folder, "a.md", "\n\n".join(f"## Part {n}\n\n{text}" for n, text in enumerate(PROSE))),
    "html": lambda folder: write(folder, "a.html", page_of("<h2>{}</h2><p>{}</p>", enumerate(PROSE), "html")),
    "csv": lambda folder: write(folder, "a.csv", table_text(",")),
    "tsv": lambda folder: write(folder, "a.tsv", table_text("\t")),
    "json": lambda folder: write(folder, "a.json", json.dumps({"products": RECORDS})),
    "jsonl": lambda folder: write(folder, "a.jsonl", "\n".join([*LINES[:10], "", *LINES[10:]])),
    "xml": lambda folder: write(
        folder, "a.xml", page_of("<pump><name>{}</name><city>{}</city></pump>", NAMES_AND_CITIES, "list")
    ),
}


def cut_pdf(path: Path, locator: Locator) -> str:
    document = pypdfium2.PdfDocument(path)
    parts = []
    for number, left, bottom, right, top in locator["boxes"]:
        textpage = document[number - 1].get_textpage()
        parts.append(textpage.get_text_bounded(left - 1, bottom - 1, right + 1, top + 1))
        textpage.close()
    document.close()
    return " ".join(parts)


def cut_docx(path: Path, locator: Locator) -> str:
    places = [item.text for item in docx.Document(str(path)).iter_inner_content() if isinstance(item, Paragraph)]
    return " ".join(places[locator["start"] - 1 : locator["end"]])


def cut_pptx(path: Path, locator: Locator) -> str:
    slides = pptx.Presentation(str(path)).slides
    parts: list[str] = []
    for number, shape in locator["shapes"]:
        root = slides[number - 1].notes_slide if locator["notes"] else slides[number - 1]
        (found,) = root.element.xpath(f".//p:cNvPr[@id='{shape}']")
        element = found.getparent().getparent()
        parts += element.xpath(".//a:t/text()")
        parts += [text for chart in _charts(root, element) for text in chart]
    return " ".join(parts)


def _charts(slide: Any, element: Any) -> Iterator[list[str]]:
    name = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
    for found in element.iter("{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"):
        root: Any = etree.fromstring(slide.part.related_part(found.get(name)).blob)
        yield list(root.xpath("//*[local-name()='v']/text()"))


def cut_xlsx(path: Path, locator: Locator) -> str:
    sheet = openpyxl.load_workbook(path)[locator["sheet"]]
    rows = sheet.iter_rows(min_row=locator["start"], max_row=locator["end"], values_only=True)
    told = [[str(value).upper() if isinstance(value, bool) else str(value) for value in row] for row in rows]
    return " ".join(" ".join([*row, *locator["header"]]) for row in told)


def cut_image(path: Path, locator: Locator) -> str:
    parts = []
    with Image.open(path) as image:
        for page, left, top, right, bottom in locator["boxes"]:
            image.seek(page - 1)
            piece = image.crop((left - 12, top - 12, right + 12, bottom + 12)).rotate((page - 1) % 2 * 180)
            parts.append(pytesseract.image_to_string(piece))
    return " ".join(parts)


def cut_lines(path: Path, locator: Locator) -> str:
    return " ".join(path.read_text().split("\n")[locator["start"] - 1 : locator["end"]])


def cut_html(path: Path, locator: Locator) -> str:
    return _between(html.parse(str(path)).getroot(), locator)


def cut_xml(path: Path, locator: Locator) -> str:
    return _between(etree.parse(str(path)).getroot(), locator, names=True)


def _between(root: Any, locator: Locator, *, names: bool = False) -> str:
    (first,), (last,) = root.xpath(locator["xpath"]), root.xpath(locator["xpath_end"])
    elements = [first, *([] if first is last else [*first.itersiblings()])]
    elements = elements[: elements.index(last) + 1]
    return " ".join(
        f"{child.tag if names else ''} {child.text or ''}" for element in elements for child in element.iter()
    )


def cut_rows(path: Path, locator: Locator) -> str:
    with path.open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
    return " ".join(" ".join([*rows[0], *row]) for row in rows[locator["start"] : locator["end"] + 1])


def cut_json(path: Path, locator: Locator) -> str:
    return _records(json.loads(path.read_text()), locator)


def cut_jsonl(path: Path, locator: Locator) -> str:
    return _records([json.loads(line) if line.strip() else None for line in path.read_text().split("\n")], locator)


def _records(root: Any, locator: Locator) -> str:
    *steps, first = locator["pointer"].split("/")[1:]
    *_, last = locator["pointer_end"].split("/")
    for step in steps:
        root = root[int(step) if isinstance(root, list) else step]
    return json.dumps(root[int(first) : int(last) + 1])


CUTTERS: dict[str, Callable[[Path, Locator], str]] = {
    "pdf": cut_pdf, "docx": cut_docx, "pptx": cut_pptx, "xlsx": cut_xlsx, "image": cut_image, "txt": cut_lines,
    "md": cut_lines, "html": cut_html, "csv": cut_rows, "tsv": cut_rows, "json": cut_json, "jsonl": cut_jsonl,
    "xml": cut_xml,
}  # fmt: skip


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


def test_there_is_a_cut_for_every_format() -> None:
    assert (set(MAKERS), set(CUTTERS)) == (set(DocumentType.values), set(DocumentType.values))


@pytest.mark.parametrize("kind", sorted(DocumentType.values))
def test_cutting_the_original_at_the_locator_gives_the_text(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    if kind == "image":
        request.getfixturevalue("tesseract")
    path = MAKERS[kind](tmp_path)
    chunks = chunked(path, kind, chunk_size=40, chunk_overlap=0)
    assert len(chunks) > 2

    for chunk in chunks:
        told, cut = words(chunk.text), words(CUTTERS[kind](path, chunk.locator))
        assert describe(chunk.locator) != ""
        # The names of a header stand in the original once, and are told with every row.
        assert set(told) - set(cut) == set(), (chunk.locator, chunk.text)
        # The place is not much more than what was told: a neighbour in the same paragraph at most.
        assert cut.total() <= 2 * told.total() + 24, chunk.locator


def test_every_word_of_the_original_has_a_place(tmp_path: Path) -> None:
    """What the files above say is in some chunk."""
    for kind in sorted(set(DocumentType.values) - {"image", "pptx", "xlsx"}):
        path = MAKERS[kind](tmp_path)
        text = " ".join(chunk.text for chunk in chunked(path, kind))
        wanted: Sequence[str] = [record["name"] for record in RECORDS] if "X0" in text and "Lyon" in text else PROSE
        assert [part for part in wanted if part not in " ".join(text.split())] == []
