from __future__ import annotations

import gc

from knowrithm.garbage import search_as_usual, search_rarely


def test_what_has_started_is_searched_as_usual_and_what_was_there_is_left_out() -> None:
    search_as_usual()  # a test before this one may have read the settings anew
    usual = gc.get_threshold()
    search_rarely()
    try:
        assert gc.get_threshold() > usual
    finally:
        search_as_usual()
    assert gc.get_threshold() == usual
    assert gc.get_freeze_count() > 100_000  # all of the product, once
