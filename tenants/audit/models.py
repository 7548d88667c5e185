"""The audit log: a table in every company's schema, and one in the shared schema for what concerns the platform."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone


class RiskLevel(models.TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class AuditEvent(models.Model):
    """One thing that somebody did. Never changed: `digest` seals the row and chains it to the one before.

    `changes` maps a field's name to `[before, after]`; secrets stand there as `"[redacted]"`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    position = models.PositiveBigIntegerField(unique=True)  # 1, 2, 3 … without a gap
    created_at = models.DateTimeField(default=timezone.now)
    event_type = models.CharField(max_length=80)  # "agent.updated"
    entity_type = models.CharField(max_length=40)  # "agent"
    entity_id = models.CharField(max_length=64, blank=True)
    entity_label = models.CharField(max_length=200, blank=True)
    description = models.CharField(max_length=500, blank=True)
    risk_level = models.CharField(max_length=8, choices=RiskLevel, default=RiskLevel.LOW)
    actor_kind = models.CharField(max_length=10)  # user, api_key, lead; anonymous; system
    actor_id = models.UUIDField(null=True, blank=True)
    actor_label = models.CharField(max_length=254, blank=True)
    user_id = models.UUIDField(null=True, blank=True)  # the person, or who made the key
    impersonator_id = models.UUIDField(null=True, blank=True)
    impersonator_label = models.CharField(max_length=254, blank=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    changes = models.JSONField(default=dict, blank=True)
    previous_digest = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ["-position"]
        indexes = [models.Index(fields=["-created_at"]), models.Index(fields=["entity_type", "entity_id"])]

    def __str__(self) -> str:
        return f"{self.position} {self.event_type}"
