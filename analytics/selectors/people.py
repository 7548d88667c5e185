"""Reports on people: growth, engagement, retention. Super admins belong to no company and are left out."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Trunc
from django.utils import timezone

from analytics.selectors.everywhere import companies_with_schema, select_everywhere
from analytics.selectors.periods import Period, change_percent, share, truncate
from tenants.enums import UserStatus
from tenants.models import User, UserSession

Report = dict[str, Any]
MOST_ENGAGED = 100  # people listed
# Points for one of each. A session is a sign-in through the API; an activity is a row in the audit log.
POINTS = {"sessions": 1, "conversations": 3, "documents_uploaded": 5, "total_activities": 1}


def _people(company_id: uuid.UUID | None) -> QuerySet[User]:
    people = User.objects.exclude(company=None)
    return people.filter(company=company_id) if company_id else people


def user_growth(period: Period, filters: Report) -> Report:
    people = _people(filters.get("company_id"))
    for name in ("role", "status"):
        if filters.get(name):
            people = people.filter(**{name: filters[name]})
    new = people.filter(created_at__gte=period.start, created_at__lt=period.end).order_by()
    counts = dict(new.annotate(bucket=Trunc("created_at", period.interval)).values_list("bucket").annotate(Count("pk")))
    before = people.filter(created_at__lt=period.start).count()
    series, cumulative = [], before
    for bucket in period.buckets():
        cumulative += counts.get(bucket, 0)
        row = {"date": period.label(bucket), "new_users": counts.get(bucket, 0), "cumulative_users": cumulative}
        series.append(row)
    field = {"company": "company__name", "role": "role", "status": "status"}.get(filters.get("group_by") or "")
    return {
        "summary": {
            **period.summary(),
            "total_new_users": cumulative - before,
            "active_users": people.filter(status=UserStatus.ACTIVE).count(),
            "growth_rate_percent": change_percent(cumulative, before),
        },
        "time_series": series,
        "breakdown": dict(new.values_list(field).annotate(Count("pk"))) if field else {},
    }


ACTS = """
SELECT user_id, 'conversations' AS kind, count(*) FROM {conversations}
  WHERE user_id IS NOT NULL AND created_at >= %(start)s AND created_at < %(end)s GROUP BY 1
UNION ALL SELECT user_id, 'documents_uploaded', count(*) FROM {documents}
  WHERE user_id IS NOT NULL AND created_at >= %(start)s AND created_at < %(end)s GROUP BY 1
UNION ALL SELECT user_id, 'total_activities', count(*) FROM {events}
  WHERE user_id IS NOT NULL AND created_at >= %(start)s AND created_at < %(end)s GROUP BY 1
"""


def user_engagement(period: Period, filters: Report) -> Report:
    """`total_activities` are rows of the audit log. The score adds them up with POINTS."""
    people = _people(filters.get("company_id"))
    if filters.get("role"):
        people = people.filter(role=filters["role"])
    counts: dict[uuid.UUID, Counter[str]] = defaultdict(Counter)
    companies = companies_with_schema(filters.get("company_id"))
    parameters = {"start": period.start, "end": period.end}
    for user_id, kind, count in select_everywhere(companies, ACTS, parameters):
        counts[user_id][kind] += count
    sessions = UserSession.objects.filter(created_at__gte=period.start, created_at__lt=period.end).order_by()
    for user_id, count in sessions.values_list("user_id").annotate(Count("pk")):
        counts[user_id]["sessions"] += count
    rows = [_engagement(person, counts[person["id"]]) for person in people.values(*PERSON)]
    rows = [row for row in rows if row["metrics"]["total_activities"] >= filters.get("min_activity", 0)]
    rows.sort(key=lambda row: (-row["metrics"]["engagement_score"], row["email"]))
    scores = [row["metrics"]["engagement_score"] for row in rows]
    return {
        "summary": {
            "start": period.start.isoformat(),
            "end": period.end.isoformat(),
            "total_users": len(rows),
            "active_users": sum(score > 0 for score in scores),
            "avg_engagement_score": share(sum(scores), len(rows)),
            "avg_sessions_per_user": share(sum(row["metrics"]["sessions"] for row in rows), len(rows)),
        },
        "score_distribution": {
            "none": sum(score == 0 for score in scores),
            "low": sum(0 < score < 10 for score in scores),
            "medium": sum(10 <= score < 50 for score in scores),
            "high": sum(score >= 50 for score in scores),
        },
        "engagement_metrics": rows[:MOST_ENGAGED],
    }


PERSON = ("id", "company_id", "email", "username", "role", "last_login", "created_at")


def _engagement(person: Report, counts: Counter[str]) -> Report:
    score = sum(POINTS[name] * counts[name] for name in POINTS)
    metrics = {**{name: counts[name] for name in POINTS}, "engagement_score": score}
    return {"user_id": person["id"], **{name: person[name] for name in PERSON[1:]}, "metrics": metrics}


ACTIVE_PERIODS = """
SELECT DISTINCT user_id, date_trunc(%(interval)s, created_at) FROM {conversations}
  WHERE user_id IS NOT NULL AND created_at >= %(start)s
