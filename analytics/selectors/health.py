"""What the readings of `analytics.metrics` say."""

from __future__ import annotations

import uuid
from collections import defaultdict
from datetime import timedelta
from typing import Any

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from analytics.models import SystemMetric
from analytics.selectors.periods import Period

Report = dict[str, Any]
POINTS = 1000  # of one metric, the newest
# Metric, the value above which it is a worry, what it costs of the score of 100, and the worry as a sentence.
WORRIES = (
    ("worker_heartbeat_age_seconds", 120, 50, "No worker has answered for more than two minutes."),
    ("queue_depth_critical", 100, 25, "More than 100 answers wait in the queue."),
    ("queue_depth_slow", 1000, 10, "More than 1,000 documents wait in the queue."),
    ("answers_waiting", 100, 15, "More than 100 answers are not finished."),
    ("answers_failed_24h", 20, 15, "More than 20 answers failed in the last 24 hours."),
    ("documents_failed_24h", 50, 10, "More than 50 documents failed in the last 24 hours."),
    ("disk_used_percent", 90, 25, "More than 90 percent of the disk are used."),
)
STALE = timedelta(minutes=15)


def metrics_of(company_id: uuid.UUID | None, *, hours: int = 24) -> Report:
    """The readings of the last day by name, oldest first; of the platform when `company_id` is None."""
    now = timezone.now()
    rows = SystemMetric.objects.filter(company=company_id, timestamp__gte=now - timedelta(hours=hours))
    metrics: dict[str, list[Report]] = defaultdict(list)
    for row in _newest(rows):
        metrics[row.name].append({"timestamp": row.timestamp, "value": row.value, "labels": row.labels})
    return {"generated_at": now, "metrics": dict(metrics)}


def _newest(rows: QuerySet[SystemMetric]) -> list[SystemMetric]:
    """At most POINTS of each name, by name and then time."""
    rank = Window(RowNumber(), partition_by="name", order_by=F("timestamp").desc())
    return list(rows.annotate(rank=rank).filter(rank__lte=POINTS).order_by("name", "timestamp"))


def system_health(period: Period, *, metric_name: str = "", metric_type: str = "") -> Report:
    rows = SystemMetric.objects.filter(company=None, timestamp__gte=period.start, timestamp__lt=period.end)
    if metric_name:
        rows = rows.filter(name=metric_name)
    if metric_type:
        rows = rows.filter(type=metric_type)
    found: dict[str, list[SystemMetric]] = defaultdict(list)
    for row in _newest(rows):
        found[row.name].append(row)
    return {
        "summary": {
            "start": period.start.isoformat(),
            "end": period.end.isoformat(),
            "total_metrics": sum(map(len, found.values())),
            "unique_metric_names": len(found),
        },
        "health": current_health(),
        "metrics": {name: _statistics(readings) for name, readings in found.items()},
    }


def _statistics(readings: list[SystemMetric]) -> Report:
    values = [row.value for row in readings]
    return {
        "current": values[-1],
        "avg": round(sum(values) / len(values), 3),
        "min": min(values),
        "max": max(values),
        "count": len(values),
        "time_series": [
            {"timestamp": row.timestamp, "value": row.value, "type": row.type, "labels": row.labels} for row in readings
        ],
    }


def current_health() -> Report:
    """From the newest reading of each of the platform's metrics: a score of 100 less what each worry costs.

    Healthy from 80, warning from 50, critical below. Without a reading for 15 minutes nothing is known: critical, or a
    warning while there has never been one.
    """
    rows = SystemMetric.objects.filter(company=None, timestamp__gte=timezone.now() - timedelta(hours=2))
    latest = {row.name: row for row in rows.order_by("name", "-timestamp").distinct("name")}
    newest = max((row.timestamp for row in latest.values()), default=None)
    if newest is None and not SystemMetric.objects.filter(company=None).exists():
        warning = "No metrics were collected yet. The first ones come within five minutes of the start."
        return {"score": 0, "status": "warning", "warnings": [warning]}
    if newest is None or newest < timezone.now() - STALE:
        warning = "No metrics were collected in the last 15 minutes. See that the scheduler and a worker run."
        return {"score": 0, "status": "critical", "warnings": [warning]}
    raised = [
        (cost, warning) for name, limit, cost, warning in WORRIES if name in latest and latest[name].value > limit
    ]
    score = max(100 - sum(cost for cost, _ in raised), 0)
    status = "healthy" if score >= 80 else "warning" if score >= 50 else "critical"
    return {"score": score, "status": status, "warnings": [warning for _, warning in raised]}
