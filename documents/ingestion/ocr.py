"""Text from pictures of pages, with tesseract."""

from __future__ import annotations

import math
import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from documents.ingestion.base import OcrUnavailableError
from documents.ingestion.upright import upright

if TYPE_CHECKING:
    from PIL.Image import Image

Box = tuple[float, float, float, float]
_Line = tuple[str, tuple[int, int, int, int]]  # with its box in pixels from the top left

DPI = 200
# A page of A0 at 200 dpi; larger ones are rendered smaller.
MAX_PIXELS = 62_000_000
PARALLEL_PAGES = 2
# While pages of more pixels wait or are being read, no further one is rendered: pictures are what takes memory.
# A page of A4 at 600 dpi has 35 million.
MAX_WAITING_PIXELS = 40_000_000
PAGE_SECONDS = 120
# A page of A3. Of larger ones the orientation shows in a smaller picture too, which takes a fraction of the time.
_ORIENTATION_PIXELS = 8_000_000
# Handed to tesseract as it is: packing a page as PNG takes a tenth of the time that reading it does.
_FORMAT = "PPM"
# Mean word confidence, 0 to 100. Clean print is above 85, a page on its side below 50.
DOUBTFUL_CONFIDENCE = 65.0
_SENTENCE_END = re.compile(r"[.!?:;…]['\"”’)\]]*$")


@dataclass(frozen=True, slots=True)
class OcrOptions:
    """`languages` are tesseract's names of language packs, most likely first."""

    enabled: bool = True
    languages: tuple[str, ...] = ("eng",)


@dataclass(frozen=True, slots=True)
class PageImage:
    """A page in grey. `place` turns a box in its pixels (from the top left) into one of the document's own measure."""

    number: int
    image: Image
    place: Callable[[Box], Box]
    dpi: int = DPI


@dataclass(frozen=True, slots=True)
class OcrLine:
    text: str
    box: Box  # in the document's own measure


@dataclass(frozen=True, slots=True)
class OcrPage:
    """`paragraphs` are lists of lines; `confidence` is the words' mean, 0 to 100. `has_failed`: nobody knows any."""

    page: int
    paragraphs: tuple[tuple[OcrLine, ...], ...]
    confidence: float
    has_failed: bool = False

    @property
    def is_doubtful(self) -> bool:
        return bool(self.paragraphs) and self.confidence < DOUBTFUL_CONFIDENCE

    @property
    def record(self) -> dict[str, Any]:
        """What is kept about the page: `how` is `ocr`, or `empty` where nothing was recognised, or `left_out`."""
        how = "ocr" if self.paragraphs else "left_out" if self.has_failed else "empty"
        return page_record(self.page, how, self.confidence if self.paragraphs else None, is_doubtful=self.is_doubtful)


def page_record(page: int, how: str, confidence: float | None = None, *, is_doubtful: bool = False) -> dict[str, Any]:
    """`how` is `ocr`, `empty`, or `left_out`: not read at all. A page with a text layer has no record."""
    return {"page": page, "how": how, "confidence": confidence, "is_doubtful": is_doubtful}


def recognise(images: Iterable[PageImage], *, ocr: OcrOptions, warnings: list[str]) -> Iterator[OcrPage]:
    """Read these pages, in order. Sentences for the user are appended to `warnings`.

    `images` is consumed in this thread, and never far ahead of what is being read.
    """
    if shutil.which("tesseract") is None:
        raise OcrUnavailableError(
            "Scanned pages need tesseract, which is not installed on the server (package tesseract-ocr)."
        )
    # Tesseract's own threads fight over the cores that the parallel pages already use.
    os.environ["OMP_THREAD_LIMIT"] = "1"
    languages = _usable_languages(ocr.languages, warnings)
    with ThreadPoolExecutor(PARALLEL_PAGES) as pool:
        results: deque[Future[OcrPage]] = deque()
        unread: dict[Future[OcrPage], int] = {}  # pixels
        for image in images:
            result = pool.submit(_read, image, languages)
            results.append(result)
            unread[result] = image.image.width * image.image.height
            del image  # else it is kept until the next one is rendered
            while len(unread) > PARALLEL_PAGES or sum(unread.values()) > MAX_WAITING_PIXELS:
                for read in wait(unread, return_when=FIRST_COMPLETED).done:
                    del unread[read]
            while results and results[0].done():
                yield results.popleft().result()
        for result in results:
            yield result.result()


def doubtful_warnings(results: Sequence[OcrPage]) -> list[str]:
    doubtful = [result.page for result in results if result.is_doubtful]
    failed = [result.page for result in results if result.has_failed]
    warnings = []
    if failed:
        warnings.append(f"{pages(failed)} took too much time or memory to recognise and {is_or_are(failed)} left out.")
    if doubtful:
        warnings.append(
            f"{pages(doubtful)} {is_or_are(doubtful)} hard to read: check the recognised text against the scan."
        )
    return warnings


