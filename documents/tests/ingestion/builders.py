"""Small files made for the tests, by hand: a test must know every byte that it asks about."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pptx
import pypdfium2
from PIL import Image, ImageDraw, ImageFont
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE

from documents.ingestion.base import Block, Chunk, Extraction
from documents.ingestion.clean import clean_blocks
from documents.ingestion.extract import extract
from documents.ingestion.ocr import OcrOptions
from documents.ingestion.split import split

Line = tuple[float, float, str]  # x, y in points from the bottom left, and the text


def pdf_of(
    *pages: Sequence[Line],
    outline: Mapping[str, tuple[int, float]] | None = None,
    rotate: int = 0,
    drawn: str = "",
) -> bytes:
    """A PDF of these pages of lines in 11 point Helvetica. `outline`: title → page (1-based) and height.

    `drawn`: operators that every page begins with, such as those of a table's rules.
    """
    first_page, count = 4, len(pages)
    first_entry = first_page + 2 * count
    entries = list((outline or {}).items())
    outlines = f"/Outlines {first_entry} 0 R" if entries else ""
    kids = " ".join(f"{first_page + 2 * index} 0 R" for index in range(count))
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {outlines} >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for index, lines in enumerate(pages):
        content = f"{drawn}\n" + "\n".join(f"BT /F1 11 Tf 1 0 0 1 {x} {y} Tm ({text}) Tj ET" for x, y, text in lines)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Rotate {rotate}"
            f" /Resources << /Font << /F1 3 0 R >> >> /Contents {first_page + 2 * index + 1} 0 R >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    if entries:
        last = first_entry + len(entries)
        objects.append(f"<< /Type /Outlines /First {first_entry + 1} 0 R /Last {last} 0 R /Count {len(entries)} >>")
    for number, (title, (page, top)) in enumerate(entries, first_entry + 1):
        after = f"/Next {number + 1} 0 R" if number < first_entry + len(entries) else ""
        destination = f"[{first_page + 2 * (page - 1)} 0 R /XYZ 0 {top} 0]"
        objects.append(f"<< /Title ({title}) /Parent {first_entry} 0 R /Dest {destination} {after} >>")
    return assembled(objects)


def assembled(objects: Sequence[str]) -> bytes:
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(f"{number} 0 obj\n{content}\nendobj\n".encode("latin-1"))
    start = out.tell()
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    out.write("".join(f"{offset:010d} 00000 n \n" for offset in offsets).encode())
    out.write(f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode())
    return out.getvalue()


def lines_down(texts: Sequence[str], *, top: float = 720, x: float = 72, leading: float = 14) -> list[Line]:
    return [(x, top - leading * index, text) for index, text in enumerate(texts)]


def table_at(
    rows: Sequence[Sequence[str]], *, top: float = 700, widths: Sequence[float] = (150, 100, 100)
) -> list[Line]:
    """The words of a table, row after row; `grid_at` with the same numbers draws its rules."""
    places = [72 + sum(widths[:column]) for column in range(len(widths))]
    return [
        (places[column] + 4, top - 20 * number - 14, text)
        for number, row in enumerate(rows)
        for column, text in enumerate(row)
        if text
    ]


def grid_at(rows: int, *, top: float = 700, widths: Sequence[float] = (150, 100, 100)) -> str:
    bottom, right = top - 20 * rows, 72 + sum(widths)
    edges = [72 + sum(widths[:column]) for column in range(len(widths) + 1)]
    flat = [f"72 {top - 20 * number} m {right} {top - 20 * number} l S" for number in range(rows + 1)]
    return "\n".join([*flat, *(f"{edge} {bottom} m {edge} {top} l S" for edge in edges)])


def scan_of(*pdfs: bytes, turned: int = 0) -> bytes:
    """The pages of these PDFs as a scanner makes them: pictures without a text layer, turned counterclockwise."""
    images = []
    for data in pdfs:
        document = pypdfium2.PdfDocument(data)
        images += [
            page.render(scale=200 / 72, grayscale=True).to_pil().rotate(turned, expand=True) for page in document
        ]
        document.close()
    out = io.BytesIO()
    images[0].save(out, "PDF", resolution=200, save_all=True, append_images=images[1:])
    return out.getvalue()


def outlined(*lines: str) -> str:
    """Operators that draw these lines as a program does that turns letters into curves."""
    image = picture_of(*lines)
    scale, drawn = 612 / image.width, []
    for y in range(image.height):
        row = image.crop((0, y, image.width, y + 1)).tobytes()
        for run in re.finditer(rb"[\x00-\x7f]+", row):
            x0, x1, y0, y1 = run.start() * scale, run.end() * scale, 792 - (y + 1) * scale, 792 - y * scale
            drawn.append(f"{x0:.2f} {y0:.2f} m {x0:.2f} {y0:.2f} {x0:.2f} {y1:.2f} {x0:.2f} {y1:.2f} c "
                         f"{x1:.2f} {y1:.2f} l {x1:.2f} {y0:.2f} l f")  # fmt: skip
    return "\n".join(drawn)


def stamped(scan: bytes, *lines: Line) -> bytes:
    """A scan with digital lines on its first page."""
    document = pypdfium2.PdfDocument(scan)
    layer = pypdfium2.PdfDocument(pdf_of(lines))
    page = document[0]
    page.insert_obj(layer.page_as_xobject(0, document).as_pageobject())
    page.gen_content()
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def png() -> bytes:
    out = io.BytesIO()
    Image.new("L", (8, 8)).save(out, "PNG")
    return out.getvalue()


def compressed(head: bytes, piece: bytes, *, times: int) -> bytes:
    """As zlib would, but for the work: the piece is compressed once, and what that gave is repeated."""
    compressor = zlib.compressobj()
    begun = compressor.compress(head) + compressor.flush(zlib.Z_FULL_FLUSH)
    one = compressor.compress(piece) + compressor.flush(zlib.Z_FULL_FLUSH)
    checksum = zlib.adler32(head)
    for _ in range(times):
        checksum = zlib.adler32(piece, checksum)
    return begun + one * times + b"\x03\x00" + checksum.to_bytes(4, "big")  # an empty last block


def zip_of(parts: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def extracted(path: Path, document_type: str, *, ocr: bool = True) -> Extraction:
    return extract(path, document_type, ocr=OcrOptions(enabled=ocr), progress=lambda share, what: None)


def texts(blocks: Sequence[Block] | Sequence[Chunk]) -> list[str]:
    return [block.text for block in blocks]


def chunked(path: Path, document_type: str, *, chunk_size: int = 30, chunk_overlap: int = 5) -> list[Chunk]:
    blocks = clean_blocks(extracted(path, document_type).blocks)
    return split(blocks, chunk_size=chunk_size, chunk_overlap=chunk_overlap)


def one_line(text: str) -> str:
    return " ".join(text.split())


def presentation() -> Any:
    """Three slides: a list with notes and a table, a chart in a group's company, and one that is hidden."""
    slides = pptx.Presentation()
    slides.core_properties.title = "Returns 2026"
    first = slides.slides.add_slide(slides.slide_layouts[1])
    first.shapes.title.text = "Returns"
    first.placeholders[1].text = "Goods come back within thirty days.\nReturns are free of charge."
    first.notes_slide.notes_text_frame.text = "Say twice that returns cost nothing."
    table = first.shapes.add_table(3, 2, 0, 3_000_000, 1_000_000, 1_000_000).table
    for row, cells in enumerate([("Country", "Days"), ("France", "14"), ("Norway", "21")]):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    second = slides.slides.add_slide(slides.slide_layouts[6])
    group = second.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 100, 100).text_frame.text = "A text inside a group"
    data: Any = CategoryChartData()  # type: ignore[no-untyped-call]  # python-pptx has no types
    data.categories = ["East", "West"]
    data.add_series("Orders", (12.5, 20))
    second.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 4_000_000, 3_000_000, 3_000_000, data)
    hidden = slides.slides.add_slide(slides.slide_layouts[5])
    hidden.shapes.title.text = "Not for customers"
    hidden._element.set("show", "0")
    return slides


