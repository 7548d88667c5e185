from __future__ import annotations

from django.db import models

from knowrithm.principal import Role

ROLE_CHOICES = [(role.value, role.value.replace("_", " ").capitalize()) for role in Role]
COMPANY_ROLE_CHOICES = [choice for choice in ROLE_CHOICES if choice[0] != Role.SUPER_ADMIN]


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
