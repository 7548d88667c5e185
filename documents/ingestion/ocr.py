"""Text from pictures of pages, with tesseract."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from documents.ingestion.base import OcrUnavailableError

if TYPE_CHECKING:
    import pypdfium2
    from PIL.Image import Image

Box = tuple[float, float, float, float]

DPI = 200
# A page of A0 at 200 dpi; larger ones are rendered smaller.
MAX_PIXELS = 62_000_000
PARALLEL_PAGES = 2
PAGE_SECONDS = 120
# Mean word confidence, 0 to 100. Clean print is above 85, a page on its side below 50.
DOUBTFUL_CONFIDENCE = 65.0


@dataclass(frozen=True, slots=True)
class OcrOptions:
    """`languages` are tesseract's names of language packs, most likely first."""

    enabled: bool = True
    languages: tuple[str, ...] = ("eng",)


@dataclass(frozen=True, slots=True)
class OcrLine:
    text: str
    box: Box  # PDF points from the bottom left


@dataclass(frozen=True, slots=True)
class OcrPage:
    """`paragraphs` are lists of lines; `confidence` is the words' mean, 0 to 100."""

    page: int
    paragraphs: tuple[tuple[OcrLine, ...], ...]
    confidence: float

    @property
    def is_doubtful(self) -> bool:
        return bool(self.paragraphs) and self.confidence < DOUBTFUL_CONFIDENCE


def recognise(
    document: pypdfium2.PdfDocument, pages: Sequence[int], *, ocr: OcrOptions, warnings: list[str]
) -> Iterator[OcrPage]:
    """Read these pages (1-based), in order. Sentences for the user are appended to `warnings`."""
    if shutil.which("tesseract") is None:
        raise OcrUnavailableError(
            "Scanned pages need tesseract, which is not installed on the server (package tesseract-ocr)."
        )
    # Tesseract's own threads fight over the cores that the parallel pages already use.
    os.environ["OMP_THREAD_LIMIT"] = "1"
    languages = _usable_languages(ocr.languages, warnings)
    with ThreadPoolExecutor(PARALLEL_PAGES) as pool:
        waiting: list[Future[OcrPage]] = []
        for number in pages:
            # pdfium is not thread-safe: pages are rendered here, and no more of them than are being read.
            image, scale, origin = _render(document, number)
            if len(waiting) > PARALLEL_PAGES:
                yield waiting.pop(0).result()
            waiting.append(pool.submit(_read, number, image, scale, origin, languages))
        for future in waiting:
            yield future.result()


def _usable_languages(wanted: Sequence[str], warnings: list[str]) -> str:
    import pytesseract

    installed = set(pytesseract.get_languages())
    missing = [language for language in wanted if language not in installed]
    usable = [language for language in wanted if language in installed]
    if missing:
        packages = ", ".join(f"tesseract-ocr-{language.replace('_', '-')}" for language in missing)
        warnings.append(
            f"Text recognition lacks the language {', '.join(missing)} (package {packages}): "
            f"{', '.join(usable) or 'English'} was used instead."
        )
    if not usable and "eng" not in installed:
        raise OcrUnavailableError("Scanned pages need a tesseract language pack (package tesseract-ocr-eng).")
    return "+".join(usable or ["eng"])


def _render(document: pypdfium2.PdfDocument, number: int) -> tuple[Image, float, tuple[float, float]]:
    """The page in grey, its scale in pixels per point, and the page's bottom left corner in points."""
    page = document[number - 1]
    try:
        width, height = page.get_size()
        scale = min(DPI / 72, (MAX_PIXELS / max(width * height, 1.0)) ** 0.5)
        left, bottom, _, _ = page.get_bbox()
        # The boxes of the text belong to the page as it is stored, not as a viewer turns it.
        turned = page.get_rotation()
        page.set_rotation(0)
        image = page.render(scale=scale, grayscale=True).to_pil()
        page.set_rotation(turned)
        return image.rotate(-turned, expand=True) if turned else image, scale, (left, bottom)
    finally:
        page.close()


