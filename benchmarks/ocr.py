"""Scanned pages, against tesseract asked for nothing but the text of the same pages, and the words of a known page.

`OCR_FOLDER` names another folder of scans: PDF files, and beside `NAME.pdf` its true text as `NAME.txt`.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pypdfium2

from benchmarks.report import Row, at_least
from documents.ingestion.ocr import DPI, MAX_PIXELS, PARALLEL_PAGES, OcrOptions
from documents.ingestion.sandbox import IngestionResult, Limits, extract_limited

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "pdf" / "scans"
ROUNDS = 3
MAX_PAGES = 12


def run() -> list[Row]:
    folder = Path(os.environ.get("OCR_FOLDER", FOLDER))
    files = sorted(folder.glob("*.pdf"))
    if not files:
        return [Row("scanned pages", "skipped: there is no folder of scans; OCR_FOLDER names one")]
    rows: list[Row] = []
    pages = 0
    bare: list[float] = []
    ours: list[float] = []
    with TemporaryDirectory() as scratch:
        pictures = [picture for path in files for picture in _pictures(path, Path(scratch))][:MAX_PAGES]
        book = Path(scratch) / "scans.pdf"
        _bind(pictures, book)
        pages = len(pictures)
        for _ in range(ROUNDS):  # in turn: the machine may be slower for a while
            started = time.perf_counter()
            _bare(pictures)
            bare.append(time.perf_counter() - started)
            started = time.perf_counter()
            _ours(book)
            ours.append(time.perf_counter() - started)
    rows += [
        Row("tesseract alone, two at a time", f"{pages / statistics.median(bare):.2f} pages/s"),
        Row("from the scan to chunks with places", f"{pages / statistics.median(ours):.2f} pages/s"),
        at_least("share of tesseract's speed", statistics.median(bare) / statistics.median(ours), 0.85),
    ]
    for path in files:
        truth = path.with_suffix(".txt")
        if truth.exists():
            recall = _recall(_ours(path), truth.read_text(encoding="utf-8"))
            rows.append(at_least(f"words of {path.stem} found again", recall, 0.95))
    return rows


def _pictures(path: Path, scratch: Path) -> list[Path]:
    """The pages without a text layer, as the platform would render them."""
    found = []
    document = pypdfium2.PdfDocument(path)
    for number, page in enumerate(document):
        textpage = page.get_textpage()
        is_scan = not textpage.get_text_range().strip()
        textpage.close()
        if is_scan:
            width, height = page.get_size()
            scale = min(DPI / 72, (MAX_PIXELS / (width * height)) ** 0.5)
            picture = scratch / f"{path.stem}-{number}.pgm"
            page.render(scale=scale, grayscale=True).to_pil().save(picture, "PPM")
            found.append(picture)
        page.close()
    document.close()
    return found


def _bind(pictures: list[Path], book: Path) -> None:
    from PIL import Image

    first, *others = [Image.open(picture) for picture in pictures]
    first.save(book, "PDF", resolution=DPI, save_all=True, append_images=others)


def _bare(pictures: list[Path]) -> None:
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}

    def read(picture: Path) -> None:
        command = ["tesseract", str(picture), "stdout", "-l", "eng", "--dpi", str(DPI)]
        subprocess.run(command, env=environment, check=True, capture_output=True)

    with ThreadPoolExecutor(PARALLEL_PAGES) as pool:
        list(pool.map(read, pictures))


def _ours(path: Path) -> IngestionResult:
    return extract_limited(path, "pdf", ocr=OcrOptions(), limits=Limits(wall_seconds=1800))


def _recall(result: IngestionResult, truth: str) -> float:
    """The share of the page's words that are found, each as often as it stands there."""
    wanted = Counter(re.findall(r"\w+", truth.lower()))
    found = Counter(re.findall(r"\w+", " ".join(chunk.text for chunk in result.chunks).lower()))
    return (wanted & found).total() / wanted.total()
