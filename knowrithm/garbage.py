"""When Python looks for garbage. What a process imports while it starts stays, and to search it again and again, as
more and more of it is there, takes a fifth of the start.
"""

from __future__ import annotations

import gc

_USUAL = gc.get_threshold()


def search_rarely() -> None:
    """Until `search_as_usual`: a start is short."""
    gc.set_threshold(100_000, 50, 1000)


def search_as_usual() -> None:
    """What is there by now is left out from here on. Processes that are forked later go on sharing its memory."""
    gc.freeze()
    gc.set_threshold(*_USUAL)
