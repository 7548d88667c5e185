"""Changing, forgetting and resetting passwords; unlocking an account."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils import timezone

from knowrithm.errors import InvalidInputError, NotFoundError
from knowrithm.principal import Principal, Role
from knowrithm.security.hashing import keyed_hash
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, log_of, record_event
from tenants.enums import Letter
from tenants.exceptions import InvalidLinkError
from tenants.models import PasswordReset, User
from tenants.passwords import check_new_password
from tenants.selectors import password_state_of
from tenants.services.sessions import end_sessions, try_password
from tenants.services.verification import mark_verified
from tenants.tasks import queue_letter

LINK_OVER = "This link is not valid any more. Ask for a new one."


def change_password(
    *, actor: Principal, user: User, current: str, new: str, keep_session_id: str | None = None
) -> None:
    """Every session of the person ends but `keep_session_id`, the one that asks. A wrong password counts as a failed
    sign-in. Raises `InvalidInputError`, `AccountLockedError`.
    """
    if not try_password(user, current):
        raise InvalidInputError("The current password is not right.", fields={"current_password": ["Not right."]})
    check_new_password(new, user, field="new_password")
    with transaction.atomic():
        user.set_password(new)
        user.save(update_fields=["password", "updated_at"])
        end_sessions(user, actor=actor, but=keep_session_id)
        with log_of(user.company):
            record_event(actor=actor, event_type="user.password_changed", entity=user, risk_level=RiskLevel.MEDIUM)


def request_password_reset(*, email: str) -> None:
    """Mail a link to this address, if it is a person's. Takes the same time for any other address."""
    found = User.objects.filter(email__iexact=email).values_list("pk", flat=True).first()
    queue_letter(Letter.RESET_PASSWORD, found or uuid.uuid4())  # nobody's: the worker finds out, not the asker


def person_of_reset_link(*, token: str) -> User:
    """Raises `InvalidLinkError`. Changes nothing."""
    return _open_link(token).user


def _open_link(token: str, *, lock: bool = False) -> PasswordReset:
    links = PasswordReset.objects.select_related("user__company")
    if lock:  # the person too: of two links used at once, the second then finds the password changed
        links = links.select_for_update(of=("self", "user"))
    link = links.filter(token_hash=keyed_hash(token, purpose=Letter.RESET_PASSWORD)).first()
    if link is None or not link.is_open or link.password_state != password_state_of(link.user):
        raise InvalidLinkError(LINK_OVER)
    return link


@transaction.atomic
def reset_password(*, token: str, password: str) -> User:
    """The person of the link, with the new password: unlocked, the address proven, signed out everywhere.

    Raises `InvalidLinkError`, or `InvalidInputError` for the password; then the link stays good.
    """
    link = _open_link(token, lock=True)
    user = link.user
    check_new_password(password, user)
    link.used_at = timezone.now()
    link.save(update_fields=["used_at", "updated_at"])
    user.set_password(password)
    user.must_reset_password = False
    user.login_attempts, user.locked_until = 0, None
    mark_verified(user)  # who opens the link reads the mail of this address
    user.save()
    end_sessions(user, actor=None)
    with log_of(user.company):
        record_event(actor=None, event_type="user.password_reset", entity=user, risk_level=RiskLevel.MEDIUM)
    return user


@transaction.atomic
def force_password_reset(*, actor: Principal, user: User) -> User:
    """The person is signed out everywhere and cannot sign in before choosing a new password by the mailed link."""
    _check_governs(actor, user)
    before = user.must_reset_password
    user.must_reset_password = True
    user.save(update_fields=["must_reset_password", "updated_at"])
    end_sessions(user, actor=actor)
    queue_letter(Letter.FORCED_RESET, user.id)
    with log_of(user.company):
        record_event(
            actor=actor, event_type="user.password_reset_forced", entity=user, risk_level=RiskLevel.HIGH,
            changes=changed_fields({"must_reset": before}, {"must_reset": True}),
        )  # fmt: skip
    return user


@transaction.atomic
def unlock_user(*, actor: Principal, user: User) -> User:
    """End the lock-out after wrong passwords before its time."""
    _check_governs(actor, user)
    before = {"locked_until": user.locked_until, "login_attempts": user.login_attempts}
    user.login_attempts, user.locked_until = 0, None
    user.save(update_fields=["login_attempts", "locked_until", "updated_at"])
    with log_of(user.company):
        record_event(
            actor=actor, event_type="user.unlocked", entity=user, risk_level=RiskLevel.MEDIUM,
            changes=changed_fields(before, {"locked_until": None, "login_attempts": 0}),
        )  # fmt: skip
    return user


def _check_governs(actor: Principal, user: User) -> None:
    actor.must_be_admin()
    if actor.role != Role.SUPER_ADMIN and user.company_id != actor.company_id:
        raise NotFoundError("There is no such user.")
