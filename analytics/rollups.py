"""Counting a company's days. Counting again gives the same row: a day is counted from the company's own rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import F
from django.utils import timezone

from analytics.models import CompanyDaily
from analytics.selectors.everywhere import companies_with_schema, select_everywhere
from tenants.models import Company

FRESH = timedelta(seconds=60)  # today's row is not counted again before
LONGEST = timedelta(days=400)  # how far back a company's first counting goes

# One row per day. Its columns are those of CompanyDaily.COUNTS, in that order.
DAYS = """
SELECT {company}, day::date,
  (SELECT count(*) FROM {users} WHERE company_id = {company} AND created_at < day + interval '1 day'),
  (SELECT count(*) FROM {agents} WHERE created_at < day + interval '1 day'
     AND (archived_at IS NULL OR archived_at >= day + interval '1 day')),
  (SELECT count(*) FROM {documents} WHERE created_at < day + interval '1 day'
     AND (archived_at IS NULL OR archived_at >= day + interval '1 day')),
  (SELECT count(*) FROM {documents} WHERE status = 'processed' AND created_at < day + interval '1 day'
     AND (archived_at IS NULL OR archived_at >= day + interval '1 day')),
  (SELECT coalesce(sum(file_size), 0)::bigint FROM {documents} WHERE created_at < day + interval '1 day'
     AND (archived_at IS NULL OR archived_at >= day + interval '1 day')),
  (SELECT count(*) FROM {users}
     WHERE company_id = {company} AND created_at >= day AND created_at < day + interval '1 day'),
  (SELECT count(*) FROM {documents} WHERE created_at >= day AND created_at < day + interval '1 day'),
  (SELECT coalesce(sum(file_size), 0)::bigint FROM {documents}
     WHERE created_at >= day AND created_at < day + interval '1 day'),
  (SELECT count(*) FROM {conversations} WHERE created_at >= day AND created_at < day + interval '1 day'),
  (SELECT count(*) FROM {messages} WHERE created_at >= day AND created_at < day + interval '1 day'),
  (SELECT count(*) FROM {leads} WHERE created_at >= day AND created_at < day + interval '1 day'),
  (SELECT coalesce(sum(input_tokens + output_tokens), 0)::bigint FROM {messages}
     WHERE created_at >= day AND created_at < day + interval '1 day'),
  (SELECT count(*) FROM {users} AS person WHERE company_id = {company} AND (
     EXISTS (SELECT FROM {sessions} WHERE user_id = person.id AND (
       (created_at >= day AND created_at < day + interval '1 day')
       OR (last_seen_at >= day AND last_seen_at < day + interval '1 day')))
     OR EXISTS (SELECT FROM {conversations} WHERE user_id = person.id
       AND created_at >= day AND created_at < day + interval '1 day')
     OR EXISTS (SELECT FROM {documents} WHERE user_id = person.id
       AND created_at >= day AND created_at < day + interval '1 day')
     OR EXISTS (SELECT FROM {events} WHERE user_id = person.id
       AND created_at >= day AND created_at < day + interval '1 day')))
FROM generate_series(%(first)s::timestamptz, %(last)s::timestamptz, interval '1 day') AS day
"""


def count_days(companies: Sequence[Company], first: date, last: date) -> list[CompanyDaily]:
    """The companies' days from `first` to `last`, counted and not yet saved."""
    now = timezone.now()
    parameters = {"first": _midnight(first), "last": _midnight(last)}
    return [
        CompanyDaily(
            company_id=company, date=day, counted_at=now, **dict(zip(CompanyDaily.COUNTS, counts, strict=True))
        )
        for company, day, *counts in select_everywhere(companies, DAYS, parameters)
    ]


def save_days(days: Sequence[CompanyDaily]) -> None:
    CompanyDaily.objects.bulk_create(
        # In one order, so that two who count at once do not wait for each other in a circle.
        sorted(days, key=lambda row: (row.company_id, row.date)),
        update_conflicts=True,
        unique_fields=["company", "date"],
        update_fields=[*CompanyDaily.COUNTS, "counted_at"],
    )


def roll_up_company(company: Company) -> int:
    """Count every day of the company that has no row or was last counted before it ended. Returns how many."""
    today = timezone.now().astimezone(UTC).date()
    first = max(company.created_at.astimezone(UTC).date(), today - LONGEST)
    ended = CompanyDaily.objects.filter(company=company, date__gte=first, counted_at__date__gt=F("date"))
    finished = set(ended.values_list("date", flat=True))
    missing = [day for day in _days(first, today) if day not in finished]
    counted = count_days([company], missing[0], today)
    rows = [row for row in counted if row.date not in finished]
    save_days(rows)
    return len(rows)


def fresh_companies(companies: Sequence[Company] | None = None) -> list[Company]:
    """All companies that have a schema (or those given), today's figures of each at most a minute old."""
    chosen = companies_with_schema() if companies is None else [company for company in companies if company.is_ready]
    now = timezone.now()
    today = now.astimezone(UTC).date()
    rows = CompanyDaily.objects.filter(date=today, counted_at__gt=now - FRESH)
    fresh = set(rows.values_list("company_id", flat=True))
    if stale := [company for company in chosen if company.pk not in fresh]:
        save_days(count_days(stale, today, today))
    return chosen


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
