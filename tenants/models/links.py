"""What is mailed to somebody as a link that works once."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from knowrithm.db.models import BaseModel
from knowrithm.principal import Role
from tenants.enums import (
    INVITED_ROLES,
    InvitationStatus,
)
from tenants.models.companies import Company
from tenants.models.people import User


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
    """Proves that `user` reads the mail of `email`, as long as that is the person's address, or the one that is to
    replace it. `replaced` is the address that it has taken the place of."""

    user = models.ForeignKey(User, models.CASCADE, related_name="email_verifications")
    email = models.EmailField()
    replaced = models.EmailField(blank=True, editable=False)

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
