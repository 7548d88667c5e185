"""Pictures of pages made upright before they are read, and the way back to where a text was."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

PixelBox = tuple[float, float, float, float]  # left, top, right, bottom

# Degrees. Tesseract reads lines that are less askew as well as level ones.
MIN_SKEW, MAX_SKEW = 0.7, 15.0
_COARSE, _FINE = 1.0, 0.1
# Rows of print make the profile across the page this much sharper when the page is level.
_MIN_GAIN = 1.15
_WIDTH, _MAX_POINTS = 800, 15_000
_MIN_INK, _MAX_INK = 0.002, 0.4  # shares of dark pixels: less is a blank page, more a photograph


@dataclass(frozen=True, slots=True)
class Upright:
    """A picture of the size `original` turned counterclockwise by `angle` degrees about its centre.

    `size` has room for its corners. Sizes alone are kept: the pictures may be large.
    """

    size: tuple[int, int]
    angle: float
    original: tuple[int, int]

    def back(self, box: PixelBox) -> PixelBox:
        """The box around the place of `box` in the picture before it was turned."""
        radians = math.radians(self.angle)
        cosine, sine = math.cos(radians), math.sin(radians)
        (width, height), (original_width, original_height) = self.size, self.original
        xs, ys = [], []
        for x in (box[0] - width / 2, box[2] - width / 2):
            for y in (box[1] - height / 2, box[3] - height / 2):
                xs.append(cosine * x - sine * y + original_width / 2)
                ys.append(sine * x + cosine * y + original_height / 2)
        return min(xs), min(ys), max(xs), max(ys)


def upright(image: Image, *, turned: int = 0) -> tuple[Image, Upright]:
    """The grey picture turned clockwise by `turned` (a multiple of 90) and then levelled; and how it was turned."""
    from PIL.Image import Resampling

    standing = image.rotate(-turned, expand=True) if turned else image
    skew = skew_of(standing)
    if skew:
        standing = standing.rotate(-skew, resample=Resampling.BILINEAR, expand=True, fillcolor=255)
    return standing, Upright(standing.size, -turned - skew, image.size)


def skew_of(image: Image) -> float:
    """By how many degrees the lines of a grey picture rise to the right; 0 where they are level or there are none."""
    import numpy as np

    small = np.asarray(image.reduce(max(1, image.width // _WIDTH)))
    ys, xs = np.nonzero(small < 0.7 * small.mean())
    if not _MIN_INK * small.size < len(xs) < _MAX_INK * small.size:
        return 0.0
    step = max(1, len(xs) // _MAX_POINTS)
    ys, xs = ys[::step].astype(np.float32), xs[::step].astype(np.float32)
    margin = math.ceil(small.shape[1] * math.tan(math.radians(MAX_SKEW + _COARSE))) + 1

    def sharpness(angle: float) -> float:
        rows = ys + xs * math.tan(math.radians(angle)) + margin
        counts = np.bincount(rows.astype(np.int32)).astype(np.float64)
        return float((counts**2).sum())

    coarse = max(np.arange(-MAX_SKEW, MAX_SKEW + _COARSE, _COARSE), key=sharpness)
    best = float(max(np.arange(coarse - _COARSE, coarse + _COARSE + _FINE, _FINE), key=sharpness))
    is_clear = sharpness(best) > _MIN_GAIN * sharpness(0.0)
    return round(best, 1) if is_clear and MIN_SKEW <= abs(best) <= MAX_SKEW else 0.0
