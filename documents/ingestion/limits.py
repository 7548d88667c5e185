"""How much one document may be, whatever its format."""

from __future__ import annotations

# About 8,000 printed pages. The whole text is held in memory more than once.
MAX_CHARACTERS = 20_000_000
# Each has a vector, and a worker holds all of a document's: with 3,072 numbers each that is 600 MB.
MAX_CHUNKS = 50_000
