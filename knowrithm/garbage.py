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


def search_for_what_requests_leave() -> None:
    """For the web process, once it serves. To search all that there is stops every request, with ten thousand streams
    for more than a second. What is there from the start is left out, and the rest is searched rarely: what requests
    leave behind is young, and is found all the same.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
