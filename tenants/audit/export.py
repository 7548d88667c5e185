"""The audit log as a CSV download that never stands in memory as a whole."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from tenants.audit.models import AuditEvent
from tenants.audit.selectors import AuditFilter, audit_batches
from tenants.audit.sentences import sentence

COLUMNS = (
    "position", "created_at", "event_type", "entity_type", "entity_id", "entity_label", "risk_level", "description",
    "actor_kind", "actor_id", "actor_label", "actor_role", "user_id", "impersonator_id", "impersonator_label",
    "ip_address", "user_agent", "request_id", "changes", "previous_digest", "digest",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_download(request: HttpRequest, *, schema: str, wanted: AuditFilter) -> StreamingHttpResponse:
    pieces = csv_pieces(audit_batches(schema, wanted))
    # Under ASGI Django would read a plain iterator to its end before it sends the first byte.
    content: Any = _in_threads(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="audit-log-{timezone.now():%Y-%m-%d}.csv"'
    return response


async def _in_threads(pieces: Iterator[str]) -> AsyncIterator[str]:
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece


def csv_pieces(batches: Iterable[list[AuditEvent]]) -> Iterator[str]:
    yield _lines([list(COLUMNS)])
    for batch in batches:
        yield _lines([[cell(_value(event, name)) for name in COLUMNS] for event in batch])


def _value(event: AuditEvent, name: str) -> Any:
    if name == "description":
        return sentence(event)
    if name == "created_at":
        return event.created_at.isoformat()
    return json.dumps(event.changes, ensure_ascii=False) if name == "changes" else getattr(event, name)


def cell(value: Any) -> str:
    """A value that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _lines(rows: list[list[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()
