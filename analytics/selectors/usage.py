"""Reports on what companies have and use, from their days (`CompanyDaily`)."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.db.models.functions import Trunc
from django.utils import timezone

from analytics.models import CompanyDaily
from analytics.selectors.periods import Period, change_percent
from tenants.models import Company, User, UserSession

Report = dict[str, Any]
GB = 2**30
METRICS = ("users", "agents", "documents", "conversations", "storage")
RANGES = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
ONLINE = timedelta(minutes=15)


def gigabytes(size: float) -> float:
    return round(size / GB, 4)


def levels_at(day: date, company_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, CompanyDaily]:
    """Each company's last row up to `day`: what it had then. A company without one had nothing."""
    rows = CompanyDaily.objects.filter(date__lte=day, company_id__in=list(company_ids))
    return {row.company_id: row for row in rows.order_by("company_id", "-date").distinct("company_id")}


def flows_in(period: Period, company_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, dict[str, int]]:
    """What each company added on the days that the period touches."""
    rows = CompanyDaily.objects.filter(date__range=period.days, company_id__in=list(company_ids))
    sums = rows.order_by().values_list("company_id").annotate(*map(Sum, CompanyDaily.FLOWS))
    return {company_id: dict(zip(CompanyDaily.FLOWS, values, strict=True)) for company_id, *values in sums}


def _total(rows: Iterable[CompanyDaily], name: str) -> int:
    return sum(getattr(row, name) for row in rows)


# --- Reports ------------------------------------------------------------------------------------------------------


def company_performance(period: Period, companies: Sequence[Company], filters: Report) -> Report:
    """Users, agents, documents and storage as they were at the end; conversations begun in the period."""
    chosen = [
        company
        for company in companies
        if filters.get("is_active") in (None, company.is_active)
        and filters.get("is_verified") in (None, company.is_verified)
    ]
    figures = {company.pk: metrics for company, metrics in _metrics(period, chosen)}
    key = filters["sort_by"] if filters["sort_by"] != "storage" else "storage_bytes"
    ranked = sorted(chosen, key=lambda company: (-figures[company.pk][key], company.name))
    totals = {name: sum(metrics[name] for metrics in figures.values()) for name in (*METRICS[:4], "storage_bytes")}
    return {
        "summary": {
            "start": period.start.isoformat(),
            "end": period.end.isoformat(),
            "sort_by": filters["sort_by"],
            "total_companies": len(chosen),
            **{f"total_{name}": total for name, total in totals.items()},
            "total_storage_gb": gigabytes(totals["storage_bytes"]),
        },
        "rankings": [
            {
                "company_id": company.pk,
                "company_name": company.name,
                "created_at": company.created_at,
                "is_active": company.is_active,
                "is_verified": company.is_verified,
                "metrics": figures[company.pk],
            }
            for company in ranked[: filters["limit"]]
        ],
    }


def _metrics(period: Period, companies: Sequence[Company]) -> list[tuple[Company, Report]]:
    ids = [company.pk for company in companies]
    levels, flows = levels_at(period.days[1], ids), flows_in(period, ids)
    return [(company, _company_metrics(levels.get(company.pk), flows.get(company.pk, {}))) for company in companies]


def _company_metrics(level: CompanyDaily | None, flow: dict[str, int]) -> Report:
    row = level or CompanyDaily()
    return {
        "users": row.users,
        "agents": row.agents,
        "documents": row.documents,
        "conversations": flow.get("new_conversations", 0),
        "storage_bytes": row.storage_bytes,
        "storage_gb": gigabytes(row.storage_bytes),
    }


def comparative(period: Period, companies: Sequence[Company], filters: Report) -> Report:
    """Companies side by side, or the period beside the one before it."""
    wanted = filters["metrics"] or list(METRICS)
    names = ["storage_bytes" if name == "storage" else name for name in wanted]
    chosen = [company for company in companies if not filters["company_ids"] or company.pk in filters["company_ids"]]
    if filters["compare_by"] == "companies":
        data = [
            {"company_id": company.pk, "company_name": company.name, **{name: metrics[name] for name in names}}
            for company, metrics in _metrics(period, chosen)
        ]
    else:
        data = [
            {
                "period": label,
                "start": stretch.start.isoformat(),
                "end": stretch.end.isoformat(),
                **{name: sum(metrics[name] for _, metrics in _metrics(stretch, chosen)) for name in names},
            }
            for label, stretch in (("previous", period.before), ("current", period))
        ]
    return {
        "summary": {
            "compare_by": filters["compare_by"],
            "start": period.start.isoformat(),
            "end": period.end.isoformat(),
            "metrics_compared": wanted,
            "comparison_count": len(data),
        },
        "comparison_data": data,
    }


