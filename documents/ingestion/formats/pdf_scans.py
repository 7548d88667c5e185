"""Pages of a PDF as pictures for text recognition. pdfium is not thread-safe: all of it belongs to one thread."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pypdfium2
import pypdfium2.raw as pdfium

from documents.ingestion.ocr import DPI, MAX_PIXELS, Box, PageImage
from documents.ingestion.upright import Upright

if TYPE_CHECKING:
    from PIL.Image import Image

_TOLERANCE = 0.5  # points by which a picture may miss the page's edge
_THUMBNAIL = 0.05  # pixels for each point: enough to see whether the page shines through


def page_image(document: pypdfium2.PdfDocument, number: int) -> PageImage:
    """The page, counted from 1, in grey, as a viewer shows it."""
    page = document[number - 1]
    try:
        # The boxes of the text belong to the page as it is stored, not as a viewer turns it.
        turned = page.get_rotation()
        page.set_rotation(0)
        width, height = page.get_size()
        scale = min(DPI / 72, (MAX_PIXELS / max(width * height, 1.0)) ** 0.5)
        left, bottom, _, _ = page.get_bbox()
        stored = _picture(page, scale) or page.render(scale=scale, grayscale=True).to_pil()
        page.set_rotation(turned)
    finally:
        page.close()
    image = stored.rotate(-turned, expand=True) if turned else stored
    stored_height = stored.height
    shown = Upright(image.size, -turned, stored.size)

    def in_points(box: Box) -> Box:
        x0, y0, x1, y1 = shown.back(box)
        return (
            left + x0 / scale,
            bottom + (stored_height - y1) / scale,
            left + x1 / scale,
            bottom + (stored_height - y0) / scale,
        )

    return PageImage(number, image, in_points)


def _picture(page: pypdfium2.PdfPage, scale: float) -> Image | None:
    """The grey picture that is all there is on the page and has the resolution wanted: drawing it takes ten times as
    long as decoding it. None: the page has to be drawn. A picture in colour has to be, too: decoding it takes seven
    times the memory.
    """
    objects = list(itertools.islice(page.get_objects(max_depth=1), 2))
    if len(objects) != 1 or not isinstance(objects[0], pypdfium2.PdfImage) or pdfium.FPDFPage_GetAnnotCount(page):
        return None
    picture = objects[0]
    width, height = page.get_size()
    left, bottom, _, _ = page.get_bbox()
    fills = all(
        abs(value - wanted) < _TOLERANCE
        for value, wanted in zip(picture.get_matrix().get(), (width, 0, 0, height, left, bottom), strict=True)
    )
    has_size = all(
        abs(pixels - points * scale) < 1 for pixels, points in zip(picture.get_px_size(), (width, height), strict=True)
    )
    if not fills or not has_size or picture.get_metadata().colorspace != pdfium.FPDF_COLORSPACE_DEVICEGRAY:
        return None
    # What a mask or a clip leaves out of it shows in its opacity alone.
    thumbnail = page.render(scale=_THUMBNAIL, fill_color=(0, 0, 0, 0), force_bitmap_format=pdfium.FPDFBitmap_BGRA)
    if thumbnail.to_pil().getchannel("A").getextrema()[0] < 255:
        return None
    try:
        # A copy: the picture's own memory is pdfium's, and would be given back by the thread that reads it.
        image: Image = picture.get_bitmap().to_pil().convert("L")
    except pypdfium2.PdfiumError:  # damaged: drawn, a part of it may be seen
        return None
    return image
