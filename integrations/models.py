"""Webhooks, and what is to be delivered to them: an outbox that is written together with what it tells of."""

from __future__ import annotations

import uuid
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from integrations.enums import DeliveryStatus
from knowrithm.db.fields import EncryptedTextField
from knowrithm.db.lease import LeasedModel
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet, BaseModel


class Webhook(ArchivableModel):
    """An address that is told of events. A deleted one is archived first: an event may just be on its way into the
    outbox, and what happened must not be undone because nobody wants to hear of it any more.
    """

    name = models.CharField(max_length=120)
    url = models.CharField(max_length=2000)
    is_active = models.BooleanField(default=True)
    event_types = ArrayField(models.CharField(max_length=60), default=list, blank=True)  # empty: all
    agent_ids = ArrayField(models.UUIDField(), default=list, blank=True)  # empty: all
    secret = EncryptedTextField(blank=True)
    previous_secret = EncryptedTextField(blank=True)
    previous_expires_at = models.DateTimeField(null=True, blank=True)
    rotated_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)  # since the last success
    failing_since = models.DateTimeField(null=True, blank=True)
    held_until = models.DateTimeField(null=True, blank=True)  # it did not answer: nothing is tried before
    last_delivered_at = models.DateTimeField(null=True, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)  # by us, for its failures

    objects = models.Manager.from_queryset(ArchivableQuerySet)()

    class Meta:
        ordering = ["name", "created_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def overlap_ends_at(self) -> object:
        """Until when the old secret signs too; None when it does not."""
        return self.previous_expires_at if self.signing_secrets()[1:] else None

    @property
    def state(self) -> str:
        if self.is_active:
            return "failing" if self.failing_since else "active"
        return "disabled" if self.disabled_at else "off"

    def signing_secrets(self) -> list[str]:
        """The newest first."""
        is_overlap = self.previous_expires_at is not None and self.previous_expires_at > timezone.now()
        return [self.secret, self.previous_secret] if is_overlap and self.previous_secret else [self.secret]

    def wants(self, event_type: str, agent_id: uuid.UUID | None) -> bool:
        is_of_type = not self.event_types or event_type in self.event_types
        return is_of_type and (not self.agent_ids or agent_id in self.agent_ids)


class DeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    def in_line(self) -> Self:
        """Those that may be tried now, what has waited longest first."""
        now = timezone.now()
        is_free = models.Q(webhook__held_until=None) | models.Q(webhook__held_until__lte=now)
        is_wanted = models.Q(webhook__is_active=True) & is_free | models.Q(is_test=True)
        rows = self.filter(is_wanted, status=DeliveryStatus.PENDING, due_at__lte=now, webhook__archived_at=None)
        return rows.order_by("due_at")


class WebhookDelivery(LeasedModel, BaseModel):
    """One event for one webhook. The payload is encrypted: it may hold what a company keeps encrypted of its leads."""

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries")
    event_id = models.UUIDField()  # the same for every webhook, and when it is sent again
    event_type = models.CharField(max_length=60)
    agent_id = models.UUIDField(null=True, blank=True)
    occurred_at = models.DateTimeField(default=timezone.now)
    payload = EncryptedTextField()  # JSON
    is_test = models.BooleanField(default=False)
    status = models.CharField(max_length=10, choices=DeliveryStatus, default=DeliveryStatus.PENDING)
    due_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)  # of the last answer
    answer = models.TextField(blank=True)  # its first bytes
    error = models.CharField(max_length=500, blank=True)
    history = models.JSONField(default=list, blank=True)  # of attempts: at, status_code, error, seconds

    objects = models.Manager.from_queryset(DeliveryQuerySet)()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["status", "due_at"]),
            models.Index(fields=["webhook", "-created_at"]),
            models.Index(fields=["finished_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.event_id}"
