"""How much one document may be, whatever its format."""

from __future__ import annotations

import resource

# About 8,000 printed pages. The whole text is held in memory more than once.
MAX_CHARACTERS = 20_000_000
# Each has a vector, and a worker holds all of a document's: with 3,072 numbers each that is 600 MB.
MAX_CHUNKS = 50_000

_UNTOUCHED_MB = 512


def hold_memory(megabytes: int, *, most: int | None = None) -> None:
    """Hold this process to so much memory that it may write to; it can be called again for up to `most`."""
    # Of the address space much is never touched: reserved for threads, or files that others map as well. What can be
    # written to is near to the memory really used. The wider limit is for memory that is shared, which it leaves out.
    for limit, extra in ((resource.RLIMIT_DATA, 0), (resource.RLIMIT_AS, _UNTOUCHED_MB)):
        resource.setrlimit(limit, ((megabytes + extra) * 2**20, ((most or megabytes) + extra) * 2**20))
