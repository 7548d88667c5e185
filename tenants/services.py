"""What happens to companies, people and credentials."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.text import slugify

from knowrithm.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from knowrithm.principal import ROLE_SCOPES, Principal, PrincipalKind, Role, Scope
from knowrithm.security.hashing import keyed_hash
from tenants import provisioning, tokens
from tenants.exceptions import AccountLockedError, AccountUnavailableError, AlreadyRegisteredError, BadCredentialsError
from tenants.models import AgentRoute, ApiKey, Company, User, UserSession
from tenants.signals import company_created

API_SECRET = "api-secret"  # noqa: S105  # names what is hashed
PROFILE_FIELDS = ("first_name", "last_name", "timezone", "language", "preferences")


@dataclass(frozen=True, slots=True)
class SignedIn:
    user: User
    session: UserSession
    tokens: tokens.TokenPair


@dataclass(frozen=True, slots=True)
class NewApiKey:
    row: ApiKey
    secret: str  # never to be had again


# --- Companies ----------------------------------------------------------------------------------------------------


@transaction.atomic
def create_company(*, name: str, email: str, **fields: Any) -> Company:
    """A company with its own schema, ready to use when this returns.

    Raises `AlreadyRegisteredError` when a company with this e-mail address exists.
    """
    if Company.objects.live().filter(email__iexact=email).exists():
        raise AlreadyRegisteredError("A company with this e-mail address exists already.")
    company = Company(name=name, email=email, **fields)
    company.schema_name = provisioning.new_schema_name(company.id)
    company.save()
    provisioning.create_schema(company.schema_name)
    company_created.send(sender=Company, company=company)
    Company.objects.filter(pk=company.pk).update(is_ready=True)
    company.is_ready = True
    return company


# --- People -------------------------------------------------------------------------------------------------------


@transaction.atomic
def register_company(
    *,
    company_name: str,
    email: str,
    password: str,
    first_name: str,
    last_name: str,
    phone: str = "",
    username: str = "",
) -> User:
    """A new company and its first admin."""
    _check_email_is_free(email)
    company = create_company(name=company_name, email=email, phone=phone)
    return _create_user(
        company=company, email=email, username=username, password=password,
        first_name=first_name, last_name=last_name, role=Role.ADMIN,
    )  # fmt: skip


@transaction.atomic
def register_first_admin(
    *, company_id: uuid.UUID, email: str, username: str, password: str, first_name: str, last_name: str
) -> User:
    """The first admin of a company made by `POST /company`.

    Only a company without people can be claimed like this: afterwards its admins create the others.
    """
    company = Company.objects.select_for_update().live().filter(pk=company_id, is_ready=True).first()
    if company is None:
        raise NotFoundError("There is no such company.")
    _check_email_is_free(email)
    if company.users.exists():
        raise ForbiddenError("This company has an admin already. Ask them to create an account for you.")
    return _create_user(
        company=company, email=email, username=username, password=password,
        first_name=first_name, last_name=last_name, role=Role.ADMIN,
    )  # fmt: skip


def create_user(*, actor: Principal, email: str, username: str, password: str, first_name: str, last_name: str) -> User:
    _check_email_is_free(email)
    company = Company.objects.get(pk=actor.company_id)
    return _create_user(
        company=company, email=email, username=username, password=password,
        first_name=first_name, last_name=last_name, role=Role.USER,
    )  # fmt: skip


def _check_email_is_free(email: str) -> None:
    if User.objects.filter(email__iexact=email).exists():
        raise AlreadyRegisteredError(
            "An account with this e-mail address exists already.",
            fields={"email": ["An account with this e-mail address exists already."]},
        )


def _create_user(*, company: Company, username: str, password: str, **fields: Any) -> User:
    user = User(company=company, username=username or _username_from(fields["email"], company), **fields)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise InvalidInputError(error.messages[0], fields={"password": error.messages}) from None
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        raise ConflictError(
            "This user name or e-mail address is taken.", fields={"username": ["This user name is taken."]}
        ) from None
    return user


def _username_from(email: str, company: Company) -> str:
    base = slugify(email.split("@")[0])[:40] or "user"
    taken = set(company.users.filter(username__istartswith=base).values_list("username", flat=True))
    return next(name for name in (base, *(f"{base}-{n}" for n in range(2, 10_000))) if name not in taken)


def ensure_super_admin(*, email: str, password: str) -> User:
    """The super admin of the installation; an existing one is left as it is."""
    existing = User.objects.filter(role=Role.SUPER_ADMIN, email__iexact=email).first()
    return existing or User.objects.create_superuser(email=email, password=password)


def update_profile(*, user: User, changes: Mapping[str, Any]) -> User:
    names = [name for name in PROFILE_FIELDS if name in changes]
    for name in names:
        setattr(user, name, changes[name])
    user.save(update_fields=[*names, "updated_at"])
    return user


def change_password(*, user: User, current: str, new: str) -> None:
    """Every API session of the person ends."""
    if not user.check_password(current):
        raise InvalidInputError("The current password is not right.", fields={"current_password": ["Not right."]})
    try:
        validate_password(new, user)
    except ValidationError as error:
        raise InvalidInputError(error.messages[0], fields={"new_password": error.messages}) from None
    user.set_password(new)
    user.save(update_fields=["password", "updated_at"])
    user.sessions.filter(revoked_at=None).update(revoked_at=timezone.now())


# --- Signing in ---------------------------------------------------------------------------------------------------


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
        raise BadCredentialsError("The e-mail address or the password is not right.")
    if user.is_locked:
        raise AccountLockedError("This account is locked after too many failed attempts. Try again later.")
    if not user.check_password(password):
        _count_failure(user)
        raise BadCredentialsError("The e-mail address or the password is not right.")
    if not user.may_sign_in:
        raise AccountUnavailableError("This account is not active. Ask an admin of your company.")
    if user.login_attempts:
        User.objects.filter(pk=user.pk).update(login_attempts=0, locked_until=None)
    return user


def _count_failure(user: User) -> None:
    User.objects.filter(pk=user.pk).update(login_attempts=F("login_attempts") + 1)
    user.refresh_from_db(fields=["login_attempts"])
    if user.login_attempts >= settings.LOGIN_FAILURE_LIMIT:
        until = timezone.now() + timedelta(minutes=settings.LOGIN_LOCK_MINUTES)
        User.objects.filter(pk=user.pk).update(locked_until=until, login_attempts=0)


def start_session(*, user: User, ip_address: str | None = None, user_agent: str = "") -> SignedIn:
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
        UserSession.objects.filter(pk=session.pk).update(revoked_at=now)
        raise tokens.InvalidTokenError("This refresh token was used before. The session has been ended; sign in again.")
    return SignedIn(session.user, session, pair)


def session_by_id(session_id: object) -> UserSession | None:
    """With its person and company, in one query; None for anything that is no session's id."""
    try:
        pk = uuid.UUID(str(session_id))
    except ValueError:
        return None
    return UserSession.objects.select_related("user__company").filter(pk=pk).first()


