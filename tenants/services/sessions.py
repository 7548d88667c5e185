"""Signing in, refreshing, signing out; and the principal that a person is."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from knowrithm.errors import NotFoundError
from knowrithm.principal import ROLE_SCOPES, Principal, PrincipalKind, Role
from tenants import tokens
from tenants.audit.models import RiskLevel
from tenants.audit.services import log_of, record_event
from tenants.exceptions import AccountLockedError, AccountUnavailableError, BadCredentialsError
from tenants.models import Company, User, UserSession


@dataclass(frozen=True, slots=True)
class SignedIn:
    user: User
    session: UserSession
    tokens: tokens.TokenPair


@cache
def _dummy_hash() -> str:
    """Checked when the address is unknown, so that the answer takes as long as for a known one."""
    return make_password(secrets.token_hex())


def verify_password(*, email: str, password: str) -> User:
    """The person with this address and password.

    Raises `BadCredentialsError`, `AccountLockedError` after too many failures, `AccountUnavailableError`.
    """
    user = User.objects.select_related("company").filter(email__iexact=email).first()
    if user is None:
        check_password(password, _dummy_hash())
        _record_refusal(None, "Nobody has this e-mail address.", email=email)
        raise BadCredentialsError("The e-mail address or the password is not right.")
    if user.is_locked:
        _record_refusal(user, "The account is locked.")
        raise AccountLockedError("This account is locked after too many failed attempts. Try again later.")
    if not user.check_password(password):
        _count_failure(user)
        raise BadCredentialsError("The e-mail address or the password is not right.")
    if not user.may_sign_in:
        _record_refusal(user, "The account is not active.")
        raise AccountUnavailableError("This account is not active. Ask an admin of your company.")
    if user.login_attempts:
        User.objects.filter(pk=user.pk).update(login_attempts=0, locked_until=None)
    return user


@transaction.atomic
def _count_failure(user: User) -> None:
    User.objects.filter(pk=user.pk).update(login_attempts=F("login_attempts") + 1)
    user.refresh_from_db(fields=["login_attempts"])
    if user.login_attempts >= settings.LOGIN_FAILURE_LIMIT:
        until = timezone.now() + timedelta(minutes=settings.LOGIN_LOCK_MINUTES)
        User.objects.filter(pk=user.pk).update(locked_until=until, login_attempts=0)
        with log_of(_log_owner(user)):
            record_event(
                actor=None,
                event_type="user.locked",
                entity=user,
                changes={"locked_until": (None, until)},
                description=f"{settings.LOGIN_FAILURE_LIMIT} wrong passwords in a row.",
                risk_level=RiskLevel.HIGH,
            )
        return
    _record_refusal(user, "The password was wrong.")


def _record_refusal(user: User | None, why: str, *, email: str = "") -> None:
    """In the log of the person's company; of an address that nobody has, in the platform's."""
    # What is no address may be a password in the wrong field.
    label = "" if user is not None or "@" not in email else email
    with log_of(_log_owner(user)):
        record_event(
            actor=None,
            event_type="user.sign_in_failed",
            entity=user,
            entity_type="user",
            entity_label=label,
            description=why,
            risk_level=RiskLevel.MEDIUM,
        )


def _log_owner(user: User | None) -> Company | None:
    """The company in whose log a sign-in stands; None, for the platform's, while its schema is being made."""
    company = user.company if user is not None else None
    return company if company is not None and company.is_ready else None


def record_sign_in(*, user: User, session_id: uuid.UUID | None = None) -> None:
    """Call it where somebody has proved who they are, in the transaction that begins their session."""
    with log_of(_log_owner(user)):
        record_event(
            actor=principal_of(user, session_id=session_id),
            event_type="user.signed_in",
            entity=user,
            risk_level=RiskLevel.MEDIUM if user.is_staff else RiskLevel.LOW,
        )


@transaction.atomic
def sign_in(*, user: User, ip_address: str | None = None, user_agent: str = "") -> SignedIn:
    """A session for somebody who has just proved who they are."""
    signed_in = start_session(user=user, ip_address=ip_address, user_agent=user_agent)
    record_sign_in(user=user, session_id=signed_in.session.id)
    return signed_in


def start_session(*, user: User, ip_address: str | None = None, user_agent: str = "") -> SignedIn:
    """Records nothing: it is a part of signing in, and of registering."""
    now = timezone.now()
    session = UserSession(user=user, ip_address=ip_address, user_agent=user_agent[:300], last_seen_at=now)
    pair = tokens.issue_for_user(user, session.id)
    session.refresh_jti = pair.refresh_jti
    session.expires_at = now + pair.refresh_lifetime
    session.save()
    User.objects.filter(pk=user.pk).update(last_login=now)
    return SignedIn(user, session, pair)


def refresh_session(*, refresh_token: str) -> SignedIn:
    """New tokens for an old refresh token, once. A token used twice ends the session: one of the two was stolen."""
    payload = tokens.read_refresh(refresh_token)
    session = session_by_id(payload.get("sid"))
    if session is None or not tokens.session_is_current(session, payload):
        raise tokens.InvalidTokenError("This session has ended. Sign in again.")
    if not session.user.may_sign_in:
        raise AccountUnavailableError("This account is not active.")
    pair = tokens.issue_for_user(session.user, session.id)
    now = timezone.now()
    replaced = UserSession.objects.filter(pk=session.pk, refresh_jti=payload["jti"], revoked_at=None).update(
        refresh_jti=pair.refresh_jti, expires_at=now + pair.refresh_lifetime, last_seen_at=now
    )
    if not replaced:
        _end_stolen_session(session)
        raise tokens.InvalidTokenError("This refresh token was used before. The session has been ended; sign in again.")
    return SignedIn(session.user, session, pair)


@transaction.atomic
def _end_stolen_session(session: UserSession) -> None:
    if UserSession.objects.filter(pk=session.pk, revoked_at=None).update(revoked_at=timezone.now()):
        with log_of(_log_owner(session.user)):
            record_event(
                actor=None,
                event_type="session.ended",
                entity=session,
                entity_type="session",
                entity_label=str(session.user),
                description="A refresh token was used twice: one of the two was stolen.",
                risk_level=RiskLevel.HIGH,
            )


def session_by_id(session_id: object) -> UserSession | None:
    """With its person and company, in one query; None for anything that is no session's id."""
    try:
        pk = uuid.UUID(str(session_id))
    except ValueError:
        return None
    return UserSession.objects.select_related("user__company").filter(pk=pk).first()


@transaction.atomic
def end_session(*, actor: Principal, session_id: uuid.UUID) -> None:
    """The actor's own session: this one, which is signing out, or that of another device."""
    user_id = actor.person_id
    ended = UserSession.objects.filter(pk=session_id, user_id=user_id, revoked_at=None).update(
        revoked_at=timezone.now()
    )
    if not ended:
        raise NotFoundError("There is no such session.")
    is_this_one = session_id == actor.session_id
    with log_of(actor.company):
        record_event(
            actor=actor,
            event_type="user.signed_out" if is_this_one else "session.ended",
            entity_type="user" if is_this_one else "session",
            entity_id=user_id if is_this_one else session_id,
            entity_label=actor.label,
        )


def principal_of(user: User, *, session_id: uuid.UUID | None = None) -> Principal:
    role = Role(user.role)
    return Principal(
        kind=PrincipalKind.USER, id=user.id, user_id=user.id, company=user.company, role=role,
        scopes=ROLE_SCOPES[role], session_id=session_id, label=user.email,
    )  # fmt: skip
