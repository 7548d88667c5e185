"""Signing in, refreshing, signing out; and the principal that a person is."""

from __future__ import annotations

import math
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

from knowrithm.errors import ForbiddenError, NotFoundError, ServiceError
from knowrithm.origin import current_origin
from knowrithm.principal import ROLE_SCOPES, Principal, PrincipalKind, Role
from tenants import tokens
from tenants.audit.models import RiskLevel
from tenants.audit.services import log_of, record_event
from tenants.enums import SessionKind, UserStatus
from tenants.exceptions import (
    AccountLockedError,
    AccountUnavailableError,
    BadCredentialsError,
    PasswordResetRequiredError,
    SingleSignOnRequiredError,
    TwoFactorSetupRequiredError,
)
from tenants.jobs import end_impersonation
from tenants.models import User, UserSession
from tenants.selectors import session_by_id


@dataclass(frozen=True, slots=True)
class SignedIn:
    user: User
    session: UserSession
    tokens: tokens.TokenPair


@cache
def _dummy_hash() -> str:
    """Checked when the address is unknown, so that the answer takes as long as for a known one."""
    return make_password(secrets.token_hex())


def verify_password(*, email: str, password: str, allows_archived: bool = False) -> User:
    """The person with this address and password; with `allows_archived` also an admin who may restore the company.

    Who has a second factor has not signed in yet. Raises `BadCredentialsError`, `AccountLockedError` after too many
    failures, and with the right password only `AccountUnavailableError`, `PasswordResetRequiredError`,
    `SingleSignOnRequiredError`.
    """
    user = User.objects.select_related("company").filter(email__iexact=email).first()
    if user is None:
        check_password(password, _dummy_hash())
        _record_refusal(None, "Nobody has this e-mail address.", email=email)
        raise BadCredentialsError("The e-mail address or the password is not right.")
    if user.is_locked:
        _record_refusal(user, "The account is locked.")
        raise _locked(user)
    if not user.check_password(password):
        count_failure(user, why="The password was wrong.")
        raise BadCredentialsError("The e-mail address or the password is not right.")
    if not user.may_enter(user.company, allows_archived=allows_archived):
        _record_refusal(user, "The account or its company is not in use.")
        raise _refusal(user)
    try:
        _check_sso(user)
    except SingleSignOnRequiredError:
        _record_refusal(user, "The company signs in through its own provider.")
        raise
    # With a second factor, wrong codes go on counting until a code was right: a known password buys no guesses.
    if user.login_attempts and not user.two_factor_enabled:
        User.objects.filter(pk=user.pk).update(login_attempts=0, locked_until=None)
    return user


def _locked(user: User) -> AccountLockedError:
    wait = max(1, math.ceil((user.locked_until - timezone.now()).total_seconds())) if user.locked_until else 1
    minutes = math.ceil(wait / 60)
    later = "a minute" if minutes == 1 else f"{minutes} minutes"
    return AccountLockedError(
        f"This account is locked after too many failed attempts. Try again in {later}, or reset your password.",
        retry_after=wait,
    )


def _refusal(user: User) -> ServiceError:
    """Why somebody whose password is right may not sign in."""
    if user.company is not None and not user.company.is_usable:
        return AccountUnavailableError("Your company's account is not active. Ask whoever runs this installation.")
    if user.status == UserStatus.PENDING_VERIFICATION:
        return AccountUnavailableError("Confirm your e-mail address first: open the link that we have mailed to you.")
    if user.status != UserStatus.ACTIVE:
        return AccountUnavailableError(f"Your account is {user.status}. Ask an admin of your company.")
    return PasswordResetRequiredError(
        "Your password has to be changed before you can sign in. Open the link that we have mailed to you, or ask for "
        "a new one under “Forgot your password?”."
    )


def require_steps(user: User) -> None:
    """What the company asks for besides a password. Holds at every request, so that switching it on works at once.

    It is asked of the person, not of a super admin who acts as them.
    Raises `SingleSignOnRequiredError`, `TwoFactorSetupRequiredError`.
    """
    if user.impersonation is not None:
        return
    _check_sso(user)
    if user.company is not None and user.company.requires_two_factor and not user.two_factor_enabled:
        raise TwoFactorSetupRequiredError(
            "Your company requires two-factor sign-in. Log in to the dashboard to set it up, then sign in again."
        )


def _check_sso(user: User) -> None:
    # Admins keep their password, so that a broken provider cannot lock the company out.
    if user.company is not None and user.company.requires_sso and user.role != Role.ADMIN:
        raise SingleSignOnRequiredError(
            "Your company signs in through its own provider: use “Sign in with your company”."
        )


@transaction.atomic
def try_password(user: User, password: str) -> bool:
    """Whether it is the password of somebody who is signed in: a stolen session buys no guesses.

    A wrong one counts as a failed sign-in, so raise nothing in the transaction of this. One guess at a time, by a lock
    on the person's row. Raises `AccountLockedError`.
    """
    locked = User.objects.select_for_update(of=("self",)).select_related("company").get(pk=user.pk)
    if locked.is_locked:
        raise _locked(locked)
    if not locked.check_password(password):
        count_failure(locked, why="The password was wrong, of somebody who is signed in.")
        return False
    return True


@transaction.atomic
def count_failure(user: User, *, why: str) -> None:
    """A wrong password or code, which locks the account when there were too many."""
    User.objects.filter(pk=user.pk).update(login_attempts=F("login_attempts") + 1)
    user.refresh_from_db(fields=["login_attempts"])
    if user.login_attempts >= settings.LOGIN_FAILURE_LIMIT:
        until = timezone.now() + timedelta(minutes=settings.LOGIN_LOCK_MINUTES)
        User.objects.filter(pk=user.pk).update(locked_until=until, login_attempts=0)
        with log_of(user.company):
            record_event(
                actor=None,
                event_type="user.locked",
                entity=user,
                changes={"locked_until": (None, until)},
                description=f"{settings.LOGIN_FAILURE_LIMIT} wrong passwords or codes in a row.",
                risk_level=RiskLevel.HIGH,
            )
        return
    _record_refusal(user, why)


