from __future__ import annotations

from functools import partial
from typing import Any

from celery import Task
from django.db import transaction

from knowrithm.jobs import current_schema, enqueue
from knowrithm.turns import ask_for_turn

TURNS = "crawls"
RELATED = ("source__agent", "source__dataset")
MAX_ATTEMPTS = 4
GONE, UNLINKED, FORBIDDEN, REDIRECTED = "PAGE_GONE", "PAGE_UNLINKED", "PAGE_FORBIDDEN", "PAGE_REDIRECTED"
MANY_QUERIES = "PAGE_MANY_QUERIES"
NOT_COUNTED = (FORBIDDEN, REDIRECTED, MANY_QUERIES)  # against the limit of pages


class SliceOverError(Exception):
    """Somebody else's turn."""


def ask_for_worker(task: Task[Any, Any], *, countdown: float = 0) -> None:
    """Say that the current company has a crawl to work on, once the transaction commits."""
    if not countdown:
        transaction.on_commit(partial(ask_for_turn, TURNS, current_schema()), robust=True)
    enqueue(task, countdown=countdown)
