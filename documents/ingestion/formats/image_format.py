"""Pictures of pages: PNG, JPEG and TIFF, also with several pages, read by OCR."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from documents.ingestion.base import Block, DamagedDocumentError, Extraction, TooLargeError
from documents.ingestion.formats.pdf import join_lines
from documents.ingestion.ocr import (
    DPI,
    MAX_PIXELS,
    Box,
    OcrLine,
    OcrOptions,
    PageImage,
    doubtful_warnings,
    recognise,
)

MAX_PAGES = 300
_FORMATS = ("PNG", "JPEG", "TIFF")
# A picture with fewer pixels is of a screen, or was made small: its letters are too small for tesseract.
_SMALL = 1_000_000
_ENLARGED = 2
_STRIP = 512  # rows


def extract(path: Path, *, ocr: OcrOptions, progress: Callable[[float, str], None]) -> Extraction:
    with _open(path) as image:
        page_count = _count_pages(image)
        if not ocr.enabled:
            return Extraction((), page_count=page_count, warnings=("Text recognition is switched off.",))
        blocks: list[Block] = []
        sentences: list[str] = []
        results = []
        started = time.perf_counter()
        for done, result in enumerate(recognise(_pages(image, page_count), ocr=ocr, warnings=sentences), 1):
            results.append(result)
            blocks += [_block(result.page, paragraph) for paragraph in result.paragraphs]
            progress(done / page_count, "ocr")
    return Extraction(
        tuple(blocks),
        page_count=page_count,
        warnings=(*sentences, *doubtful_warnings(results)),
        metadata={"pages": [result.record for result in results]},
        ocr_seconds=time.perf_counter() - started,
    )


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes, which are checked here, and of tags that make no sense
        try:
            with Image.open(path, formats=_FORMATS) as image:
                yield image
        except Image.DecompressionBombError as error:
            raise _too_large("more pixels than any page has") from error
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError) as error:
            raise DamagedDocumentError("This picture is damaged and cannot be opened. Save it again.") from error


def _count_pages(image: Image.Image) -> int:
    """Without asking for all of them: a file may tell of a million."""
    if image.format != "TIFF":
        return 1  # the second picture in a JPEG file is a preview, or the same picture for another eye
    count = 1
    with contextlib.suppress(EOFError):
        while count <= MAX_PAGES:
            image.seek(count)
            count += 1
    if count > MAX_PAGES:
        raise TooLargeError(f"This picture has more than {MAX_PAGES} pages. Split it into parts.")
    image.seek(0)
    return count


def _pages(image: Image.Image, page_count: int) -> Iterator[PageImage]:
    for index in range(page_count):
        if page_count > 1:
            image.seek(index)
        # Before anything is unpacked.
        if image.width * image.height > MAX_PIXELS:
            raise _too_large(f"{image.width:,} × {image.height:,} pixels")
        if image.format == "JPEG":
            image.draft("L", None)
        yield _page(index + 1, image)


def _page(number: int, image: Image.Image) -> PageImage:
    grey = _grey(image)
    ImageOps.exif_transpose(grey, in_place=True)
    is_small = grey.width * grey.height < _SMALL
    factor = _ENLARGED if is_small else 1
    if is_small:
        grey = grey.resize((grey.width * factor, grey.height * factor), Image.Resampling.LANCZOS)

    def in_pixels(box: Box) -> Box:
        x0, y0, x1, y1 = (edge / factor for edge in box)
        return x0, y0, x1, y1

    return PageImage(number, grey, in_pixels, _dpi(image) * factor)


def _grey(image: Image.Image) -> Image.Image:
    """On white, where the picture is transparent."""
    if "A" not in image.getbands() and "transparency" not in image.info:
        if image.mode.startswith("I;16"):
            return image.convert("I").point(lambda value: value / 256).convert("L")
        return image.convert("L")
    ground = Image.new("L", image.size, 255)
    for top in range(0, image.height, _STRIP):  # each pixel of a layer takes four bytes
        layer = image.crop((0, top, image.width, min(top + _STRIP, image.height))).convert("LA")
        ground.paste(layer.getchannel("L"), (0, top), layer.getchannel("A"))
    ground.info = dict(image.info)
    return ground


def _dpi(image: Image.Image) -> int:
    try:
        dpi = int(float(image.info["dpi"][0]))
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError):
        return DPI
    return dpi if 70 <= dpi <= 1200 else DPI


def _block(page: int, paragraph: tuple[OcrLine, ...]) -> Block:
    text, box = join_lines(paragraph)
    return Block(text, {"type": "image", "page": page, "page_end": page, "boxes": [[page, *map(round, box)]]})


def _too_large(what: str) -> TooLargeError:
    return TooLargeError(f"This picture has {what}; at most {MAX_PIXELS:,} can be read. Make it smaller.")
