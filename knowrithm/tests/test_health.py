from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.test import Client

from knowrithm.db.redis import sync_redis
from knowrithm.health import WORKER_BEATS
from knowrithm.queues import QUEUES, SERVED, Presence

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_there() -> Iterator[None]:
    sync_redis().delete(SERVED, WORKER_BEATS)
    yield
    sync_redis().delete(SERVED, WORKER_BEATS)


def test_health_names_the_queues_that_nobody_serves() -> None:
    sync_redis().set(WORKER_BEATS, 1)
    Presence().note(("critical", "default"))
    Presence().note(("slow",))
    found = Client().get("/health").json()
    assert (found["status"], found["celery"]) == ("degraded", "running")
    assert found["unserved_queues"] == ["first", "low", "dead_letter"]
    Presence().note(("first", "low", "dead_letter"))
    assert (found := Client().get("/health").json())["status"] == "healthy", found


def test_a_worker_that_was_there_a_minute_ago_is_not() -> None:
    Presence().note(QUEUES)
    sync_redis().hset(SERVED, "slow", str(int(time.time()) - 60))
    assert Client().get("/health").json()["unserved_queues"] == ["slow"]


def test_a_worker_says_so_now_and_then() -> None:
    worker = Presence()
    worker.note(("slow",))
    sync_redis().delete(SERVED)
    worker.note(("slow",))
    assert not sync_redis().exists(SERVED), "fifteen seconds have not passed"
