"""Reading the audit log of the schema that is set."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django_tenants.utils import schema_context

from knowrithm.db.schema import release_connection
from tenants.audit.models import AuditEvent

BATCH = 500  # rows read at once for a download


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to look for; what is left out does not narrow. `action` is an event's name or the part after its dot."""

    entity_type: str = ""
    event_type: str = ""
    action: str = ""
    risk_level: str = ""
    user_id: uuid.UUID | None = None
    search: str = ""
    start: datetime | None = None
    before: datetime | None = None


def audit_events(wanted: AuditFilter) -> QuerySet[AuditEvent]:
    """Newest first."""
    rows = AuditEvent.objects.all()
    for name in ("entity_type", "event_type", "risk_level", "user_id"):
        if value := getattr(wanted, name):
            rows = rows.filter(**{name: value})
    if wanted.action:
        rows = rows.filter(Q(event_type=wanted.action) | Q(event_type__endswith=f".{wanted.action}"))
    if wanted.start:
        rows = rows.filter(created_at__gte=wanted.start)
    if wanted.before:
        rows = rows.filter(created_at__lt=wanted.before)
    for word in wanted.search.split()[:5]:
        rows = rows.filter(
            Q(actor_label__icontains=word) | Q(entity_label__icontains=word) | Q(event_type__icontains=word)
        )
    return rows


def audit_batches(schema: str, wanted: AuditFilter) -> Iterator[list[AuditEvent]]:
    """Every row that is wanted, newest first, in pieces. The schema is set, and a connection held, only in between."""
    last: int | None = None
    while True:
        with schema_context(schema):
            rows = audit_events(wanted)
            batch = list((rows if last is None else rows.filter(position__lt=last))[:BATCH])
        release_connection()
        if not batch:
            return
        yield batch
        last = batch[-1].position


def moment_from(text: str, *, is_end: bool = False) -> datetime | None:
    """A day or a moment of a filter, in the time zone that is set; the end of a day is the beginning of the next.

    None when it is neither.
    """
    try:
        if day := parse_date(text):
            return timezone.make_aware(datetime.combine(day + timedelta(days=int(is_end)), time.min))
        moment = parse_datetime(text)
        return timezone.make_aware(moment) if moment is not None and timezone.is_naive(moment) else moment
    except (ValueError, OverflowError):
        return None
