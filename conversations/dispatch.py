"""Who answers a question: the web process that took it, while it has room, else a worker.

Through the queue a turn begins ten milliseconds later. Here it is as safe as there: its row is leased, and should this
process die, a worker takes the turn over.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

import structlog
from django.conf import settings
from django.db import connections, transaction
from django_tenants.utils import schema_context

from conversations import tasks, turn
from knowrithm.jobs import current_schema

log = structlog.get_logger(__name__)

EXPIRES = 3600  # seconds


class _Room:
    """For so many turns at a time: each takes processor time from the requests beside it."""

    def __init__(self, size: int) -> None:
        self._places = BoundedSemaphore(size)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="turn")

    def has_taken(self, schema: str, reply_id: uuid.UUID) -> bool:
        if not self._places.acquire(blocking=False):
            return False
        self._threads.submit(self._answer, schema, reply_id)
        return True

    def _answer(self, schema: str, reply_id: uuid.UUID) -> None:
        try:
            with schema_context(schema), structlog.contextvars.bound_contextvars(schema=schema):
                turn.run(reply_id)
        except Exception:  # nobody asks this thread how it went; beat has the turn taken up again
            log.exception("turn_dropped", reply=str(reply_id))
        finally:
            connections.close_all()
            self._places.release()


_room: _Room | None = None


def open_room() -> None:
    """Have this process answer, too. For the web process, once it serves."""
    global _room
    if settings.TURNS_IN_WEB:
        _room = _Room(settings.TURNS_IN_WEB)


def close_room() -> None:
    """Leave what comes now to the workers. What is being answered goes on while the process lives."""
    global _room
    _room = None


def answer_soon(reply_id: uuid.UUID) -> None:
    """Have the reply made, once the transaction commits."""
    schema = current_schema()

    def begin() -> None:
        if _room is None or not _room.has_taken(schema, reply_id):
            tasks.answer.apply_async(args=(schema, str(reply_id)), expires=EXPIRES)

    # Should the broker be down, the row is there all the same, and beat finds it.
    transaction.on_commit(begin, robust=True)