def _read(number: int, image: Image, scale: float, origin: tuple[float, float], languages: str) -> OcrPage:
    words = _Words(image, languages)
    turned = 0
    if words.indexes and words.confidence < DOUBTFUL_CONFIDENCE:
        # Asking every page for its orientation would cost a third of the time; upright print is never doubtful.
        turned = _orientation(image)
        if turned:
            upright = _Words(image.rotate(-turned, expand=True), languages)
            words, turned = (upright, turned) if upright.confidence > words.confidence else (words, 0)
    left, bottom = origin

    def in_points(box: tuple[int, int, int, int]) -> Box:
        x0, y0, x1, y1 = _turn_back(box, turned, image.size)
        return (
            left + x0 / scale,
            bottom + (image.height - y1) / scale,
            left + x1 / scale,
            bottom + (image.height - y0) / scale,
        )

    paragraphs = tuple(tuple(OcrLine(text, in_points(box)) for text, box in lines) for lines in words.paragraphs())
    return OcrPage(number, paragraphs, round(words.confidence, 1))


def _orientation(image: Image) -> int:
    """Degrees clockwise that the picture must be turned to stand upright; 0 when tesseract cannot tell."""
    import pytesseract

    try:
        found = pytesseract.image_to_osd(image, config=f"--dpi {DPI}", timeout=PAGE_SECONDS)
    except (pytesseract.TesseractError, RuntimeError):
        return 0
    match = re.search(r"Rotate: (\d+)", found)
    return int(match[1]) % 360 if match else 0


def _turn_back(box: tuple[int, int, int, int], turned: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A box of the picture turned clockwise by `turned`, in pixels of the picture (of `size`) before that."""
    x0, y0, x1, y1 = box
    width, height = size
    if turned == 90:
        return y0, height - x1, y1, height - x0
    if turned == 180:
        return width - x1, height - y1, width - x0, height - y0
    if turned == 270:
        return width - y1, x0, width - y0, x1
    return box


class _Words:
    """What tesseract saw: words with their place in blocks, paragraphs and lines."""

    def __init__(self, image: Image, languages: str) -> None:
        import pytesseract

        try:
            self.data: Mapping[str, list[Any]] = pytesseract.image_to_data(
                image,
                lang=languages,
                config=f"--dpi {DPI}",
                timeout=PAGE_SECONDS,
                output_type=pytesseract.Output.DICT,
            )
        except RuntimeError:  # a page that takes minutes is a picture, not print
            self.data = {"text": []}
        self.indexes = [index for index, text in enumerate(self.data["text"]) if text.strip()]
        lengths = [len(self.data["text"][index]) for index in self.indexes]
        weighted = sum(
            float(self.data["conf"][index]) * length for index, length in zip(self.indexes, lengths, strict=True)
        )
        self.confidence = weighted / sum(lengths) if lengths else 0.0

    def paragraphs(self) -> Iterator[list[tuple[str, tuple[int, int, int, int]]]]:
        """Each paragraph's lines with their boxes in pixels from the top left."""
        data = self.data
        paragraphs: dict[tuple[int, int], dict[int, list[int]]] = {}
        for index in self.indexes:
            lines = paragraphs.setdefault((data["block_num"][index], data["par_num"][index]), {})
            lines.setdefault(data["line_num"][index], []).append(index)
        for lines in paragraphs.values():
            yield [(" ".join(data["text"][index] for index in line), self._box(line)) for line in lines.values()]

    def _box(self, indexes: list[int]) -> tuple[int, int, int, int]:
        data = self.data
        return (
            min(data["left"][index] for index in indexes),
            min(data["top"][index] for index in indexes),
            max(data["left"][index] + data["width"][index] for index in indexes),
            max(data["top"][index] + data["height"][index] for index in indexes),
        )