def pages(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:10])) + (" …" if len(numbers) > 10 else "")
    return f"Page {shown}" if len(numbers) == 1 else f"Pages {shown}"


def is_or_are(numbers: Sequence[int]) -> str:
    return "is" if len(numbers) == 1 else "are"


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


def _read(page: PageImage, languages: str) -> OcrPage:
    best = _Words(page, languages)
    if best.confidence < DOUBTFUL_CONFIDENCE:
        # Asking every page for its orientation would cost a third of the time; upright print is never doubtful.
        for turned in _orientations(page, has_words=bool(best.indexes)):
            words = _Words(page, languages, turned=turned)
            best = max(best, words, key=lambda found: found.confidence)
            if best.confidence >= DOUBTFUL_CONFIDENCE:
                break
    paragraphs = tuple(
        tuple(OcrLine(text, page.place(best.upright.back(box))) for text, box in lines) for lines in best.paragraphs()
    )
    return OcrPage(page.number, paragraphs, round(best.confidence, 1), best.has_failed and not paragraphs)


def _orientations(page: PageImage, *, has_words: bool) -> Sequence[int]:
    """Degrees clockwise by which the picture may have to be turned; every quarter where tesseract cannot tell."""
    import pytesseract

    smaller = math.ceil(math.sqrt(page.image.width * page.image.height / _ORIENTATION_PIXELS))
    image = page.image.reduce(smaller)
    image.format = _FORMAT
    try:
        found = pytesseract.image_to_osd(image, config=f"--dpi {page.dpi // smaller}", timeout=PAGE_SECONDS)
    except (pytesseract.TesseractError, RuntimeError):
        return (90, 180, 270) if has_words else ()
    match = re.search(r"Rotate: (\d+)", found)
    turned = int(match[1]) % 360 if match else 0
    return [turned] if turned else []


def whole_sentences(paragraphs: Iterable[list[_Line]]) -> list[list[_Line]]:
    """Without the breaks that tesseract sees in the middle of a sentence, where lines stand further apart."""
    joined: list[list[_Line]] = []
    for lines in paragraphs:
        if joined and _goes_on(joined[-1][-1], lines[0]):
            joined[-1] += lines
        else:
            joined.append([*lines])
    return joined


def _goes_on(line: _Line, following: _Line) -> bool:
    """Whether the line's sentence has no end, and goes on in the following one, close below it."""
    (text, (left, top, right, bottom)), (next_text, (next_left, next_top, next_right, _)) = line, following
    shared = min(right, next_right) - max(left, next_left)
    is_below = 0 < next_top - top < 3 * (bottom - top) and 2 * shared > min(right - left, next_right - next_left)
    return is_below and next_text[:1].islower() and not _SENTENCE_END.search(text)


class _Words:
    """What tesseract saw: words with their place in blocks, paragraphs and lines."""

    def __init__(self, page: PageImage, languages: str, *, turned: int = 0) -> None:
        import pytesseract

        image, self.upright = upright(page.image, turned=turned)
        image.format = _FORMAT
        self.has_failed = False
        try:
            self.data: Mapping[str, list[Any]] = pytesseract.image_to_data(
                image,
                lang=languages,
                config=f"--dpi {page.dpi}",
                timeout=PAGE_SECONDS,
                output_type=pytesseract.Output.DICT,
            )
        except RuntimeError:  # a page that takes minutes is a picture, not print
            self.data, self.has_failed = {"text": []}, True
        self.indexes = [index for index, text in enumerate(self.data["text"]) if text.strip()]
        lengths = [len(self.data["text"][index]) for index in self.indexes]
        weighted = sum(
            float(self.data["conf"][index]) * length for index, length in zip(self.indexes, lengths, strict=True)
        )
        self.confidence = weighted / sum(lengths) if lengths else 0.0

    def paragraphs(self) -> list[list[_Line]]:
        """Each paragraph's lines with their boxes in pixels from the top left."""
        data = self.data
        paragraphs: dict[tuple[int, int], dict[int, list[int]]] = {}
        for index in self.indexes:
            lines = paragraphs.setdefault((data["block_num"][index], data["par_num"][index]), {})
            lines.setdefault(data["line_num"][index], []).append(index)
        return whole_sentences([
            [(" ".join(data["text"][index] for index in line), self._box(line)) for line in lines.values()]
            for lines in paragraphs.values()
        ])  # fmt: skip

    def _box(self, indexes: list[int]) -> tuple[int, int, int, int]:
        data = self.data
        return (
            min(data["left"][index] for index in indexes),
            min(data["top"][index] for index in indexes),
            max(data["left"][index] + data["width"][index] for index in indexes),
            max(data["top"][index] + data["height"][index] for index in indexes),
        )
