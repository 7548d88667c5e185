"""Notifications of a company's people. A person is an id: people are rows of the shared schema."""

from __future__ import annotations

from django.db import models

from integrations.notifications.enums import Kind
from knowrithm.db.models import BaseModel


class Notification(BaseModel):
    """`key` names what it tells of, so that a worker that tells it twice has told it once."""

    user_id = models.UUIDField(editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    key = models.CharField(max_length=80)
    text = models.CharField(max_length=300)
    path = models.CharField(max_length=300)  # of the page where it is seen
    is_shown = models.BooleanField(default=True)  # else it is mailed only
    read_at = models.DateTimeField(null=True, blank=True)
    is_mail_due = models.BooleanField(default=False)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["user_id", "kind", "key"], name="notification_told_once")]
        indexes = [
            models.Index(fields=["user_id", "-created_at"]),
            models.Index(
                fields=["user_id"], condition=models.Q(read_at=None, is_shown=True), name="notification_unread"
            ),
            models.Index(fields=["created_at"], condition=models.Q(is_mail_due=True), name="notification_mail_due"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.created_at:%Y-%m-%d}"


class Preference(BaseModel):
    """How one person wants to hear of one kind. Without a row: shown, and mailed if the kind is urgent."""

    user_id = models.UUIDField(editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    in_app = models.BooleanField(default=True)
    mail = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user_id", "kind"], name="preference_one_for_a_kind")]

    def __str__(self) -> str:
        return self.kind
