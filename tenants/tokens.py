"""Tokens: what is inside them and how they are read. A token names its company; the database is asked all the same."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from knowrithm.errors import AuthenticationFailedError
from knowrithm.principal import Role
from tenants.models import User, UserSession

KIND = "kind"
USER_KIND = "user"
LEAD_KIND = "lead"
IMPERSONATOR = "impersonator_id"
ORIGIN = "origin"  # of the page that a lead's token was given to
IMPERSONATION_LIFETIME = timedelta(minutes=15)


class InvalidTokenError(AuthenticationFailedError):
    code = "TOKEN_INVALID"


@dataclass(frozen=True, slots=True)
class TokenPair:
    access: str
    refresh: str
    refresh_jti: str
    expires_in: int  # seconds
    refresh_lifetime: timedelta


def issue_for_user(user: User, session_id: uuid.UUID) -> TokenPair:
    claims = {KIND: USER_KIND, "user_id": str(user.id), "role": user.role, "sid": str(session_id)}
    return _issue(claims, user.company_id)


def issue_for_impersonator(session: UserSession) -> str:
    """An access token alone, so that there is nothing to refresh it with."""
    user = session.user
    token = AccessToken()
    token.set_exp(lifetime=IMPERSONATION_LIFETIME)
    claims = {
        KIND: USER_KIND,
        "user_id": str(user.id),
        "role": user.role,
        "sid": str(session.id),
        "company_id": str(user.company_id),
        IMPERSONATOR: str(session.impersonator_id),
    }
    for name, value in claims.items():
        token[name] = value
    return str(token)


def issue_for_lead(*, lead_id: uuid.UUID, agent_id: uuid.UUID, company_id: uuid.UUID, origin: str = "") -> TokenPair:
    """`origin`: that of the page on which the visitor is; pages of others cannot use the tokens."""
    claims = {KIND: LEAD_KIND, "lead_id": str(lead_id), "agent_id": str(agent_id)}
    return _issue(claims | ({ORIGIN: origin} if origin else {}), company_id)


def _issue(claims: dict[str, str], company_id: uuid.UUID | None) -> TokenPair:
    refresh = RefreshToken()
    access = AccessToken()
    for token in (refresh, access):
        for name, value in claims.items():
            token[name] = value
        token["company_id"] = str(company_id) if company_id else None
    return TokenPair(
        access=str(access),
        refresh=str(refresh),
        refresh_jti=refresh["jti"],
        expires_in=int(access.lifetime.total_seconds()),
        refresh_lifetime=refresh.lifetime,
    )


def read_access(text: str) -> dict[str, Any]:
    return _read(AccessToken, text)


def read_refresh(text: str) -> dict[str, Any]:
    return _read(RefreshToken, text)


def _read(kind: type[Token], text: str) -> dict[str, Any]:
    try:
        payload = _verified(kind, text)  # type: ignore[arg-type]  # a class can be hashed
    except TokenError:
        payload = {"exp": 0}
    if payload["exp"] <= timezone.now().timestamp():
        raise InvalidTokenError("The token is invalid or has expired. Sign in again.")
    return dict(payload)


@lru_cache(maxsize=2048)
def _verified(kind: type[Token], text: str) -> dict[str, Any]:
    """A client sends the same token again and again, and only its time runs out: whether it still counts is asked of
    the database each time.
    """
    payload: dict[str, Any] = kind(text).payload  # type: ignore[arg-type]  # simplejwt takes the encoded text
    return payload


def session_is_current(session: UserSession, payload: dict[str, Any]) -> bool:
    """The token belongs to this session, its person and that person's present company, and to who acts as them."""
    company_id = str(session.user.company_id) if session.user.company_id else None
    impersonator_id = str(session.impersonator_id) if session.impersonator_id else None
    return (
        session.revoked_at is None
        and str(session.user_id) == payload.get("user_id")
        and company_id == payload.get("company_id")
        and impersonator_id == payload.get(IMPERSONATOR)
        and (session.impersonator is None or impersonation_is_current(session))
    )


def impersonation_is_current(session: UserSession) -> bool:
    """Nobody has ended it, its time is not over, and both people may still do this."""
    who = session.impersonator
    return (
        session.revoked_at is None
        and session.expires_at > timezone.now()
        and who is not None
        and who.role == Role.SUPER_ADMIN
        and who.may_sign_in
        and session.user.may_sign_in
        and session.user.role != Role.SUPER_ADMIN
    )
