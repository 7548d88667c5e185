"""Readings of the platform and of each company. A reading is stored when it differs from the last, and once an hour."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import redis
from celery import current_app
from django.conf import settings
from django.db import connection
from django.db.models import Count, Q, Sum
from django.utils import timezone

from agents.models import Agent
from analytics.enums import MetricType
from analytics.models import SystemMetric
from analytics.selectors.everywhere import companies_with_schema, select_everywhere
from conversations.enums import MessageRole, MessageStatus
from conversations.handing import TAKEN_OVER
from conversations.models import Conversation, Message
from documents.enums import DocumentStatus
from documents.models import Document
from knowrithm.db.redis import sync_redis
from leads.models import Lead
from tenants.models import Company

KEPT = timedelta(days=30)
LONGEST_PAUSE = timedelta(minutes=59)
WORKER_BEATS = "health:worker"  # knowrithm.tasks.worker_beat writes the time of its last run there
UNFINISHED = [MessageStatus.PENDING, MessageStatus.PROCESSING]


@dataclass(frozen=True, slots=True)
class Reading:
    name: str
    value: float
    type: MetricType = MetricType.GAUGE
    unit: str = ""


def collect_platform() -> int:
    """Read the platform; returns the number of readings taken."""
    return _store(None, [*_database(), *_queues(), *_machine(), *_work()])


def collect_company(company: Company, *, is_asked: bool = False) -> int:
    """Read the company whose schema is set. `is_asked`: somebody wants a reading now, changed or not."""
    return _store(company, list(_company(company)), is_asked=is_asked)


def prune() -> int:
    """Remove readings older than 30 days; returns how many."""
    return SystemMetric.objects.filter(timestamp__lt=timezone.now() - KEPT).delete()[0]


def _store(company: Company | None, readings: list[Reading], *, is_asked: bool = False) -> int:
    """A hundred quiet companies must not write a thousand rows every five minutes."""
    now = timezone.now()
    recent = SystemMetric.objects.filter(company=company, timestamp__gte=now - LONGEST_PAUSE)
    last = {row.name: row.value for row in recent.order_by("name", "-timestamp").distinct("name")}
    SystemMetric.objects.bulk_create(
        SystemMetric(
            company=company, name=reading.name, type=reading.type, value=reading.value, timestamp=now,
            labels={"unit": reading.unit} if reading.unit else {},
        )
        for reading in readings
        if is_asked or last.get(reading.name) != reading.value
    )  # fmt: skip
    return len(readings)


# --- The platform -------------------------------------------------------------------------------------------------


def _database() -> Iterator[Reading]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_database_size(current_database()), "
            "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())"
        )
        size, connections = cursor.fetchone() or (0, 0)
    yield Reading("database_size_bytes", size, unit="bytes")
    yield Reading("database_connections", connections)


def _queues() -> Iterator[Reading]:
    broker = redis.Redis.from_url(settings.CELERY_BROKER_URL)
    try:
        for queue in current_app.conf.task_queues or ():
            yield Reading(f"queue_depth_{queue.name}", cast(int, broker.llen(queue.name)))
    finally:
        broker.close()
    beat = cast("str | None", sync_redis().get(WORKER_BEATS))
    # The key is gone after a while: then the age is unknown, and surely long.
    yield Reading("worker_heartbeat_age_seconds", max(round(time.time() - int(beat)), 0) if beat else 3600, unit="s")


def _machine() -> Iterator[Reading]:
    yield Reading("load_1m", round(os.getloadavg()[0], 2))
    disk = shutil.disk_usage(settings.UPLOAD_FOLDER if settings.UPLOAD_FOLDER.exists() else "/")
    yield Reading("disk_free_bytes", disk.free, unit="bytes")
    yield Reading("disk_used_percent", round(disk.used / disk.total * 100, 1), unit="percent")


WORK = """
SELECT
  (SELECT count(*) FROM {documents} WHERE archived_at IS NULL AND status IN ('pending', 'processing')),
  (SELECT count(*) FROM {documents}
     WHERE archived_at IS NULL AND status = 'failed' AND updated_at >= %(yesterday)s),
  (SELECT coalesce(sum(file_size), 0)::bigint FROM {documents} WHERE archived_at IS NULL),
  (SELECT count(*) FROM {messages} WHERE role = 'assistant' AND status IN ('pending', 'processing')),
  (SELECT count(*) FROM {messages} WHERE role = 'assistant' AND status = 'failed' AND error_code <> 'TAKEN_OVER'
     AND updated_at >= %(yesterday)s)
"""
OF_WORK = ("documents_waiting", "documents_failed_24h", "storage_bytes", "answers_waiting", "answers_failed_24h")


def _work() -> Iterator[Reading]:
    companies = companies_with_schema()
    rows = list(select_everywhere(companies, WORK, {"yesterday": timezone.now() - timedelta(days=1)}))
    for position, name in enumerate(OF_WORK):
        yield Reading(name, sum(row[position] for row in rows), unit="bytes" if name == "storage_bytes" else "")
    yield Reading("companies", len(companies))


# --- A company ----------------------------------------------------------------------------------------------------


def _company(company: Company) -> Iterator[Reading]:
    waiting = Q(status__in=[DocumentStatus.PENDING, DocumentStatus.PROCESSING])
    documents = Document.objects.live().aggregate(
        total=Count("pk"),
        waiting=Count("pk", filter=waiting),
        failed=Count("pk", filter=Q(status=DocumentStatus.FAILED)),
        size=Sum("file_size", default=0),
    )
    replies = Q(role=MessageRole.ASSISTANT)
    messages = Message.objects.aggregate(
        total=Count("pk"),
        waiting=Count("pk", filter=replies & Q(status__in=UNFINISHED)),
        failed=Count("pk", filter=replies & Q(status=MessageStatus.FAILED) & ~Q(error_code=TAKEN_OVER)),
        input=Sum("input_tokens", default=0),
        output=Sum("output_tokens", default=0),
    )
    yield Reading("agents", Agent.objects.live().count())
    yield Reading("documents", documents["total"])
    yield Reading("documents_waiting", documents["waiting"])
    yield Reading("documents_failed", documents["failed"])
    yield Reading("storage_bytes", documents["size"], unit="bytes")
    yield Reading("conversations", Conversation.objects.live().count())
    yield Reading("leads", Lead.objects.known().count())
    yield Reading("users", company.users.count())
    yield Reading("messages_total", messages["total"], MetricType.COUNTER)
    yield Reading("answers_waiting", messages["waiting"])
    yield Reading("answers_failed_total", messages["failed"], MetricType.COUNTER)
    yield Reading("tokens_total", messages["input"] + messages["output"], MetricType.COUNTER, unit="tokens")
