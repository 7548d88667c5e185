"""What is known before the company is: companies, people, credentials, and which company an agent belongs to."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django_tenants.models import DomainMixin, TenantMixin

from knowrithm.db.models import ArchivableModel, ArchivableQuerySet, BaseModel
from knowrithm.principal import Role, Scope
from tenants.enums import ROLE_CHOICES, ApiKeyStatus, UserStatus

LAST_USED_RESOLUTION = timedelta(minutes=1)
MIN_AUDIT_DAYS = 30  # a log that is emptied sooner proves nothing


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
    audit_retention_days = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(MIN_AUDIT_DAYS)], help_text="Empty: kept for ever."
    )

    objects = models.Manager.from_queryset(ArchivableQuerySet)()

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "companies"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(audit_retention_days=None) | models.Q(audit_retention_days__gte=MIN_AUDIT_DAYS),
                name="company_audit_retention_not_too_short",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_usable(self) -> bool:
        return self.is_ready and self.is_active and not self.is_archived


class Domain(DomainMixin):  # type: ignore[misc]  # DomainMixin has no types
    """Required by django-tenants. Companies are told apart by credentials, never by host names."""


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)

    def create_superuser(self, email: str, password: str, **fields: object) -> User:
        """What `manage.py createsuperuser` calls: a super admin, who belongs to no company."""
        user = self.model(email=email, username=email, role=Role.SUPER_ADMIN, email_verified=True, **fields)
        user.set_password(password)
        user.save()
        return user


class User(AbstractBaseUser, BaseModel):
    """A person of a company's team, or a super admin (no company)."""

    company = models.ForeignKey(Company, models.PROTECT, null=True, blank=True, related_name="users")
    email = models.EmailField()
    username = models.CharField(max_length=150)
    first_name = models.CharField(max_length=100, blank=True)
    last_name = models.CharField(max_length=100, blank=True)
    role = models.CharField(max_length=20, choices=ROLE_CHOICES, default=Role.USER)
    status = models.CharField(max_length=24, choices=UserStatus, default=UserStatus.ACTIVE)
    email_verified = models.BooleanField(default=False)
    timezone = models.CharField(max_length=64, default="UTC")
    language = models.CharField(max_length=16, default="en")
    preferences = models.JSONField(default=dict, blank=True)
    login_attempts = models.PositiveIntegerField(default=0, editable=False)
    locked_until = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_unique"),
            models.UniqueConstraint("company", Lower("username"), name="user_username_unique_in_company"),
            models.CheckConstraint(
                condition=models.Q(role=Role.SUPER_ADMIN) | models.Q(company__isnull=False),
                name="user_without_company_is_super_admin",
            ),
        ]

    def __str__(self) -> str:
        return self.full_name or self.email

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def is_active(self) -> bool:  # type: ignore[override]  # a column in Django's base class, derived here
        return self.status == UserStatus.ACTIVE

    @property
    def is_locked(self) -> bool:
        return self.locked_until is not None and self.locked_until > timezone.now()

    @property
    def may_sign_in(self) -> bool:
        return self.is_active and (self.company is None or self.company.is_usable)

    # What Django admin asks: super admins may do everything there, nobody else anything.
    @property
    def is_staff(self) -> bool:
        return self.role == Role.SUPER_ADMIN

    @property
    def is_superuser(self) -> bool:
        return self.is_staff

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_active and self.is_staff

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_staff


class UserSession(BaseModel):
    """One sign-in through the API. Its access tokens live as long as it is not revoked.

    `refresh_jti` is the id of the only refresh token that is still good: each refresh replaces it.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="sessions")
    refresh_jti = models.CharField(max_length=64)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    last_seen_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-last_seen_at"]

    def __str__(self) -> str:
        return f"{self.user} since {self.created_at:%Y-%m-%d %H:%M}"


def default_scopes() -> list[str]:
    return [Scope.READ, Scope.WRITE]


class ApiKey(BaseModel):
    """A pair of public key and secret. Of the secret only a keyed hash is stored."""

    company = models.ForeignKey(Company, models.CASCADE, related_name="api_keys")
    user = models.ForeignKey(User, models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=100)
    key = models.CharField(max_length=64, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=default_scopes)
    permissions = models.JSONField(default=dict, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    rate_limit_per_hour = models.PositiveIntegerField(default=1000)
    rate_limit_per_day = models.PositiveIntegerField(default=10000)
    usage_count = models.PositiveBigIntegerField(default=0, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.key_prefix}…)"

    @property
    def key_prefix(self) -> str:
        return self.key[:8]

    @property
    def status(self) -> ApiKeyStatus:
        if self.revoked_at:
            return ApiKeyStatus.REVOKED
        if self.expires_at and self.expires_at <= timezone.now():
            return ApiKeyStatus.EXPIRED
        return ApiKeyStatus.ACTIVE


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
