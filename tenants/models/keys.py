"""API keys."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils import timezone

from knowrithm.db.models import BaseModel
from knowrithm.principal import Resource, Scope, stored_permissions
from tenants.enums import (
    ApiKeyStatus,
)
from tenants.models.companies import Company
from tenants.models.people import User


def default_scopes() -> list[str]:
    return [Scope.READ, Scope.WRITE]


class ApiKey(BaseModel):
    """A pair of public key and secret. Of the secret only a keyed hash is stored, and which SECRET_KEY keyed it.

    Until `previous_expires_at` the secret before the last rotation is good too. With `allowed_networks` (CIDR) the key
    works from there only.
    """

    company = models.ForeignKey(Company, models.CASCADE, related_name="api_keys")
    user = models.ForeignKey(User, models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=100)
    key = models.CharField(max_length=64, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    pepper_id = models.CharField(max_length=12, blank=True, editable=False)
    previous_hash = models.CharField(max_length=64, blank=True, editable=False)
    previous_pepper_id = models.CharField(max_length=12, blank=True, editable=False)
    previous_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    scopes = models.JSONField(default=default_scopes)
    permissions = models.JSONField(default=dict, blank=True)
    allowed_networks = models.JSONField(default=list, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    rate_limit_per_hour = models.PositiveIntegerField(default=1000)
    rate_limit_per_day = models.PositiveIntegerField(default=10000)
    usage_count = models.PositiveBigIntegerField(default=0, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.key_prefix}…)"

    @property
    def key_prefix(self) -> str:
        return self.key[:8]

    @property
    def overlap_ends_at(self) -> datetime | None:
        """Until when the secret before the last rotation works; None when it does not."""
        ends = self.previous_expires_at
        return ends if self.previous_hash and ends is not None and ends > timezone.now() else None

    @property
    def narrowed_to(self) -> list[tuple[Resource, list[Scope]]]:
        """The parts of the API that its permissions open, with their scopes. Look at `permissions` first: of a key
        without any this is empty too.
        """
        found = stored_permissions(self.permissions) or {}
        return [(part, [one for one in Scope if one in found[part]]) for part in Resource if found.get(part)]

    @property
    def limits(self) -> tuple[int, int]:
        """Calls an hour and a day. A maximum that was lowered later binds keys that were given more."""
        most = self.company.api_key_maximum
        return min(self.rate_limit_per_hour, most[0]), min(self.rate_limit_per_day, most[1])

    @property
    def status(self) -> ApiKeyStatus:
        if self.revoked_at:
            return ApiKeyStatus.REVOKED
        if self.expires_at and self.expires_at <= timezone.now():
            return ApiKeyStatus.EXPIRED
        return ApiKeyStatus.ACTIVE
