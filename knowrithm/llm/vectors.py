"""Lists of vectors as embedding providers hand them around."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


def unit_length(vectors: Sequence[Sequence[float]]) -> list[list[float]]:
    """The vectors scaled to length 1; a zero vector stays as it is."""
    if not vectors:
        return []
    matrix = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    scaled: list[list[float]] = (matrix / np.where(lengths == 0.0, 1.0, lengths)).tolist()
    return scaled


def batches(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))
