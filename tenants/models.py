"""What is known before the company is: companies, people, credentials, and which company an agent belongs to."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django_tenants.models import DomainMixin, TenantMixin

from knowrithm.db.fields import EncryptedTextField
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet, BaseModel
from knowrithm.principal import Role, Scope
from tenants.enums import (
    COMPANY_ROLE_CHOICES,
    INVITED_ROLES,
    ROLE_CHOICES,
    ApiKeyStatus,
    CompanyStatus,
    InvitationStatus,
    SessionKind,
    UserStatus,
)
from tenants.ocr_languages import default_languages

LAST_SEEN_RESOLUTION = timedelta(minutes=1)  # so often is the last use of a browser's session written
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
    must_reset_password = models.BooleanField(default=False)
    two_factor_enabled = models.BooleanField(default=False, editable=False)  # there is a confirmed TwoFactor
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    # The session in which a super admin acts as this person; set by the selectors that find it.
    impersonation: UserSession | None = None

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
        return self.may_enter(self.company)

    def may_enter(self, company: Company | None, *, allows_archived: bool = False) -> bool:
        """Whether credentials of this person for `company` are good now.

        With `allows_archived`, an admin's are good for an archived company too while it can still be restored.
        """
        if not self.is_active or self.must_reset_password:
            return False
        if company is None or company.is_usable:
            return True
        return allows_archived and self.role == Role.ADMIN and company.is_restorable

    def get_session_auth_hash(self) -> str:
        """Of the second factor too: when it is switched on or off, every other browser is signed out."""
        return salted_hmac(
            "tenants.User.session", f"{self.password}{self.two_factor_enabled}", algorithm="sha256"
        ).hexdigest()

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
    """One sign-in, through the API or in a browser. Its tokens, or its cookie, live as long as it is not revoked.

    `refresh_jti` is the id of the only refresh token that is still good: each refresh replaces it. A browser has none,
    nor has a session with an `impersonator`: a super admin's who acts as the person for a short time.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="sessions")
    kind = models.CharField(max_length=8, choices=SessionKind, default=SessionKind.API)
    refresh_jti = models.CharField(max_length=64, blank=True)
    ip_address = models.GenericIPAddressField("IP address", null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    last_seen_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    impersonator = models.ForeignKey(User, models.CASCADE, null=True, blank=True, related_name="impersonations")

    class Meta:
        ordering = ["-last_seen_at"]

    def __str__(self) -> str:
        return f"{self.user} since {self.created_at:%Y-%m-%d %H:%M}"


class SingleUseLink(BaseModel):
    """A link that was mailed. Of its token only a keyed hash is stored."""

    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def is_open(self) -> bool:
        return self.used_at is None and self.expires_at > timezone.now()


class EmailVerification(SingleUseLink):
    """Proves that `user` reads the mail of `email`, as long as that is the person's address."""

    user = models.ForeignKey(User, models.CASCADE, related_name="email_verifications")
    email = models.EmailField()

    def __str__(self) -> str:
        return self.email


class PasswordReset(SingleUseLink):
    """Lets `user` choose a password. `password_state` is what `password_state_of` said when the link was made: the
    link dies when the password changes, in whatever way."""

    user = models.ForeignKey(User, models.CASCADE, related_name="password_resets")
    password_state = models.CharField(max_length=64, editable=False)

    def __str__(self) -> str:
        return str(self.user)


class Invitation(BaseModel):
    """A place in a company's team, offered to an e-mail address. The worker that mails it sets `token_hash`."""

    company = models.ForeignKey(Company, models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=20, choices=INVITED_ROLES, default=Role.USER)
    invited_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    token_hash = models.CharField(max_length=64, blank=True, db_index=True, editable=False)
    expires_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                "company",
                Lower("email"),
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitation_open_once",
            ),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def status(self) -> InvitationStatus:
        if self.accepted_at:
            return InvitationStatus.ACCEPTED
        if self.revoked_at:
            return InvitationStatus.REVOKED
        return InvitationStatus.EXPIRED if self.expires_at <= timezone.now() else InvitationStatus.PENDING


class TwoFactor(BaseModel):
    """A person's authenticator app. In force once `confirmed_at`; before that, setting it up has only begun."""

    user = models.OneToOneField(User, models.CASCADE, related_name="two_factor")
    secret = EncryptedTextField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    last_used_step = models.BigIntegerField(default=0)  # a code is good for a later step only, so once

    def __str__(self) -> str:
        return f"Second factor of {self.user_id}"


class RecoveryCode(models.Model):
    """Stands in for the app once. Of the code only a keyed hash is stored."""

    user = models.ForeignKey(User, models.CASCADE, related_name="recovery_codes")
    code_hash = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "code_hash"], name="recovery_code_unique")]

    def __str__(self) -> str:
        return f"Recovery code of {self.user_id}"


class SingleSignOn(BaseModel):
    """A company's own OpenID Connect provider."""

    company = models.OneToOneField(Company, models.CASCADE, related_name="single_sign_on")
    issuer = models.URLField()
    client_id = models.CharField(max_length=300)
    client_secret = EncryptedTextField(blank=True)
    is_enabled = models.BooleanField(default=False)
    creates_users = models.BooleanField(default=False)
    default_role = models.CharField(max_length=20, choices=COMPANY_ROLE_CHOICES, default=Role.USER)

    class Meta:
        verbose_name_plural = "single sign-on"

    def __str__(self) -> str:
        return self.issuer


class ProviderIdentity(BaseModel):
    """Whom a company's provider means by `subject`. It never changes there, as names and addresses do.

    Good for this issuer alone: with another one, or another application at it, the subjects are others.
    """

    user = models.OneToOneField(User, models.CASCADE, related_name="provider_identity")
    single_sign_on = models.ForeignKey(SingleSignOn, models.CASCADE, related_name="identities")
    issuer = models.URLField()
    subject = models.CharField(max_length=255)

    class Meta:
        verbose_name_plural = "provider identities"
        constraints = [
            models.UniqueConstraint(
                fields=["single_sign_on", "issuer", "subject"], name="provider_identity_of_one_person"
            )
        ]

    def __str__(self) -> str:
        return f"Provider identity of {self.user_id}"


class EmailDomain(models.Model):
    """A domain whose people sign in through one company's provider. No two companies have the same."""

    single_sign_on = models.ForeignKey(SingleSignOn, models.CASCADE, related_name="email_domains")
    domain = models.CharField(max_length=253, unique=True)  # lower case

    class Meta:
        ordering = ["domain"]

    def __str__(self) -> str:
        return self.domain


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
