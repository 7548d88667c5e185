"""The task record that a client polls, and the way to queue work for a company.

A record lives in Redis for a day. It is readable with a credential of its company, and by its unguessable id alone
while it runs and for fifteen minutes after: a published client polls without credentials. So no token or secret may
ever be put into a result.
"""

from __future__ import annotations

import functools
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import structlog
from celery import Task, shared_task
from django.db import transaction
from django_tenants.utils import get_tenant_model, schema_context

from knowrithm.db.redis import sync_redis
from knowrithm.db.schema import is_in_company, schema_name, shared_row
from knowrithm.errors import ServiceError

LIFETIME = 24 * 3600  # seconds
ANONYMOUS_AFTER_END = 15 * 60  # seconds
# Keys of a result that would change how a client reads the status document they are spread into.
NEVER_SPREAD = {"status", "state", "error", "errors", "task_id", "http_status", "data"}


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """One task's state. `status` is pending, processing, completed or failed; `progress` runs from 0 to 100."""

    id: str
    schema: str
    status: str = "pending"
    progress: int = 0
    stage: str = ""
    result: Mapping[str, Any] | None = None
    error: str = ""
    error_code: str = ""
    created_at: float = 0.0
    completed_at: float | None = None
    is_polled: bool = False  # somebody has asked for it while it ran

    @property
    def is_over(self) -> bool:
        return self.status in {"completed", "failed"}

    def is_readable_by(self, schema: str | None) -> bool:
        if schema == self.schema:
            return True
        return self.completed_at is None or time.time() - self.completed_at < ANONYMOUS_AFTER_END

    def as_document(self) -> dict[str, Any]:
        """The status document of the contract's section 1.6: each client finds its own words in it."""
        states = {"pending": "PENDING", "processing": "PROGRESS", "completed": "SUCCESS", "failed": "FAILURE"}
        document: dict[str, Any] = {
            "task_id": self.id,
            "status": self.status,
            "state": states[self.status],
            "progress": self.progress,
            "error": None,
            "created_at": _iso(self.created_at),
            "completed_at": _iso(self.completed_at),
        }
        if self.stage:
            document["stage"] = self.stage
        if self.status == "completed":
            result = dict(self.result or {})
            spread = {name: value for name, value in result.items() if name not in NEVER_SPREAD}
            document = {**spread, **document, "result": result}
        if self.status == "failed":
            document |= {"error": self.error, "message": self.error, "error_code": self.error_code}
        return document


def _iso(moment: float | None) -> str | None:
    return datetime.fromtimestamp(moment, UTC).isoformat() if moment else None


def _key(task_id: str) -> str:
    return f"task:{task_id}"


def _write(task_id: str, **fields: Any) -> None:
    # Always with the company: should Redis have lost the record, half of one must still be readable.
    mapping = {name: json.dumps(value) for name, value in {"schema": current_schema(), **fields}.items()}
    pipe = sync_redis().pipeline()
    pipe.hset(_key(task_id), mapping=mapping)
    pipe.expire(_key(task_id), LIFETIME)
    pipe.execute()


def create_task() -> str:
    """Open a record for the current company; returns its id."""
    task_id = str(uuid.uuid4())
    _write(task_id, status="pending", created_at=time.time())
    return task_id


def report_progress(task_id: str, progress: int, stage: str = "") -> None:
    _write(task_id, status="processing", progress=min(max(progress, 0), 99), stage=stage)


def complete_task(task_id: str, result: Mapping[str, Any]) -> None:
    _write(task_id, status="completed", progress=100, result=dict(result), completed_at=time.time())


def fail_task(task_id: str, error: str, code: str) -> None:
    _write(task_id, status="failed", error=error, error_code=code, completed_at=time.time())


def note_polling(record: TaskRecord) -> None:
    if not record.is_polled and not record.is_over:
        sync_redis().hset(_key(record.id), "is_polled", "true")


def read_task(task_id: str) -> TaskRecord | None:
    raw = cast(dict[str, str], sync_redis().hgetall(_key(task_id)))
    if not raw:
        return None
    return TaskRecord(id=task_id, **{name: json.loads(value) for name, value in raw.items()})


def forget_tasks(schema: str) -> None:
    """Delete every record of a company that is no more."""
    redis = sync_redis()
    for key in redis.scan_iter(_key("*"), count=1000):
        if redis.hget(key, "schema") == json.dumps(schema):
            redis.delete(key)


class NoCompanyError(ServiceError):
    """Work for a company was asked for while no company is set: a fault of ours, never to be papered over."""

    code = "INTERNAL_ERROR"
    status = 500


def current_schema() -> str:
    if not is_in_company():
        raise NoCompanyError("No company is set.")
    return schema_name()


def company_task(**options: Any) -> Callable[[Callable[..., None]], Task[Any, Any]]:
    """A Celery task that runs inside one company's schema.

    The schema is the message's first argument and is entered by a context manager inside the job, because a worker
    thread keeps whatever schema it was last given. A task without a company cannot be written this way at all.
    For a company that is out of use nothing is done: should it come back, beat finds what was left.
    """

    def decorate(function: Callable[..., None]) -> Task[Any, Any]:
        @functools.wraps(function)
        def run(schema: str, *arguments: str) -> None:
            if not is_usable(schema):
                return
            with schema_context(schema), structlog.contextvars.bound_contextvars(schema=schema):
                function(*arguments)

        del run.__wrapped__  # or Celery would check calls against its signature
        return cast("Task[Any, Any]", shared_task(**options)(run))

    return decorate


def enqueue(task: Task[Any, Any], *arguments: str, countdown: float = 0, expires: float = 24 * 3600) -> None:
    """Queue a `company_task` for the current company once the transaction commits. Arguments are ids, as text."""
    schema = current_schema()

    def send() -> None:
        task.apply_async(args=(schema, *arguments), countdown=countdown, expires=expires)

    # Should the broker be down, the rows are there all the same, and beat finds them.
    transaction.on_commit(send, robust=True)


def for_each_company(task: Task[Any, Any], *, expires: float) -> None:
    """Queue `task` once for every company: what a beat entry does. `expires` (seconds) is just under its period."""
    for schema in _usable_companies().values_list("schema_name", flat=True):
        task.apply_async(args=(schema,), expires=expires)


def is_usable(schema: str) -> bool:
    """Whether the company is there, and not out of use."""
    table = get_tenant_model()._meta.db_table
    query = f"SELECT 1 FROM public.{table} WHERE schema_name = %s AND is_ready AND is_active AND archived_at IS NULL"  # noqa: S608  # our own table's name
    return shared_row(query, schema) is not None


def _usable_companies() -> Any:
    return get_tenant_model().objects.filter(is_ready=True, is_active=True, archived_at=None)
