"""Inviting people to a company's team by e-mail."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from knowrithm.errors import ConflictError, InvalidInputError, NotFoundError
from knowrithm.principal import Principal, Role
from knowrithm.security.hashing import keyed_hash
from tenants.audit.models import RiskLevel
from tenants.audit.services import log_of, record_event
from tenants.enums import INVITED_ROLES, InvitationStatus, Letter
from tenants.exceptions import InvalidLinkError, InvitationExistsError
from tenants.models import Invitation, User
from tenants.services.people import check_email_is_free, new_user
from tenants.tasks import queue_letter

LIFETIME = timedelta(days=7)


@transaction.atomic
def invite_user(*, actor: Principal, email: str, role: str = Role.USER) -> Invitation:
    """An invitation to the actor's company, good for a week. It is mailed once this has committed.

    Raises `AlreadyRegisteredError`, `InvitationExistsError`.
    """
    actor.must_be_admin()
    if role not in dict(INVITED_ROLES):
        raise InvalidInputError("People are invited as user or admin.", fields={"role": ["Choose user or admin."]})
    email = email.lower()
    check_email_is_free(email)
    now = timezone.now()
    open_ones = Invitation.objects.filter(
        company_id=actor.company_id, email__iexact=email, accepted_at=None, revoked_at=None
    )
    open_ones.filter(expires_at__lte=now).update(revoked_at=now)  # it has had its time: room for a new one
    try:
        with transaction.atomic():
            invitation = Invitation.objects.create(
                company_id=actor.company_id, email=email, role=role, invited_by_id=actor.user_id,
                expires_at=now + LIFETIME,
            )  # fmt: skip
    except IntegrityError:
        sentence = f"{email} has been invited already. Send that invitation again, or revoke it first."
        raise InvitationExistsError(sentence, fields={"email": [sentence]}) from None
    queue_letter(Letter.INVITATION, invitation.id)
    record_event(
        actor=actor, event_type="invitation.created", entity=invitation, risk_level=RiskLevel.MEDIUM,
        changes={"role": (None, role)},
    )  # fmt: skip
    return invitation


@transaction.atomic
def resend_invitation(*, actor: Principal, invitation_id: uuid.UUID) -> Invitation:
    """Mail it once more, good for a week from now. The link that was mailed before stops working."""
    invitation = _open_invitation(actor, invitation_id)
    invitation.expires_at = timezone.now() + LIFETIME
    invitation.save(update_fields=["expires_at", "updated_at"])
    queue_letter(Letter.INVITATION, invitation.id)
    record_event(actor=actor, event_type="invitation.resent", entity=invitation)
    return invitation


@transaction.atomic
def revoke_invitation(*, actor: Principal, invitation_id: uuid.UUID) -> Invitation:
    invitation = _open_invitation(actor, invitation_id)
    invitation.revoked_at = timezone.now()
    invitation.save(update_fields=["revoked_at", "updated_at"])
    record_event(actor=actor, event_type="invitation.revoked", entity=invitation)
    return invitation


def invitation_of_link(*, token: str) -> Invitation:
    """Raises `InvalidLinkError`. Changes nothing."""
    return _by_token(token)


@transaction.atomic
def accept_invitation(*, token: str, password: str, first_name: str, last_name: str, username: str = "") -> User:
    """The new person, whose address the link has proven. Raises `InvalidLinkError`, `InvalidInputError`."""
    invitation = _by_token(token, lock=True)
    check_email_is_free(invitation.email)
    user = new_user(
        company=invitation.company, email=invitation.email, username=username, password=password,
        first_name=first_name, last_name=last_name, role=invitation.role, email_verified=True,
    )  # fmt: skip
    invitation.accepted_at = timezone.now()
    invitation.save(update_fields=["accepted_at", "updated_at"])
    with log_of(invitation.company):
        record_event(
            actor=None, event_type="invitation.accepted", entity=user, risk_level=RiskLevel.MEDIUM,
            changes={"role": (None, user.role)},
        )  # fmt: skip
    return user


def _by_token(token: str, *, lock: bool = False) -> Invitation:
    invitations = Invitation.objects.select_related("company")
    if lock:
        invitations = invitations.select_for_update(of=("self",))
    invitation = invitations.filter(token_hash=keyed_hash(token, purpose=Letter.INVITATION)).first()
    if invitation is None or invitation.status != InvitationStatus.PENDING or not invitation.company.is_usable:
        raise InvalidLinkError("This invitation is not valid any more. Ask the person who invited you for a new one.")
    return invitation


def _open_invitation(actor: Principal, invitation_id: uuid.UUID) -> Invitation:
    """Of the actor's company, locked; expired ones too."""
    actor.must_be_admin()
    invitation = Invitation.objects.select_for_update().filter(pk=invitation_id, company_id=actor.company_id).first()
    if invitation is None:
        raise NotFoundError("There is no such invitation.")
    if invitation.accepted_at or invitation.revoked_at:
        raise ConflictError(f"This invitation has been {invitation.status} already.")
    return invitation
