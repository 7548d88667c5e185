"""Reading a text PDF with places for every paragraph, against pdfium asked for nothing but the text."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pypdfium2

from benchmarks.report import Row, at_least
from benchmarks.words import sentence
from documents.ingestion.extract import extract
from documents.ingestion.ocr import OcrOptions

ROUNDS = 5
PAGES, PARAGRAPHS, LINES, CHARACTERS_PER_LINE = 300, 6, 7, 88


def run() -> list[Row]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pages.pdf"
        path.write_bytes(text_pdf(PAGES, random.Random(1)))
        bare: list[float] = []
        ours: list[float] = []
        for _ in range(ROUNDS):
            bare.append(_seconds(lambda: _bare(path)))
            ours.append(_seconds(lambda: _ours(path)))
    speed = PAGES / statistics.median(ours)
    return [
        Row("pdfium, text only", f"{PAGES / statistics.median(bare):.0f} pages/s"),
        Row("extraction with places", f"{speed:.0f} pages/s"),
        at_least("share of pdfium's speed", statistics.median(bare) / statistics.median(ours), 0.75),
    ]


def _seconds(work: Callable[[], None]) -> float:
    """Of the processor: both are one thread that waits for nothing."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _bare(path: Path) -> None:
    document = pypdfium2.PdfDocument(path)
    for number in range(len(document)):
        page = document[number]
        textpage = page.get_textpage()
        textpage.get_text_range()
        textpage.close()
        page.close()
    document.close()


def _ours(path: Path) -> None:
    found = extract(path, "pdf", ocr=OcrOptions(enabled=False), progress=lambda share, what: None)
    if found.page_count != PAGES or len(found.blocks) < PAGES:
        raise RuntimeError(f"{len(found.blocks)} blocks on {found.page_count} pages")


def text_pdf(pages: int, source: random.Random) -> bytes:
    """A4 pages of paragraphs in Helvetica."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(pages))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number in range(pages):
        content = _page_content(source)
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * number} 0 R >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    body = "%PDF-1.4\n"
    offsets: list[int] = []
    for number, text in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return f"{body}xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode("ascii")


def _page_content(source: random.Random) -> str:
    lines = ["BT /F1 10 Tf 50 790 Td 12 TL"]
    for _ in range(PARAGRAPHS):
        text = ""
        while len(text) < LINES * CHARACTERS_PER_LINE:
            text += f"{sentence(source)} "
        for start in range(0, LINES * CHARACTERS_PER_LINE, CHARACTERS_PER_LINE):
            lines.append(f"({text[start : start + CHARACTERS_PER_LINE].strip()}) Tj T*")
        lines.append("T*")
    return "\n".join([*lines, "ET"])
