"""The figures of one company's API keys: what is stored, and what still waits in Redis, each call once."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, Q, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from analytics.usage.models import StoredBatch, UsageHour
from knowrithm.errors import NotFoundError
from tenants import key_use
from tenants.enums import ApiKeyStatus
from tenants.models import ApiKey

FIRST_ERROR = 400
TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Figures:
    """`success_rate` is in percent, times are milliseconds."""

    requests: int = 0
    successes: int = 0
    total_ms: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(self.requests + other.requests, self.successes + other.successes, self.total_ms + other.total_ms)

    @property
    def errors(self) -> int:
        return self.requests - self.successes

    @property
    def success_rate(self) -> float:
        return round(100 * self.successes / self.requests, 2) if self.requests else 0.0

    @property
    def average_ms(self) -> float:
        return round(self.total_ms / self.requests, 2) if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Peaks:
    """The most that a key was let in for in one hour and in one day."""

    key: ApiKey
    hourly: int
    daily: int

    @property
    def hourly_percent(self) -> float:
        return round(100 * self.hourly / self.key.limits[0], 2)

    @property
    def daily_percent(self) -> float:
        return round(100 * self.daily / self.key.limits[1], 2)


def first_day(days: int) -> date:
    """Of a period of `days` days that ends today, in UTC."""
    return timezone.now().astimezone(UTC).date() - timedelta(days=days - 1)


def usage_by(
    company_id: uuid.UUID,
    *names: str,
    days: int,
    key_id: uuid.UUID | None = None,
    without_status: int | None = None,
) -> dict[tuple[Any, ...], Figures]:
    """Figures by the values of `names`: hour, day, endpoint, method, status, key_id (at least one)."""
    # Redis first: a batch that is stored after this look is recognised by its id. In the other order it would be lost.
    batches = key_use.waiting(company_id)
    since = datetime.combine(first_day(days), time(), UTC)
    rows = UsageHour.objects.filter(company_id=company_id, hour__gte=since)
    if key_id is not None:
        rows = rows.filter(api_key_id=key_id)
    if without_status is not None:
        rows = rows.exclude(status=without_status)
    columns = {"day": TruncDate("hour", tzinfo=UTC), "key_id": F("api_key_id")}
    # Which batches are stored is asked in the same statement, so it is true of exactly these rows. Where there are no
    # rows at all, none of the batches has brought any.
    stored_ids = ArraySubquery(StoredBatch.objects.filter(pk__in=[batch.id for batch in batches]).values("pk"))
    grouped = (
        rows.values(
            *(name for name in names if name not in columns),
            **{name: columns[name] for name in names if name in columns},
        )
        .annotate(
            requests=Sum("count"),
            successes=Sum("count", filter=Q(status__lt=FIRST_ERROR), default=0),
            milliseconds=Sum("total_ms"),
            stored=stored_ids,
        )
        .order_by()
    )
    found: dict[tuple[Any, ...], Figures] = {}
    stored: set[uuid.UUID] = set()
    for row in grouped:
        stored.update(row["stored"] or ())
        found[tuple(row[name] for name in names)] = Figures(row["requests"], row["successes"], row["milliseconds"])
    for batch in batches:
        for waiting in batch.rows if batch.id not in stored else ():
            if waiting.hour >= since and key_id in {None, waiting.key_id} and waiting.status != without_status:
                place = tuple(waiting.hour.date() if name == "day" else getattr(waiting, name) for name in names)
                good = waiting.count if waiting.status < FIRST_ERROR else 0
                found[place] = found.get(place, Figures()) + Figures(waiting.count, good, waiting.total_ms)
    return found


def total_usage(company_id: uuid.UUID, *, days: int, key_id: uuid.UUID | None = None) -> Figures:
    return sum(usage_by(company_id, "status", days=days, key_id=key_id).values(), Figures())


def busiest(figures: Mapping[tuple[Any, ...], Figures], limit: int) -> list[tuple[tuple[Any, ...], Figures]]:
    return sorted(figures.items(), key=lambda item: (-item[1].requests, str(item[0])))[:limit]


def most_errors(figures: Mapping[tuple[Any, ...], Figures], limit: int) -> list[tuple[tuple[Any, ...], Figures]]:
    with_errors = [item for item in figures.items() if item[1].errors]
    return sorted(with_errors, key=lambda item: (-item[1].errors, str(item[0])))[:limit]


def keys_of(company_id: uuid.UUID) -> dict[uuid.UUID, ApiKey]:
    return {key.id: key for key in ApiKey.objects.select_related("company").filter(company_id=company_id)}


def key_of(company_id: uuid.UUID, key_id: uuid.UUID) -> ApiKey:
    key = ApiKey.objects.select_related("company").filter(company_id=company_id, pk=key_id).first()
    if key is None:
        raise NotFoundError("There is no such API key.")
    return key


def count_keys(company_id: uuid.UUID) -> dict[str, int]:
    counts = Counter(key.status for key in keys_of(company_id).values())
    wanted = (ApiKeyStatus.ACTIVE, ApiKeyStatus.REVOKED, ApiKeyStatus.EXPIRED)
    return {"total": sum(counts.values()), **{status.value: counts[status] for status in wanted}}


def peaks(company_id: uuid.UUID, *, days: int) -> list[Peaks]:
    """Of every key with calls in the period, the ones nearest to a limit first. Refused calls count against none."""
    hourly: Counter[uuid.UUID] = Counter()
    daily: Counter[tuple[uuid.UUID, date]] = Counter()
    for (key_id, hour), figures in usage_by(company_id, "key_id", "hour", days=days, without_status=TOO_MANY).items():
        hourly[key_id] = max(hourly[key_id], figures.requests)
        daily[key_id, hour.date()] += figures.requests
    most_a_day: Counter[uuid.UUID] = Counter()
    for (key_id, _), requests in daily.items():
        most_a_day[key_id] = max(most_a_day[key_id], requests)
    keys = keys_of(company_id)
    found = [Peaks(keys[key_id], hourly[key_id], most_a_day[key_id]) for key_id in hourly if key_id in keys]
    return sorted(found, key=lambda peak: (-max(peak.hourly_percent, peak.daily_percent), peak.key.name))