def _record_refusal(user: User | None, why: str, *, email: str = "") -> None:
    """In the log of the person's company; of an address that nobody has, in the platform's."""
    # What is no address may be a password in the wrong field.
    label = "" if user is not None or "@" not in email else email
    with log_of(user.company if user is not None else None):
        record_event(
            actor=None,
            event_type="user.sign_in_failed",
            entity=user,
            entity_type="user",
            entity_label=label,
            description=why,
            risk_level=RiskLevel.MEDIUM,
        )


def record_sign_in(*, user: User, session_id: uuid.UUID | None = None, by_sso: bool = False) -> None:
    """Call it where somebody has proved who they are, in the transaction that begins their session."""
    with log_of(user.company):
        record_event(
            actor=principal_of(user, session_id=session_id),
            event_type="user.signed_in_by_sso" if by_sso else "user.signed_in",
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
    require_steps(session.user)
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
        with log_of(session.user.company):
            record_event(
                actor=None,
                event_type="session.ended",
                entity=session,
                entity_type="session",
                entity_label=str(session.user),
                description="A refresh token was used twice: one of the two was stolen.",
                risk_level=RiskLevel.HIGH,
            )


@transaction.atomic
def end_session(*, actor: Principal, session_id: uuid.UUID) -> None:
    """The actor's own session: this one, which is signing out, or that of another device."""
    user_id = actor.person_id
    acting = UserSession.objects.select_related("user__company", "impersonator").exclude(impersonator=None)
    if session := acting.filter(pk=session_id, user_id=user_id, revoked_at=None).first():
        end_impersonation(session=session, actor=actor)
        return
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


@transaction.atomic
def end_any_session(*, actor: Principal, session_id: uuid.UUID) -> bool:
    """A super admin ends anybody's; False when it had ended before. Raises `ForbiddenError`."""
    if not actor.is_super_admin:
        raise ForbiddenError("Only a super admin can end other people's sessions.")
    rows = UserSession.objects.select_related("user__company", "impersonator").select_for_update(of=("self",))
    session = rows.filter(pk=session_id, revoked_at=None).first()
    if session is None:
        return False
    if session.impersonator is not None:
        end_impersonation(session=session, actor=actor)
        return True
    session.revoked_at = timezone.now()
    session.save(update_fields=["revoked_at", "updated_at"])
    with log_of(session.user.company):
        record_event(
            actor=actor, event_type="session.ended", entity=session, entity_type="session",
            entity_label=str(session.user), risk_level=RiskLevel.MEDIUM,
        )  # fmt: skip
    return True


def start_browser_session(*, user: User, replaces: str | None = None) -> UserSession:
    """The row behind a cookie. `replaces` is the row that the same cookie named before.

    Records nothing: it is a part of signing in, and of registering.
    """
    origin, now = current_origin(), timezone.now()
    if replaces:
        UserSession.objects.filter(pk=replaces, revoked_at=None).update(revoked_at=now)
    return UserSession.objects.create(
        user=user, kind=SessionKind.BROWSER, ip_address=origin.ip_address, user_agent=origin.user_agent[:300],
        last_seen_at=now, expires_at=now + timedelta(seconds=settings.SESSION_COOKIE_AGE),
    )  # fmt: skip


@transaction.atomic
def close_browser_session(*, session_id: str) -> None:
    """What signing out does; nothing when it has ended before."""
    session = session_by_id(session_id)
    if session and UserSession.objects.filter(pk=session.pk, revoked_at=None).update(revoked_at=timezone.now()):
        actor = principal_of(session.user, session_id=session.pk)
        with log_of(session.user.company):
            record_event(actor=actor, event_type="user.signed_out", entity=session.user)


@transaction.atomic
def end_other_sessions(*, actor: Principal, user: User, keep_session_id: str | None) -> int:
    """Sign the person out everywhere but here; how many sessions that were."""
    ended = end_sessions(user, actor=actor, but=keep_session_id)
    with log_of(user.company):
        record_event(actor=actor, event_type="user.signed_out_elsewhere", entity=user)
    return ended


def end_sessions(user: User, *, actor: Principal | None, but: uuid.UUID | str | None = None) -> int:
    """A part of other services: inside their transaction, told of in their audit row.

    Whoever acts as the person does so no more, which has a row of its own.
    """
    sessions = user.sessions.filter(revoked_at=None)
    if but:
        sessions = sessions.exclude(pk=but)
    acting = list(sessions.exclude(impersonator=None).select_related("user__company", "impersonator"))
    for session in acting:
        end_impersonation(session=session, actor=actor)
    return len(acting) + sessions.filter(impersonator=None).update(revoked_at=timezone.now())


def principal_of(user: User, *, session_id: uuid.UUID | None = None) -> Principal:
    """The person, or who acts as them: see `User.impersonation`."""
    role = Role(user.role)
    impersonator = user.impersonation.impersonator if user.impersonation else None
    return Principal(
        kind=PrincipalKind.USER, id=user.id, user_id=user.id, company=user.company, role=role,
        scopes=ROLE_SCOPES[role], session_id=session_id, label=user.email,
        impersonator_id=impersonator.id if impersonator else None,
        impersonator_label=impersonator.email if impersonator else "",
    )  # fmt: skip
