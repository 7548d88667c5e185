"""Ratings of answers, on the scale of stars that the API tells them in. No I/O."""

from __future__ import annotations


def stars(rating_sum: float, count: int) -> float:
    """Of `count` ratings of 1 (good) and -1 (bad): 5 where all are good, 1 where all are bad, 0 without any."""
    return round(3 + 2 * rating_sum / count, 2) if count else 0.0
