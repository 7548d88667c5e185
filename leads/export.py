"""Leads, and the rows of a file that were refused, as CSV downloads that never stand in memory as a whole."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

from asgiref.sync import sync_to_async
from django.core.files import File
from django.core.handlers.asgi import ASGIRequest
from django.db.models import Q
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django_tenants.utils import schema_context

from agents.models import LeadField
from knowrithm.db.schema import release_connection
from leads.csv_rows import Row
from leads.field_values import text_of
from leads.models import Lead, LeadImport
from leads.selectors import LeadFilter, leads_list
from tenants.audit.export import cell

BATCH = 1000
IN_MEMORY = 1024 * 1024  # bytes
REFUSED_COLUMNS = ("line", "error")
COLUMNS = (
    "id", "first_name", "last_name", "email", "phone", "status", "score", "agent", "source", "tags", "notes",
    "metadata", "consent_marketing", "consent_data_processing", "last_activity", "created_at",
)  # fmt: skip


def csv_download(
    request: HttpRequest, *, schema: str, wanted: LeadFilter, fields: Sequence[LeadField]
) -> StreamingHttpResponse:
    """Newest first, whatever the order that is `wanted`. `fields`, which the company has defined, come last."""
    pieces = csv_pieces(lead_batches(schema, replace(wanted, sort="")), fields)
    # Under ASGI Django would read a plain iterator to its end before it sends the first byte.
    content: Any = _in_threads(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="leads-{timezone.now():%Y-%m-%d}.csv"'
    return response


class RefusedRows:
    """The lines of a file that were refused and why, written while the file is read. Nothing of what they say."""

    def __init__(self) -> None:
        spooled = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  # closed with the text around it
        self._text = io.TextIOWrapper(spooled, encoding="utf-8", newline="")
        self._rows = csv.writer(self._text)
        self._rows.writerow(REFUSED_COLUMNS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()

    def add(self, row: Row) -> None:
        self._rows.writerow([row.line, cell(row.fault)])

    def file(self) -> File[Any]:
        self._text.flush()
        self._text.seek(0)
        return File(self._text.buffer)


def refused_download(request: HttpRequest, row: LeadImport) -> StreamingHttpResponse:
    """All rows of the file that were refused; of an import from before these were kept, the first of them."""
    pieces: Iterator[Any]
    if row.refused:
        file = row.refused.open("rb")
        pieces = file.chunks()
    else:
        file = None
        pieces = iter([_lines([list(REFUSED_COLUMNS), *([str(line), cell(text)] for line, text in row.errors)])])
    content: Any = _in_threads(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="refused-{row.pk}.csv"'
    if file is not None:
        response._resource_closers.append(file.close)  # type: ignore[attr-defined]  # as Django's FileResponse does
    return response


async def _in_threads(pieces: Iterator[Any]) -> AsyncIterator[Any]:
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece


def lead_batches(schema: str, wanted: LeadFilter) -> Iterator[list[Lead]]:
    """The schema is set, and a connection held, only while a batch is read."""
    last: Lead | None = None
    while True:
        with schema_context(schema):
            rows = leads_list(wanted).order_by("-created_at", "-pk")
            if last is not None:
                at = last.created_at
                rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, pk__lt=last.pk))
            batch = list(rows[:BATCH])
        release_connection()
        if not batch:
            return
        yield batch
        last = batch[-1]


def csv_pieces(batches: Iterable[list[Lead]], fields: Sequence[LeadField]) -> Iterator[str]:
    keys = [field.key for field in fields]
    yield _lines([[*COLUMNS, *keys]])
    for batch in batches:
        yield _lines(
            [
                [
                    *(cell(_value(lead, name)) for name in COLUMNS),
                    *(cell(text_of(lead.custom_fields.get(key))) for key in keys),
                ]
                for lead in batch
            ]
        )


def _value(lead: Lead, name: str) -> Any:
    value = getattr(lead, name)
    if name == "agent":
        return lead.agent.name if lead.agent else ""
    if name == "tags":
        return ", ".join(lead.tags)
    if name == "metadata":
        return json.dumps(value, ensure_ascii=False) if value else ""
    return value.isoformat() if name in {"last_activity", "created_at"} else value


def _lines(rows: list[list[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()
