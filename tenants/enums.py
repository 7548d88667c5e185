from __future__ import annotations

from django.db import models

from knowrithm.principal import Role

ROLE_CHOICES = [(role.value, role.value.replace("_", " ").capitalize()) for role in Role]
COMPANY_ROLE_CHOICES = [choice for choice in ROLE_CHOICES if choice[0] != Role.SUPER_ADMIN]

INVITED_ROLES = [choice for choice in ROLE_CHOICES if choice[0] != Role.SUPER_ADMIN]


class CompanyStatus(models.TextChoices):
    ACTIVE = "active"
    INACTIVE = "inactive"  # shut out by a super admin
    ARCHIVED = "archived"


class UserStatus(models.TextChoices):
    ACTIVE = "active"
    INACTIVE = "inactive"
    SUSPENDED = "suspended"
    PENDING_VERIFICATION = "pending_verification"


class ApiKeyStatus(models.TextChoices):
    ACTIVE = "active"
    INACTIVE = "inactive"
    REVOKED = "revoked"
    EXPIRED = "expired"


class SessionKind(models.TextChoices):
    API = "api"
    BROWSER = "browser"


class InvitationStatus(models.TextChoices):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Letter(models.TextChoices):
    """The mails that the platform sends."""

    VERIFY_EMAIL = "verify_email"
    ADDRESS_CHANGED = "address_changed"
    RESET_PASSWORD = "reset_password"  # noqa: S105  # the name of a mail
    FORCED_RESET = "forced_reset"
    INVITATION = "invitation"
    NOTIFICATION = "notification"
    REPLY = "reply"  # of a person, to a visitor who has left
