from __future__ import annotations

from contextlib import ExitStack

import pytest

from knowrithm import room
from knowrithm.room import Room


def filled(threads: int | None, **held: int) -> tuple[Room, ExitStack]:
    """A worker's room in which each company has asked for so many places, and what holds them."""
    made, holding = Room(), ExitStack()
    made.threads = threads
    for schema, count in held.items():
        for number in range(count):
            holding.enter_context(made.place_for(schema, f"{schema} {number}"))
    return made, holding


def has_place(made: Room, schema: str) -> bool:
    with made.place_for(schema, "one more") as is_free:
        return is_free


def test_the_last_threads_are_kept_for_companies_with_few_questions() -> None:
    made, holding = filled(80, acme=60)
    assert [has_place(made, schema) for schema in ("acme", "globex")] == [False, True]
    with holding:
        pass
    assert has_place(made, "acme")


def test_two_companies_whose_models_hang_hold_up_nobody_else() -> None:
    made, _ = filled(80, acme=100, globex=100)
    assert [has_place(made, schema) for schema in ("acme", "globex", "initech")] == [False, False, True]


@pytest.mark.parametrize(("threads", "most"), [(None, 200), (256, 192), (80, 60), (8, 6), (1, 4)])
def test_how_many_one_company_may_have(threads: int | None, most: int) -> None:
    made, _ = filled(threads, acme=200)
    assert made._held["acme"] == most


def test_what_waits_is_tried_again_once_however_many_messages_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAUSE", (100.0, 100.0))
    made, _ = filled(80, acme=60)
    assert [made.pause_before("a"), made.pause_before("a"), made.pause_before("b")] == [100.0, None, 100.0]
    made.threads = None
    assert has_place(made, "acme")
    with made.place_for("acme", "a"):
        assert made.pause_before("a") == 100.0, "it had its place: another message begins anew"
