"""Companies, their configuration, and which agent belongs to which."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django_tenants.models import DomainMixin, TenantMixin

from knowrithm.db.fields import EncryptedTextField
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet, BaseModel
from tenants.enums import (
    CompanyStatus,
)
from tenants.ocr_languages import default_languages

MIN_AUDIT_DAYS = 30  # a log that is emptied sooner proves nothing
RESTORE_PERIOD = timedelta(days=30)  # so long may an archived company's own admins bring it back


class Company(TenantMixin, ArchivableModel):  # type: ignore[misc,django-manager-missing]  # TenantMixin has no types
    """A tenant. Its own tables live in the schema `schema_name`, which is complete once `is_ready`."""

    auto_create_schema = False  # tenants.provisioning copies the template schema instead

    name = models.CharField(max_length=200)
    email = models.EmailField()
    phone = models.CharField(max_length=40, blank=True)
    website = models.URLField(blank=True)
    industry = models.CharField(max_length=100, blank=True)
    is_ready = models.BooleanField(default=False, editable=False)
    is_active = models.BooleanField(default=True)
    is_verified = models.BooleanField(default=False)
    encrypts_lead_data = models.BooleanField(default=False, editable=False)  # leads.services switches it
    logo_digest = models.CharField(max_length=64, blank=True, editable=False)  # of the stored picture
    logo_url = models.URLField(max_length=500, blank=True, editable=False)  # or a picture elsewhere, never fetched
    purge_started_at = models.DateTimeField(null=True, blank=True, editable=False)  # from here on there is no way back
    # Asked at every request of a person: hence columns here and not a look-up in another table.
    requires_two_factor = models.BooleanField(default=False)
    requires_sso = models.BooleanField(default=False, editable=False)  # only while its single sign-on is on
    # The most that a key of the company may be given; empty means the installation's API_KEY_MAX_PER_HOUR and _DAY.
    api_key_max_per_hour = models.PositiveIntegerField(
        "most calls of an API key per hour", null=True, blank=True, validators=[MinValueValidator(1)]
    )
    api_key_max_per_day = models.PositiveIntegerField(
        "most calls of an API key per day", null=True, blank=True, validators=[MinValueValidator(1)]
    )
    ocr_languages = ArrayField(
        models.CharField(max_length=30),
        default=default_languages,
        help_text="Of scanned pages, as tesseract calls them, the most frequent first.",
    )
    audit_retention_days = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(MIN_AUDIT_DAYS)], help_text="Empty: kept for ever."
    )
    # Of documents (documents.purging), counted from when they were archived.
    version_retention_days = models.PositiveIntegerField(
        "days to keep earlier versions that no answer cites",
        null=True,
        blank=True,
        default=30,
        validators=[MinValueValidator(1)],
        help_text="Empty: kept for ever.",
    )
    archive_retention_days = models.PositiveIntegerField(
        "days to keep archived documents",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Empty: kept for ever.",
    )

    objects = models.Manager.from_queryset(ArchivableQuerySet)()

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "companies"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(audit_retention_days=None) | models.Q(audit_retention_days__gte=MIN_AUDIT_DAYS),
                name="company_audit_retention_not_too_short",
            ),
            models.UniqueConstraint(
                Lower("email"),
                condition=models.Q(archived_at=None) & ~models.Q(email=""),
                name="company_email_unique",
                violation_error_message="A company with this e-mail address exists already.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_usable(self) -> bool:
        return self.is_ready and self.is_active and not self.is_archived

    @property
    def restorable_until(self) -> datetime | None:
        """Until when its own admins may bring the archived company back; a super admin may at any time."""
        return self.archived_at + RESTORE_PERIOD if self.archived_at else None

    @property
    def is_restorable(self) -> bool:
        until = self.restorable_until
        return self.is_ready and self.is_active and until is not None and timezone.now() < until

    @property
    def status(self) -> CompanyStatus:
        if self.is_archived:
            return CompanyStatus.ARCHIVED
        return CompanyStatus.ACTIVE if self.is_active else CompanyStatus.INACTIVE

    @property
    def logo_path(self) -> str:
        """Where this server serves the stored logo; empty when there is none. A new picture has a new address."""
        return f"/company-logo/{self.pk}/{self.logo_digest}.png" if self.logo_digest else ""

    @property
    def logo(self) -> str:
        """The logo's full address, here or elsewhere, or an empty string."""
        return f"{settings.BASE_URL}{self.logo_path}" if self.logo_digest else self.logo_url

    @property
    def api_key_maximum(self) -> tuple[int, int]:
        """Calls an hour and a day."""
        return (
            self.api_key_max_per_hour or settings.API_KEY_MAX_PER_HOUR,
            self.api_key_max_per_day or settings.API_KEY_MAX_PER_DAY,
        )


class Domain(DomainMixin):  # type: ignore[misc]  # DomainMixin has no types
    """Required by django-tenants. Companies are told apart by credentials, never by host names."""


class SystemConfig(BaseModel):
    """An entry of a company's configuration, or of the platform's (no company). Values are JSON, encrypted at rest."""

    company = models.ForeignKey(Company, models.CASCADE, null=True, blank=True, related_name="configuration")
    config_key = models.CharField(max_length=100)
    encrypted_value = EncryptedTextField(editable=False)
    config_type = models.CharField(max_length=40, blank=True)
    description = models.CharField(max_length=500, blank=True)
    is_sensitive = models.BooleanField(default=False)

    class Meta:
        ordering = ["-updated_at"]
        verbose_name = "configuration entry"
        verbose_name_plural = "configuration"
        constraints = [
            models.UniqueConstraint(fields=["company", "config_key"], name="config_key_unique", nulls_distinct=False)
        ]

    def __str__(self) -> str:
        return self.config_key

    @property
    def config_value(self) -> Any:
        return json.loads(self.encrypted_value)

    @config_value.setter
    def config_value(self, value: Any) -> None:
        self.encrypted_value = json.dumps(value)


class AgentRoute(models.Model):
    """Which company an agent belongs to, for the endpoints that only know the agent's id (widget, public page)."""

    agent_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    company = models.ForeignKey(Company, models.CASCADE, related_name="agent_routes")

    def __str__(self) -> str:
        return str(self.agent_id)


class TemplateSchema(models.Model):
    """The DDL that makes a new company's schema: a dump of the migrated template, with its name to be replaced.

    `fingerprint` names the migrations that it stands for, so that a deploy makes it anew when they change.
    """

    fingerprint = models.CharField(max_length=64, unique=True)
    ddl = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{settings.TEMPLATE_SCHEMA} {self.fingerprint[:12]}"