UNION SELECT DISTINCT user_id, date_trunc(%(interval)s, created_at) FROM {documents}
  WHERE user_id IS NOT NULL AND created_at >= %(start)s
UNION SELECT DISTINCT user_id, date_trunc(%(interval)s, created_at) FROM {events}
  WHERE user_id IS NOT NULL AND created_at >= %(start)s
"""


def retention(*, cohort_period: str, cohort_count: int, company_id: uuid.UUID | None) -> Report:
    """People by the week or month of their registration, and the share that did something in each one since.

    Something is a sign-in through the API, a conversation, an upload or an act in the audit log.
    """
    now = timezone.now()
    starts = [truncate(now, cohort_period)]
    while len(starts) < cohort_count:
        starts.insert(0, truncate(starts[0] - timedelta(days=1), cohort_period))
    cohorts: dict[datetime, set[uuid.UUID]] = {start: set() for start in starts}
    joined = _people(company_id).filter(created_at__gte=starts[0]).order_by()
    for user_id, bucket in joined.values_list("pk", Trunc("created_at", cohort_period)):
        cohorts[bucket].add(user_id)
    active = _active_periods(starts[0], cohort_period, company_id)
    analysis, rates = [], defaultdict(list)
    for position, start in enumerate(starts):
        members = cohorts[start]
        periods = []
        for number, later in enumerate(starts[position:]):
            stayed = len(members & active[later])
            rate = share(stayed * 100, len(members), digits=1)
            periods.append({"period": number, "active_users": stayed, "retention_rate": rate})
            if members:
                rates[f"period_{number}"].append(rate)
        analysis.append({"cohort": start.date().isoformat(), "cohort_size": len(members), "retention_periods": periods})
    return {
        "summary": {
            "cohort_period": cohort_period,
            "cohort_count": cohort_count,
            "total_users_analyzed": sum(len(members) for members in cohorts.values()),
        },
        "cohort_analysis": analysis,
        "average_retention": {name: share(sum(found), len(found), digits=1) for name, found in rates.items()},
    }


def _active_periods(start: datetime, interval: str, company_id: uuid.UUID | None) -> dict[datetime, set[uuid.UUID]]:
    active: dict[datetime, set[uuid.UUID]] = defaultdict(set)
    parameters = {"interval": interval, "start": start}
    for user_id, bucket in select_everywhere(companies_with_schema(company_id), ACTIVE_PERIODS, parameters):
        active[bucket].add(user_id)
    for field in ("created_at", "last_seen_at"):
        sessions = UserSession.objects.filter(Q(**{f"{field}__gte": start})).order_by()
        for user_id, bucket in sessions.values_list("user_id", Trunc(field, interval)).distinct():
            active[bucket].add(user_id)
    return active
