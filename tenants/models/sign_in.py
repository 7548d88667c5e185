"""Second factors, and single sign-on through a company's own provider."""

from __future__ import annotations

from django.db import models

from knowrithm.db.fields import EncryptedTextField
from knowrithm.db.models import BaseModel
from knowrithm.principal import Role
from tenants.enums import (
    COMPANY_ROLE_CHOICES,
)
from tenants.models.companies import Company
from tenants.models.people import User


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
    confirms_addresses = models.BooleanField(default=False)  # all of its domains, without saying so of each
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
