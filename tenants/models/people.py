"""People and where they are signed in."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac

from knowrithm.db.models import BaseModel
from knowrithm.principal import Role
from tenants.enums import (
    ROLE_CHOICES,
    SessionKind,
    UserStatus,
)
from tenants.models.companies import Company

LAST_SEEN_RESOLUTION = timedelta(minutes=1)  # so often is the last use of a browser's session written


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
    pending_email = models.EmailField(blank=True, editable=False)  # takes the place of `email` once it is confirmed
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
