"""Figures about companies. Shared tables: the console reads all companies in one query, and nothing else does."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from analytics.enums import MetricType
from tenants.models import Company


class CompanyDaily(models.Model):
    """One company on one day (UTC), counted from its rows. The day's row is written anew while the day lasts.

    Levels say how much there was at the day's end; archived rows do not count. Flows, named `new_…`, say what was
    added during the day, whatever became of it since.
    """

    LEVELS = ("users", "agents", "documents", "documents_processed", "storage_bytes")
    FLOWS = (
        "new_users", "new_documents", "new_bytes", "new_conversations", "new_messages", "new_leads", "tokens",
    )  # fmt: skip
    COUNTS = (*LEVELS, *FLOWS, "active_users")

    company = models.ForeignKey(Company, models.CASCADE, related_name="days")
    date = models.DateField()
    users = models.PositiveIntegerField(default=0)
    agents = models.PositiveIntegerField(default=0)
    documents = models.PositiveIntegerField(default=0)
    documents_processed = models.PositiveIntegerField(default=0)
    storage_bytes = models.PositiveBigIntegerField(default=0)
    new_users = models.PositiveIntegerField(default=0)
    new_documents = models.PositiveIntegerField(default=0)
    new_bytes = models.PositiveBigIntegerField(default=0)
    new_conversations = models.PositiveIntegerField(default=0)
    new_messages = models.PositiveIntegerField(default=0)
    new_leads = models.PositiveIntegerField(default=0)
    tokens = models.PositiveBigIntegerField(default=0)
    active_users = models.PositiveIntegerField(default=0)  # people who did something that day
    counted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-date", "company"]
        verbose_name = "company's day"
        verbose_name_plural = "companies' days"
        constraints = [models.UniqueConstraint(fields=["company", "date"], name="one_row_per_company_and_day")]
        indexes = [models.Index(fields=["date"])]

    def __str__(self) -> str:
        return f"{self.company} on {self.date}"


class SystemMetric(models.Model):
    """One reading. `company` is null for the platform as a whole."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    company = models.ForeignKey(Company, models.CASCADE, null=True, blank=True, related_name="system_metrics")
    name = models.CharField(max_length=60)
    type = models.CharField(max_length=8, choices=MetricType, default=MetricType.GAUGE)
    value = models.FloatField()
    labels = models.JSONField(default=dict, blank=True)
    timestamp = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-timestamp"]
        indexes = [
            models.Index(fields=["company", "-timestamp"]),
            models.Index(fields=["timestamp"]),  # for pruning
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.value:g}"
