"""How much one document may be, whatever its format."""

from __future__ import annotations

# About 8,000 printed pages. The whole text is held in memory more than once.
MAX_CHARACTERS = 20_000_000
