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

    `actor_kind` is user, api_key or lead; anonymous where nobody was signed in; system for work of the beat.

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
    actor_kind = models.CharField(max_length=10)
    actor_id = models.UUIDField(null=True, blank=True)
    actor_label = models.CharField(max_length=254, blank=True)
    actor_role = models.CharField(max_length=20, blank=True)
    user_id = models.UUIDField(null=True, blank=True)  # the person, or who made the key
    impersonator_id = models.UUIDField(null=True, blank=True)
    impersonator_label = models.CharField(max_length=254, blank=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    changes = models.JSONField(default=dict, blank=True)
    key_id = models.CharField(max_length=8)  # which of settings.AUDIT_KEYS sealed it
    previous_digest = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ["-position"]
        indexes = [models.Index(fields=["-created_at"]), models.Index(fields=["entity_type", "entity_id"])]

    def __str__(self) -> str:
        return f"{self.position} {self.event_type}"


class AuditHead(models.Model):
    """The one row that says where a log ends and where it begins, under a seal: so that the newest rows cannot be
    taken away unnoticed either. Its lock puts the writers into an order.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    position = models.PositiveBigIntegerField(default=0)  # of the newest row
    digest = models.CharField(max_length=64, blank=True)
    pruned_position = models.PositiveBigIntegerField(default=0)  # of the last row that retention has removed
    pruned_digest = models.CharField(max_length=64, blank=True)
    key_id = models.CharField(max_length=8, blank=True)
    seal = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="audit_head_is_one")]

    def __str__(self) -> str:
        return f"Up to {self.position}"
