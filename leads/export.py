"""Leads, and the rows of a file that were refused, as CSV downloads."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

from django.core.files import File
from django.db.models import Q
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django_tenants.utils import schema_context

from agents.models import LeadField
from knowrithm.db.schema import release_connection
from knowrithm.downloads import CSV, cell, csv_download, file_download
from leads.csv_rows import Row
from leads.field_values import text_of
from leads.models import Lead, LeadImport
from leads.selectors import LeadFilter, leads_list

BATCH = 1000
IN_MEMORY = 1024 * 1024  # bytes
REFUSED_COLUMNS = ("line", "error")
COLUMNS = (
    "id", "first_name", "last_name", "email", "phone", "status", "score", "agent", "source", "tags", "notes",
    "metadata", "consent_marketing", "consent_data_processing", "last_activity", "created_at",
)  # fmt: skip


def leads_download(
    request: HttpRequest, *, schema: str, wanted: LeadFilter, fields: Sequence[LeadField]
) -> StreamingHttpResponse:
    """Newest first, whatever the order that is `wanted`. `fields`, which the company has defined, come last."""
    rows = _rows(lead_batches(schema, replace(wanted, sort="")), fields)
    return csv_download(request, rows, name=f"leads-{timezone.now():%Y-%m-%d}.csv")


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
    name = f"refused-{row.pk}.csv"
    if row.refused:
        return file_download(request, row.refused.open("rb"), name=name, content_type=CSV)
    return csv_download(request, [[REFUSED_COLUMNS, *row.errors]], name=name)


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


def _rows(batches: Iterable[list[Lead]], fields: Sequence[LeadField]) -> Iterator[Iterable[Sequence[Any]]]:
    keys = [field.key for field in fields]
    yield [(*COLUMNS, *keys)]
    for batch in batches:
        yield [
            [*(_value(lead, name) for name in COLUMNS), *(text_of(lead.custom_fields.get(key)) for key in keys)]
            for lead in batch
        ]


def _value(lead: Lead, name: str) -> Any:
    value = getattr(lead, name)
    if name == "agent":
        return lead.agent.name if lead.agent else ""
    if name == "tags":
        return ", ".join(lead.tags)
    if name == "metadata":
        return json.dumps(value, ensure_ascii=False) if value else ""
    return value.isoformat() if name in {"last_activity", "created_at"} else value
