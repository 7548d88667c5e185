"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for when it is lost."""

from __future__ import annotations

import hmac
import secrets
import uuid
from dataclasses import dataclass

import pyotp
from django.db import transaction
from django.utils import timezone

from knowrithm.errors import InvalidInputError, NotFoundError
from knowrithm.principal import Principal, Role
from knowrithm.security.hashing import keyed_hash
from tenants.audit.models import RiskLevel
from tenants.audit.services import log_of, record_event
from tenants.exceptions import (
    AccountLockedError,
    TwoFactorInvalidError,
    TwoFactorRequiredError,
    TwoFactorStateError,
)
from tenants.models import RecoveryCode, TwoFactor, User
from tenants.services.sessions import count_failure, end_sessions, principal_of, require_steps, try_password

ISSUER = "Knowrithm"  # what the app shows beside the address
DRIFT = 1  # steps of 30 seconds that a phone's clock may be early or late
RECOVERY_CODES = 10
RECOVERY_CODE = "recovery-code"  # names what is hashed
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without letters and digits that look alike


@dataclass(frozen=True, slots=True)
class SetUp:
    """What the authenticator app needs: to scan (`address`) or to type in (`secret`)."""

    secret: str
    address: str  # otpauth://…


@transaction.atomic
def begin_two_factor(*, actor: Principal) -> SetUp:
    """A new secret. It replaces one that was not confirmed, and is not asked for before it is confirmed itself."""
    actor.must_be_oneself()
    user = _lock(actor.person_id)
    if user.two_factor_enabled:
        raise TwoFactorStateError("Two-factor sign-in is on already. Switch it off before you set it up anew.")
    row, _ = TwoFactor.objects.update_or_create(
        user=user, defaults={"secret": pyotp.random_base32(), "confirmed_at": None, "last_used_step": 0}
    )
    _record(user, actor, "two_factor.set_up_started")
    return set_up_of(user, row)


def set_up_of(user: User, row: TwoFactor) -> SetUp:
    return SetUp(row.secret, pyotp.TOTP(row.secret).provisioning_uri(name=user.email, issuer_name=ISSUER))


@transaction.atomic
def confirm_two_factor(*, actor: Principal, otp: str) -> list[str]:
    """Switch it on by a first code. Returns the recovery codes, which are never to be had again.

    Every other session of the person ends: it began without the code.
    """
    actor.must_be_oneself()
    user = _lock(actor.person_id)
    row = TwoFactor.objects.filter(user=user, confirmed_at=None).first()
    if row is None:
        raise TwoFactorStateError("Begin to set up two-factor sign-in first.")
    if not _use_totp(row, otp):
        raise _wrong_code()
    row.confirmed_at = timezone.now()
    row.save(update_fields=["confirmed_at", "updated_at"])
    _switch(user, on=True)
    end_sessions(user, actor=actor, but=actor.session_id)
    codes = _new_recovery_codes(user)
    _record(user, actor, "two_factor.enabled", RiskLevel.MEDIUM)
    return codes


def renew_recovery_codes(*, actor: Principal, otp: str) -> list[str]:
    """Ten new codes; the old ones stop working."""
    user = _person(actor)
    with transaction.atomic():
        is_right = _try_code(user, otp)  # a wrong one has to stay counted: nothing is raised in here
        codes = _new_recovery_codes(user) if is_right else []
        if is_right:
            _record(user, actor, "two_factor.recovery_codes_renewed", RiskLevel.MEDIUM)
    if not is_right:
        raise _wrong_code()
    return codes


def disable_two_factor(*, actor: Principal, password: str, otp: str) -> None:
    """By password (of who has one) and code, each of which counts as a failed sign-in when it is wrong. Where it is
    required, the person is led to set it up again.
    """
    user = _person(actor)
    if user.has_usable_password() and not try_password(user, password):
        raise InvalidInputError("The password is not right.", fields={"password": ["Not right."]})
    with transaction.atomic():
        is_right = _try_code(user, otp)  # a wrong one has to stay counted: nothing is raised in here
        if is_right:
            _remove(user)
            _record(user, actor, "two_factor.disabled", RiskLevel.HIGH)
    if not is_right:
        raise _wrong_code()


@transaction.atomic
def reset_two_factor(*, actor: Principal | None, user_id: uuid.UUID) -> User:
    """For who has lost phone and recovery codes: take the second factor away, and end the person's sessions.

    An admin does it for people of the company, a super admin for everybody; without an actor it is the installation's
    own command.
    """
    if actor is not None:
        actor.must_be_oneself()
        actor.must_be_admin()
    people = User.objects.all()
    if actor is not None and actor.role != Role.SUPER_ADMIN:
        people = people.filter(company_id=actor.company_id)
    user = people.select_for_update(of=("self",)).select_related("company").filter(pk=user_id).first()
    if user is None:
        raise NotFoundError("There is no such person.")
    if not user.two_factor_enabled:
        raise TwoFactorStateError("This person has no second factor.")
    _remove(user)
    end_sessions(user, actor=actor)
    _record(user, actor, "two_factor.reset", RiskLevel.HIGH)
    return user