def end_session(*, session_id: uuid.UUID, user_id: uuid.UUID) -> None:
    ended = UserSession.objects.filter(pk=session_id, user_id=user_id, revoked_at=None).update(
        revoked_at=timezone.now()
    )
    if not ended:
        raise NotFoundError("There is no such session.")


# --- API keys -----------------------------------------------------------------------------------------------------


def create_api_key(
    *,
    actor: Principal,
    name: str,
    scopes: Sequence[str] = (Scope.READ, Scope.WRITE),
    permissions: Mapping[str, Any] | None = None,
    expires_in_days: int | None = None,
) -> NewApiKey:
    """A key of the actor's company, with no more rights than the actor has.

    Raises `ForbiddenError` when a scope goes beyond the actor's own.
    """
    wanted = [Scope(scope) for scope in scopes]
    beyond = [scope for scope in wanted if not actor.has(scope) and not (scope == Scope.FULL_ACCESS and actor.is_admin)]
    if beyond:
        raise ForbiddenError(f"Your role may not give out the scope {beyond[0]}.")
    secret = f"sk_{secrets.token_urlsafe(32)}"
    row = ApiKey.objects.create(
        company_id=actor.company_id,
        user_id=actor.person_id,
        name=name,
        key=f"ak_{secrets.token_urlsafe(18)}",
        secret_hash=keyed_hash(secret, purpose=API_SECRET),
        scopes=wanted,
        permissions=dict(permissions or {}),
        expires_at=timezone.now() + timedelta(days=expires_in_days) if expires_in_days else None,
    )
    return NewApiKey(row, secret)


def revoke_api_key(*, actor: Principal, api_key_id: uuid.UUID) -> ApiKey:
    """A person revokes their own keys, an admin any of the company."""
    keys = ApiKey.objects.filter(company_id=actor.company_id)
    if not actor.is_admin:
        keys = keys.filter(user_id=actor.person_id)
    row = keys.filter(pk=api_key_id).first()
    if row is None:
        raise NotFoundError("There is no such API key.")
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at", "updated_at"])
    return row


# --- Which company an agent belongs to ----------------------------------------------------------------------------


def add_agent_route(*, agent_id: uuid.UUID, company_id: uuid.UUID) -> None:
    AgentRoute.objects.create(agent_id=agent_id, company_id=company_id)


def principal_of(user: User, *, session_id: uuid.UUID | None = None) -> Principal:
    role = Role(user.role)
    return Principal(
        kind=PrincipalKind.USER, id=user.id, user_id=user.id, company=user.company, role=role,
        scopes=ROLE_SCOPES[role], session_id=session_id, label=user.email,
    )  # fmt: skip
