"""Rows that one worker at a time works on.

A worker claims a row with one conditional UPDATE, keeps its lease alive while it works, and writes only while the
lease is still its own. When it dies the lease runs out and the next worker takes the row over.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, Self, TypeVar

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, models
from django.utils import timezone
from django_tenants.utils import schema_context

from knowrithm.db.compiled import ANY_ID, CompiledQuery
from knowrithm.db.schema import schema_name

log = structlog.get_logger(__name__)

Leased = TypeVar("Leased", bound="LeasedModel")

LEASE = timedelta(seconds=settings.LEASE_SECONDS)
HEARTBEAT_SECONDS = settings.LEASE_SECONDS / 4


class LostLeaseError(Exception):
    """The work was cancelled, or another worker has taken it over: this one must not write any more."""


_CLAIM = """
UPDATE {} SET status = %(working)s, lease_id = %(lease_id)s, lease_until = %(until)s, attempts = attempts + 1
WHERE id = %(pk)s AND (status = %(waiting)s OR (status = %(working)s AND lease_until < %(now)s))
"""


class LeasedModel(models.Model):
    """Needs a `status` field; `WAITING` and `WORKING` name its two unfinished values."""

    WAITING = "pending"
    WORKING = "processing"

    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    lease_id = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    @classmethod
    def claim(cls, pk: uuid.UUID, *related: str) -> Self | None:
        """Take the row if it waits, or if the lease of whoever works on it has run out. None: it is not free."""
        now = timezone.now()
        values: dict[str, Any] = {
            "pk": pk, "waiting": cls.WAITING, "working": cls.WORKING,
            "lease_id": uuid.uuid4(), "now": now, "until": now + LEASE,
        }  # fmt: skip
        taken = _unhurried(_CLAIM.format(cls._meta.db_table), values)
        return _row_with(cls, related).get(pk) if taken else None

    @classmethod
    def abandoned(cls) -> models.QuerySet[Self]:
        """Rows whose worker has died."""
        dead = models.Q(status=cls.WORKING, lease_until__lt=timezone.now())
        return cls._default_manager.filter(dead)

    def update_if_held(self, **values: Any) -> bool:
        """Write while the lease is still ours; False says that another worker has taken over."""
        mine = models.Q(pk=self.pk, lease_id=self.lease_id, status=self.WORKING)
        return bool(type(self)._default_manager.filter(mine).update(**values))

    def give_back(self) -> None:
        """It is not this one's turn yet: somebody claims it again, and this was no attempt."""
        self.update_if_held(status=self.WAITING, lease_id=None, lease_until=None, attempts=models.F("attempts") - 1)

    def end_lease(self) -> None:
        """Of a row that has ended, once all is done that whoever finds an old lease would do again."""
        _unhurried(f"UPDATE {self._meta.db_table} SET lease_until = NULL WHERE id = %(pk)s", {"pk": self.pk})  # noqa: S608  # our own table's name

    def is_held(self) -> bool:
        """Whether the row is still ours: nobody has taken it over, cancelled or finished it."""
        mine = models.Q(pk=self.pk, lease_id=self.lease_id, status=self.WORKING)
        return type(self)._default_manager.filter(mine).exists()

    @contextmanager
    def kept_alive(self) -> Iterator[threading.Event]:
        """Renew the lease from a thread until the block ends. The event is cleared once the lease has been lost."""
        held, done = threading.Event(), threading.Event()
        held.set()
        schema = schema_name()

        def beat() -> None:
            while not done.wait(HEARTBEAT_SECONDS):
                try:
                    with schema_context(schema):
                        if not self.update_if_held(lease_until=timezone.now() + LEASE):
                            held.clear()
                except DatabaseError:
                    log.warning("heartbeat_missed", row=str(self.pk))
                finally:
                    connection.close()

        thread = threading.Thread(target=beat, name=f"lease-{self.pk}", daemon=True)
        thread.start()
        try:
            yield held
        finally:
            done.set()
            thread.join()


def _unhurried(statement: str, values: dict[str, Any]) -> int:
    """How many rows it changed. The disk need not hear of it at once, while somebody waits: should the server go down
    before it does, the row is as if nobody had touched it. In a transaction that would be true of all the rest too.
    """
    hurry = "" if connection.in_atomic_block else "SET LOCAL synchronous_commit = off; "
    with connection.cursor() as cursor:
        cursor.execute(hurry + statement, values)
        if hurry:
            cursor.nextset()
        return int(cursor.rowcount)


@cache
def _row_with(model: type[Leased], related: tuple[str, ...]) -> CompiledQuery[Leased]:
    rows = model._default_manager
    return CompiledQuery(lambda: rows.filter(pk=ANY_ID).select_related(*related))