def usage_metrics(period: Period, company_id: uuid.UUID | None) -> Report:
    first, last = period.days
    days = CompanyDaily.objects.all()
    people = User.objects.exclude(company=None)
    if company_id:
        days, people = days.filter(company=company_id), people.filter(company=company_id)
    sums: dict[datetime, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for day, *values in (
        days.filter(date__range=(first, last)).order_by().values_list("date").annotate(*map(Sum, CompanyDaily.FLOWS))
    ):
        for name, value in zip(CompanyDaily.FLOWS, values, strict=True):
            sums[period.bucket_of(day)][name] += value
    earlier = days.filter(date__lt=first).aggregate(
        **{name: Sum(name) for name in ("new_bytes", "new_conversations", "new_messages")}
    )
    total = {name: int(value or 0) for name, value in earlier.items()}
    total["users"] = people.filter(created_at__lt=_midnight(first)).count()
    users, storage, conversations = [], [], []
    for bucket in period.buckets():
        flow, label = sums[bucket], period.label(bucket)
        total["users"] += flow["new_users"]
        for name in ("new_bytes", "new_conversations", "new_messages"):
            total[name] += flow[name]
        users.append({"date": label, "new_users": flow["new_users"], "cumulative_users": total["users"]})
        storage.append(
            {
                "date": label,
                "documents_added": flow["new_documents"],
                "storage_added_bytes": flow["new_bytes"],
                "storage_added_gb": gigabytes(flow["new_bytes"]),
                "cumulative_storage_gb": gigabytes(total["new_bytes"]),
            }
        )
        conversations.append(
            {
                "date": label,
                "conversations": flow["new_conversations"],
                "messages": flow["new_messages"],
                "cumulative_conversations": total["new_conversations"],
                "cumulative_messages": total["new_messages"],
            }
        )
    ids = [company_id] if company_id else list(Company.objects.values_list("pk", flat=True))
    return {
        "summary": {
            **period.summary(),
            "total_users": total["users"],
            "total_conversations": sum(row["conversations"] for row in conversations),
            "total_storage_gb": gigabytes(_total(levels_at(last, ids).values(), "storage_bytes")),
        },
        "user_trends": users,
        "storage_trends": storage,
        "conversation_trends": conversations,
    }


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


# --- Snapshots ----------------------------------------------------------------------------------------------------


def overview(range_name: str) -> Report:
    """Totals now, and by how many percent they differ from the beginning of the range."""
    now = timezone.now()
    since = now - RANGES[range_name]
    companies = Company.objects.live()
    counted = companies.aggregate(now=Count("pk"), then=Count("pk", filter=Q(created_at__lt=since)))
    ids = list(companies.values_list("pk", flat=True))
    levels, before = levels_at(now.date(), ids).values(), levels_at(since.date(), ids).values()
    active, active_before = _active_users(since, now), _active_users(since - RANGES[range_name], since)
    return {
        "range": range_name,
        "totals": {
            "companies": counted["now"],
            "agents": _total(levels, "agents"),
            "documents_processed": _total(levels, "documents_processed"),
            "active_users": active,
        },
        "deltas": {
            "companies": change_percent(counted["now"], counted["then"]),
            "agents": change_percent(_total(levels, "agents"), _total(before, "agents")),
            "documents_processed": change_percent(
                _total(levels, "documents_processed"), _total(before, "documents_processed")
            ),
            "active_users": change_percent(active, active_before),
        },
        "online_users": _online_users(now),
    }


def _active_users(start: datetime, end: datetime) -> int:
    """People of companies who signed in or were seen in the stretch."""
    people = User.objects.exclude(company=None)
    seen = Q(last_login__gte=start, last_login__lt=end) | Q(
        pk__in=UserSession.objects.filter(
            Q(created_at__gte=start, created_at__lt=end) | Q(last_seen_at__gte=start, last_seen_at__lt=end)
        ).values("user_id")
    )
    return people.filter(seen).count()


def _online_users(now: datetime) -> int:
    sessions = UserSession.objects.filter(revoked_at=None, expires_at__gt=now, last_seen_at__gte=now - ONLINE)
    return int(sessions.aggregate(people=Count("user", distinct=True))["people"])


def storage(range_name: str, company_id: uuid.UUID | None) -> Report:
    today = timezone.now().date()
    ids = [company_id] if company_id else list(Company.objects.values_list("pk", flat=True))
    used = _total(levels_at(today, ids).values(), "storage_bytes")
    then = _total(levels_at(today - RANGES[range_name], ids).values(), "storage_bytes")
    return {
        "range": range_name,
        "tiers": [{"label": "documents", "unit": "bytes", "value": used}],
        "trend_percent": change_percent(used, then),
    }


def company_growth(period: Period) -> Report:
    rows = Company.objects.filter(created_at__gte=period.start, created_at__lt=period.end)
    counted = rows.annotate(bucket=Trunc("created_at", period.interval)).order_by().values_list("bucket").annotate(
        Count("pk")
    )  # fmt: skip
    counts = dict(counted)
    return {
        **period.summary(),
        "pending_verifications": Company.objects.live().filter(is_verified=False).count(),
        "points": [{"date": period.label(bucket), "count": counts.get(bucket, 0)} for bucket in period.buckets()],
    }
