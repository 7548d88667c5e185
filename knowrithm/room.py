"""Room in a worker: how many of its threads the questions of one company may hold.

A model that hangs holds the thread of each of its questions for a minute and more, and a worker has so many. The last
ones are kept for companies that have few questions under way, so that what hangs for some holds up nobody else.

It is counted in the process, whose threads are what there is to share: that costs nothing, and dies with it.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

FEW = 4  # questions under way; a quarter of the threads is for companies that have fewer
PAUSE = (0.5, 1.5)  # seconds after which it is tried again


class Room:
    def __init__(self) -> None:
        self.threads: int | None = None  # of the worker; outside of one there is always room
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()  # by schema
        self._due: dict[str, float] = {}  # when what found no room is tried again

    @contextmanager
    def place_for(self, schema: str, work: str) -> Iterator[bool]:
        """Whether there is a place for it, which is held until the block ends."""
        is_free = self._enter(schema, work)
        try:
            yield is_free
        finally:
            if is_free:
                self._leave(schema)

    def pause_before(self, work: str) -> float | None:
        """In how many seconds to try once more. None: that is under way, by another message for the same work."""
        now = time.monotonic()
        with self._lock:
            if self._due.get(work, 0.0) > now:
                return None
            seconds = random.uniform(*PAUSE)  # noqa: S311  # so that they do not come all at once
            self._due[work] = now + seconds
            return seconds

    def _enter(self, schema: str, work: str) -> bool:
        with self._lock:
            if self.threads is not None and self._held[schema] >= FEW:
                kept = self.threads // 4
                if self._held.total() >= self.threads - kept:
                    return False
            self._held[schema] += 1
            self._due.pop(work, None)
            return True

    def _leave(self, schema: str) -> None:
        with self._lock:
            self._held[schema] -= 1
            if not self._held[schema]:
                del self._held[schema]
            if not self._held:
                self._due.clear()  # what has found its place in another worker meanwhile


ROOM = Room()
