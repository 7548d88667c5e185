"""What a worker does to mail somebody a link: make its token, store the token's hash, send. And what ends an
impersonation whose time is over, and keeps what has failed for good.

The token exists in the worker's memory and in the mail, nowhere else. Run twice, two good links are mailed.
"""

from __future__ import annotations

import secrets
import uuid
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from knowrithm.principal import Principal
from knowrithm.security.hashing import keyed_hash
from tenants import mail
from tenants.audit.models import RiskLevel
from tenants.audit.services import log_of, record_event
from tenants.enums import InvitationStatus, Letter, UserStatus
from tenants.models import DeadLetter, EmailVerification, Invitation, PasswordReset, User, UserSession
from tenants.selectors import password_state_of

VERIFICATION_LIFETIME = timedelta(hours=24)
RESET_LIFETIME = timedelta(hours=1)
DEAD_LETTERS_KEPT = timedelta(days=30)


def mail_link(letter: Letter, row_id: uuid.UUID) -> None:
    """`row_id` is the invitation's, or else the person's; nothing happens when it names nobody who may have the mail.

    Raises `MailNotSentError`.
    """
    if letter == Letter.VERIFY_EMAIL:
        _mail_verification(row_id)
    elif letter == Letter.INVITATION:
        _mail_invitation(row_id)
    else:
        _mail_reset(letter, row_id)


def _mail_verification(user_id: uuid.UUID) -> None:
    user = _reader(user_id)
    if user is None or user.email_verified:
        return
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    user.email_verifications.filter(expires_at__lte=now).delete()
    EmailVerification.objects.create(
        user=user, email=user.email, token_hash=keyed_hash(token, purpose=Letter.VERIFY_EMAIL),
        expires_at=now + VERIFICATION_LIFETIME,
    )  # fmt: skip
    _mail_to(user, Letter.VERIFY_EMAIL, "Confirm your e-mail address", _address_of("verify-email", token))


def _mail_reset(letter: Letter, user_id: uuid.UUID) -> None:
    user = _reader(user_id)
    if user is None or (letter == Letter.FORCED_RESET and not user.must_reset_password):
        return
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    user.password_resets.filter(expires_at__lte=now).delete()
    PasswordReset.objects.create(
        user=user, password_state=password_state_of(user), token_hash=keyed_hash(token, purpose=Letter.RESET_PASSWORD),
        expires_at=now + RESET_LIFETIME,
    )  # fmt: skip
    _mail_to(user, letter, "Choose a new password", _address_of("password-reset", token))


def _mail_invitation(invitation_id: uuid.UUID) -> None:
    """A link that was mailed before stops working."""
    invitation = Invitation.objects.select_related("company", "invited_by").filter(pk=invitation_id).first()
    if invitation is None or invitation.status != InvitationStatus.PENDING or not invitation.company.is_usable:
        return
    token = secrets.token_urlsafe(32)
    invitation.token_hash = keyed_hash(token, purpose=Letter.INVITATION)
    invitation.save(update_fields=["token_hash", "updated_at"])
    company = invitation.company
    context = {"invitation": invitation, "company": company, "link": _address_of("invitation", token)}
    subject = f"{company.name} invites you to Knowrithm"
    mail.send(Letter.INVITATION, to=invitation.email, subject=subject, context=context)
    Invitation.objects.filter(pk=invitation.pk).update(sent_at=timezone.now())
    with log_of(company):
        record_event(actor=None, event_type="invitation.mailed", entity=invitation)


def _mail_to(user: User, letter: Letter, subject: str, link: str) -> None:
    mail.send(letter, to=user.email, subject=subject, context={"user": user, "company": user.company, "link": link})
    with log_of(user.company):
        record_event(actor=None, event_type=f"user.{letter}_mailed", entity=user)


def _reader(user_id: uuid.UUID) -> User | None:
    """The person, if a link would be of use to them."""
    user = User.objects.select_related("company").filter(pk=user_id).first()
    if user is None or user.status not in {UserStatus.ACTIVE, UserStatus.PENDING_VERIFICATION}:
        return None
    return user if user.company is None or user.company.is_usable else None


def _address_of(page: str, token: str) -> str:
    return f"{settings.BASE_URL}{reverse(page)}?token={token}"


# --- Acting as somebody -------------------------------------------------------------------------------------------


@transaction.atomic
def end_impersonation(*, session: UserSession, actor: Principal | None) -> None:
    """Once: its token and its browser are the person's no more. Does nothing when it has ended before."""
    ended = UserSession.objects.filter(pk=session.pk, revoked_at=None).exclude(impersonator=None)
    if not ended.update(revoked_at=timezone.now()):
        return
    with log_of(session.user.company):
        record_event(
            actor=actor,
            event_type="user.impersonation_ended",
            entity=session.user,
            risk_level=RiskLevel.HIGH,
            description=f"{session.impersonator} acts as {session.user.email} no more.",
        )


def end_impersonations_over_time() -> None:
    """Those whose time is over, each in a transaction of its own: nobody else may ever ask for their token again."""
    sessions = UserSession.objects.filter(revoked_at=None, expires_at__lte=timezone.now()).exclude(impersonator=None)
    for session in sessions.select_related("user__company", "impersonator"):
        end_impersonation(session=session, actor=None)


# --- Dead letters -------------------------------------------------------------------------------------------------


def keep_dead_letter(task: str, arguments: list[str], error: str) -> None:
    """For super admins, who see it in Django admin. What has not failed for a month is forgotten."""
    said, now = error.replace("\0", "")[:500], timezone.now()
    DeadLetter.objects.filter(updated_at__lt=now - DEAD_LETTERS_KEPT).delete()
    DeadLetter.objects.update_or_create(
        task=task,
        arguments=arguments,
        defaults={"error": said, "times": F("times") + 1},
        create_defaults={"error": said},
    )
