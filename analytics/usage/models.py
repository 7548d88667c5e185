"""How API keys are used, hour by hour. Shared, like the keys themselves: every read names a company."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from tenants.models import ApiKey, Company


class UsageHour(models.Model):
    """Calls of one key in one hour (UTC) to one route with one outcome. `endpoint` is the route's template, no path."""

    company = models.ForeignKey(Company, models.CASCADE, related_name="+")
    api_key = models.ForeignKey(ApiKey, models.CASCADE, related_name="+", db_index=False)  # first in the constraint
    hour = models.DateTimeField()
    endpoint = models.CharField(max_length=200)
    method = models.CharField(max_length=8)
    status = models.PositiveSmallIntegerField()
    count = models.PositiveBigIntegerField()
    total_ms = models.PositiveBigIntegerField()
    max_ms = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["api_key", "hour", "endpoint", "method", "status"], name="usage_hour_counted_once"
            )
        ]
        indexes = [models.Index(fields=["company", "hour"]), models.Index(fields=["hour"])]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00} {self.method} {self.endpoint} {self.status}: {self.count}"


class StoredBatch(models.Model):
    """A batch of `tenants.key_use` whose figures are in `UsageHour`: written in the same transaction."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    stored_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return str(self.id)
