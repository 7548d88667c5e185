"""From Redis to the table, each call once: whatever dies in between, and however many workers do it at a time."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from analytics.usage.models import StoredBatch, UsageHour
from tenants import key_use
from tenants.models import ApiKey
from tenants.services import add_key_uses

RETENTION = timedelta(days=90)
BATCH_IDS_KEPT = timedelta(days=1)  # a reader may have seen the batch in Redis just before

ADD = """
INSERT INTO usage_usagehour (company_id, api_key_id, hour, endpoint, method, status, count, total_ms, max_ms)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (api_key_id, hour, endpoint, method, status) DO UPDATE SET
    count = usage_usagehour.count + EXCLUDED.count,
    total_ms = usage_usagehour.total_ms + EXCLUDED.total_ms,
    max_ms = GREATEST(usage_usagehour.max_ms, EXCLUDED.max_ms)
"""


def store_waiting() -> None:
    for company_id in key_use.companies_with_batches():
        store_company(company_id)
    # No earlier: a batch that was stored but not finished has been finished now, and its id is not needed any more.
    StoredBatch.objects.filter(stored_at__lt=timezone.now() - BATCH_IDS_KEPT).delete()


def store_company(company_id: uuid.UUID) -> None:
    """First the batch that an earlier run may have left, then the open one."""
    for _ in range(2):
        batch = key_use.take_batch(company_id)
        if batch is not None:
            store_batch(company_id, batch)
        key_use.finish_batch(company_id, batch.id if batch is not None else None)


@transaction.atomic
def store_batch(company_id: uuid.UUID, batch: key_use.Batch) -> None:
    """Does nothing for a batch that is stored already. A second worker with the same one waits here for the first."""
    _, is_new = StoredBatch.objects.get_or_create(pk=batch.id)
    if not is_new:
        return
    # In one order, so that two transactions never wait for each other; keys purged meanwhile have no figures.
    keys = list(
        ApiKey.objects.filter(company_id=company_id, pk__in=batch.last_used).order_by("pk").values_list("pk", flat=True)
    )
    rows = [row for row in batch.rows if row.key_id in keys]
    rows.sort(key=lambda row: (row.key_id, row.hour, row.endpoint, row.method, row.status))
    with connection.cursor() as cursor:
        cursor.executemany(
            ADD,
            [
                (company_id, row.key_id, row.hour, row.endpoint, row.method, row.status, row.count, row.total_ms,
                 row.max_ms)
                for row in rows
            ],
        )  # fmt: skip
    for key_id in keys:
        calls = sum(row.count for row in rows if row.key_id == key_id)
        add_key_uses(key_id=key_id, calls=calls, last_used_at=batch.last_used[key_id])


def purge_old() -> None:
    UsageHour.objects.filter(hour__lt=timezone.now() - RETENTION).delete()
