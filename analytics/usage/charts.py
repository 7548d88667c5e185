"""The geometry of small drawings: numbers in, coordinates out. Templates put them into SVG attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bar:
    """`height` of the whole and `error_height` of its part that failed, from the bottom of a box 100 units high."""

    x: float
    width: float
    height: float
    error_height: float
    label: str

    @property
    def top(self) -> float:
        return round(100 - self.height, 2)

    @property
    def error_top(self) -> float:
        return round(100 - self.error_height, 2)


def bars(values: Sequence[tuple[str, int, int]]) -> list[Bar]:
    """One bar for each (label, total, errors) across a box of 1000 by 100, the highest as high as the box."""
    most = max((total for _, total, _ in values), default=0) or 1
    step = 1000 / max(len(values), 1)
    return [
        Bar(
            round(number * step + step * 0.1, 2),
            round(step * 0.8, 2),
            round(100 * total / most, 2),
            round(100 * errors / most, 2),
            label,
        )
        for number, (label, total, errors) in enumerate(values)
    ]


def sparkline(values: Sequence[int]) -> str:
    """The points of a polyline in a box of 100 by 24, for at least two values; nothing if all are zero."""
    most = max(values, default=0)
    if not most or len(values) < 2:
        return ""
    step = 100 / (len(values) - 1)
    return " ".join(f"{number * step:.1f},{22 - 20 * value / most:.1f}" for number, value in enumerate(values))
