"""The audit log as a CSV download."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from knowrithm.downloads import csv_download
from tenants.audit.models import AuditEvent
from tenants.audit.selectors import AuditFilter, audit_batches
from tenants.audit.sentences import sentence

COLUMNS = (
    "position", "created_at", "event_type", "entity_type", "entity_id", "entity_label", "risk_level", "description",
    "actor_kind", "actor_id", "actor_label", "actor_role", "user_id", "impersonator_id", "impersonator_label",
    "ip_address", "user_agent", "request_id", "changes", "previous_digest", "digest",
)  # fmt: skip


def audit_download(request: HttpRequest, *, schema: str, wanted: AuditFilter) -> StreamingHttpResponse:
    name = f"audit-log-{timezone.now():%Y-%m-%d}.csv"
    return csv_download(request, _rows(audit_batches(schema, wanted)), name=name)


def _rows(batches: Iterable[list[AuditEvent]]) -> Iterator[Iterable[Sequence[Any]]]:
    yield [COLUMNS]
    for batch in batches:
        yield [[_value(event, name) for name in COLUMNS] for event in batch]


def _value(event: AuditEvent, name: str) -> Any:
    if name == "description":
        return sentence(event)
    if name == "created_at":
        return event.created_at.isoformat()
    return json.dumps(event.changes, ensure_ascii=False) if name == "changes" else getattr(event, name)
