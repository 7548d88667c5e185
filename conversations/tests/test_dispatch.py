"""Who answers: the web process while it has room, else a worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from conftest import Character
from conversations import dispatch
from knowrithm.db.redis import sync_redis


def queued() -> list[str]:
    """The ids of the replies that wait for a worker."""
    messages: Any = sync_redis().lrange("critical", 0, -1)
    return [json.loads(message)["headers"]["argsrepr"] for message in messages]


@pytest.fixture
def room(settings: Settings) -> Iterator[dispatch._Room]:
    settings.TURNS_IN_WEB = 1
    dispatch.open_room()
    assert dispatch._room is not None
    yield dispatch._room
    dispatch.close_room()


def test_a_process_that_serves_nobody_leaves_all_to_the_workers(
    in_acme: Character, unknown_id: Any, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        dispatch.answer_soon(unknown_id)
    assert [str(unknown_id) in one for one in queued()[:1]] == [True]


def test_what_the_room_holds_is_not_queued_and_its_place_is_free_again(
    in_acme: Character,
    room: dispatch._Room,
    unknown_id: Any,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    before = len(queued())
    for _ in range(3):  # a turn of nobody's reply is over at once
        with django_capture_on_commit_callbacks(execute=True):
            dispatch.answer_soon(unknown_id)
        assert room._places.acquire(timeout=10)
        room._places.release()
    assert len(queued()) == before
    with room._places, django_capture_on_commit_callbacks(execute=True):  # full
        dispatch.answer_soon(unknown_id)
    assert len(queued()) == before + 1
    assert connections["default"].in_atomic_block  # the room's threads have closed their own


def test_a_turn_that_cannot_even_begin_is_told_of_and_frees_its_place(
    db: None, room: dispatch._Room, unknown_id: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert room.has_taken("no_such_schema", unknown_id)
    assert room._places.acquire(timeout=10)
    room._places.release()
    assert ["turn_dropped" in record.getMessage() for record in caplog.records] == [True]