def workbook() -> openpyxl.Workbook:
    """A price list under a title with a header of two rows, a plain sheet, and one that is hidden."""
    book = openpyxl.Workbook()
    prices = book.active
    prices.title = "Prices"
    prices["A1"] = "Price list for pumps"
    for cell, text in {"A3": "Product", "B3": "2026", "B4": "Q1", "C4": "Q2", "D3": "Since"}.items():
        prices[cell] = text
    for area in ("A1:D1", "A3:A4", "B3:C3", "D3:D4"):
        prices.merge_cells(area)
    for number in range(5, 45):
        prices.append([f"Pump X{number}", number * 1.5, number, datetime.date(2026, 3, 1 + number % 28)])
    stock = book.create_sheet("Stock & places")
    for row in [("place", "pieces", "checked"), ("Lyon", 1234567, True), ("Oslo", 0.1 + 0.2, False)]:
        stock.append(row)
    hidden = book.create_sheet("Margins")
    hidden["A1"] = "not for customers"
    hidden.sheet_state = "hidden"
    return book


def picture_of(*lines: str, turned: float = 0, size: int = 28) -> Image.Image:
    """A white A5 page with these lines of print, turned counterclockwise."""
    image = Image.new("L", (1160, 1640), 255)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((90, 120 + 2 * size * number), line, fill=0, font=ImageFont.load_default(size))
    return image.rotate(turned, expand=True, fillcolor=255, resample=Image.Resampling.BICUBIC) if turned else image


def saved(document: Any, folder: Path, name: str, **options: Any) -> Path:
    """What has a method `save`, in a file."""
    path = folder / name
    document.save(path, **options)
    return path
