"""Stretches of time, and the buckets of a series. Everything is in UTC; weeks begin on Monday."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` (in it) to `end` (not in it); `interval` is hour, day, week or month."""

    start: datetime
    end: datetime
    interval: str = "day"

    def buckets(self) -> Iterator[datetime]:
        """The beginnings of the buckets that the period touches, as `date_trunc` gives them."""
        bucket = truncate(self.start, self.interval)
        while bucket < self.end:
            yield bucket
            bucket = _next(bucket, self.interval)

    def label(self, bucket: datetime) -> str:
        return bucket.isoformat() if self.interval == "hour" else bucket.date().isoformat()

    def bucket_of(self, day: date) -> datetime:
        return truncate(datetime(day.year, day.month, day.day, tzinfo=UTC), self.interval)

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day that the period touches."""
        first = self.start.astimezone(UTC).date()
        return first, max((self.end - timedelta(microseconds=1)).astimezone(UTC).date(), first)

    @property
    def before(self) -> Period:
        """The stretch of the same length that ends where this one begins."""
        return Period(self.start - (self.end - self.start), self.start, self.interval)

    def summary(self) -> dict[str, str]:
        return {"start": self.start.isoformat(), "end": self.end.isoformat(), "interval": self.interval}


def truncate(moment: datetime, interval: str) -> datetime:
    moment = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if interval == "hour":
        return moment
    moment = moment.replace(hour=0)
    if interval == "week":
        return moment - timedelta(days=moment.weekday())
    return moment.replace(day=1) if interval == "month" else moment


def _next(bucket: datetime, interval: str) -> datetime:
    if interval == "month":
        return (bucket + timedelta(days=32)).replace(day=1)
    return bucket + {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}[interval]


def change_percent(now: float, before: float) -> float:
    """By how much `now` is more than `before`, in percent; from nothing to something is 100."""
    return round((now - before) / before * 100, 1) if before else (100.0 if now else 0.0)


def share(part: float, whole: float, *, digits: int = 2) -> float:
    return round(part / whole, digits) if whole else 0.0