def pass_second_step(*, user: User, otp: str) -> None:
    """What a sign-in needs after the password. Raises `TwoFactorRequiredError` without a code, else as the two below.

    Who has no second factor needs none, unless the company requires it.
    """
    if not user.two_factor_enabled:
        require_steps(user)
    elif not otp:
        raise TwoFactorRequiredError("Send the code of your authenticator app, or a recovery code, as otp.")
    else:
        verify_second_factor(user=user, otp=otp)


def verify_second_factor(*, user: User, otp: str) -> None:
    """Raises `TwoFactorInvalidError`, and `AccountLockedError` after too many wrong codes or passwords."""
    if not _try_code(user, otp):
        raise TwoFactorInvalidError("This code is not right, or was used before. Wait for the next one and try again.")


def recovery_codes_left(user: User) -> int:
    return user.recovery_codes.filter(used_at=None).count()


def _person(actor: Principal) -> User:
    actor.must_be_oneself()
    user = User.objects.select_related("company").get(pk=actor.person_id)
    if not user.two_factor_enabled:
        raise TwoFactorStateError("Two-factor sign-in is not on.")
    return user


def _lock(user_id: uuid.UUID) -> User:
    return User.objects.select_for_update(of=("self",)).select_related("company").get(pk=user_id)


@transaction.atomic
def _try_code(user: User, otp: str) -> bool:
    """Whether the code is good, which uses it up. A wrong one counts as a failed sign-in.

    One guess at a time, by a lock on the person's row: guesses at once would all be made before the first one counts.
    """
    locked = User.objects.select_for_update(of=("self",)).get(pk=user.pk)
    if locked.is_locked:
        raise AccountLockedError("This account is locked after too many failed attempts. Try again later.")
    row = TwoFactor.objects.filter(user=locked).exclude(confirmed_at=None).first()
    by_app = row is not None and _use_totp(row, otp)
    if row is None or not (by_app or _use_recovery_code(user, otp)):
        count_failure(user, why="The code was wrong.")
        return False
    User.objects.filter(pk=locked.pk).update(login_attempts=0, locked_until=None)
    if not by_app:
        left = f"{recovery_codes_left(user)} recovery codes left"
        _record(user, principal_of(user), "two_factor.recovery_code_used", RiskLevel.MEDIUM, left)
    return True


def _use_totp(row: TwoFactor, otp: str) -> bool:
    typed = "".join(otp.split())
    totp = pyotp.TOTP(row.secret)
    present = int(timezone.now().timestamp()) // totp.interval
    for step in range(present - DRIFT, present + DRIFT + 1):
        if step > row.last_used_step and hmac.compare_digest(totp.generate_otp(step).encode(), typed.encode()):
            TwoFactor.objects.filter(pk=row.pk).update(last_used_step=step)
            return True
    return False


def _use_recovery_code(user: User, otp: str) -> bool:
    unused = user.recovery_codes.filter(code_hash=_hash_of(user, otp), used_at=None)
    return bool(unused.update(used_at=timezone.now()))


def _hash_of(user: User, code: str) -> str:
    plain = "".join(character for character in code.lower() if character.isalnum())
    return keyed_hash(f"{user.pk}:{plain}", purpose=RECOVERY_CODE)


def _new_recovery_codes(user: User) -> list[str]:
    user.recovery_codes.all().delete()
    plain = ["".join(secrets.choice(ALPHABET) for _ in range(10)) for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(RecoveryCode(user=user, code_hash=_hash_of(user, code)) for code in plain)
    return [f"{code[:5]}-{code[5:]}" for code in plain]


def _remove(user: User) -> None:
    TwoFactor.objects.filter(user=user).delete()
    user.recovery_codes.all().delete()
    _switch(user, on=False)


def _switch(user: User, *, on: bool) -> None:
    user.two_factor_enabled = on
    user.save(update_fields=["two_factor_enabled", "updated_at"])


def _wrong_code() -> InvalidInputError:
    sentence = "This code is not right, or was used before. Wait for the next one and try again."
    return InvalidInputError(sentence, fields={"otp": [sentence]})


def _record(
    user: User,
    actor: Principal | None,
    event_type: str,
    risk_level: RiskLevel = RiskLevel.LOW,
    description: str = "",
) -> None:
    """In the log of the person's company; of a super admin, in the platform's."""
    with log_of(user.company):
        record_event(actor=actor, event_type=event_type, entity=user, risk_level=risk_level, description=description)
