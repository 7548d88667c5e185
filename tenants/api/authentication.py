"""From a credential to a principal, and from the principal to the company's schema. Nothing else sets the company.

Bearer wins over key headers, as the published clients send both.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from knowrithm.api.permissions import access_of
from knowrithm.db.schema import enter_company
from knowrithm.errors import AuthenticationFailedError
from knowrithm.origin import current_origin
from knowrithm.principal import ROLE_SCOPES, Principal, PrincipalKind, Role, stored_permissions, stored_scopes
from tenants import key_use, tokens
from tenants.browser import archived_admin, session_id_of
from tenants.credentials import api_key_of, session_of_token
from tenants.exceptions import AccountUnavailableError
from tenants.models import User
from tenants.services import principal_of, require_steps, verify_secret
from tenants.sign_in import missing_step


def bearer_token(headers: Any) -> str:
    """The token of an `Authorization: Bearer …` header, or an empty string."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def principal_from_headers(headers: Any, *, is_new_call: bool = True) -> Principal | None:
    """The user or key that the headers name; None when they name neither. Does not set the schema.

    With `is_new_call` False a key's call, which was let in before, is not counted again.
    """
    if token := bearer_token(headers):
        return principal_from_token(token)
    key, secret = headers.get("X-API-Key", "").strip(), headers.get("X-API-Secret", "").strip()
    return principal_from_key(key, secret, is_new_call=is_new_call) if key or secret else None


def principal_from_token(token: str, *, allows_archived: bool = False) -> Principal | None:
    """The user of an access token; None when it is another kind's. Raises `AuthenticationFailedError`."""
    payload = tokens.read_access(token)
    if payload.get(tokens.KIND) != tokens.USER_KIND:
        return None
    session = session_of_token(payload.get("sid"))
    if session is None or not tokens.session_is_current(session, payload):
        raise tokens.InvalidTokenError("This session has ended. Sign in again.")
    if not session.user.may_enter(session.user.company, allows_archived=allows_archived):
        raise AccountUnavailableError("This account is not active.")
    require_steps(session.user)
    return principal_of(session.user, session_id=session.id)


def principal_from_key(key: str, secret: str, *, allows_archived: bool = False, is_new_call: bool = True) -> Principal:
    row = api_key_of(key)
    if row is None or not verify_secret(row, secret):
        raise AuthenticationFailedError("The API key or its secret is not right.", code="API_KEY_INVALID")
    if row.status != "active":
        raise AuthenticationFailedError(f"This API key is {row.status}.", code="API_KEY_INVALID")
    if not row.user.may_enter(row.company, allows_archived=allows_archived):
        raise AccountUnavailableError("The company or the person behind this API key is not active.")
    if is_new_call:
        key_use.admit(row, current_origin().ip_address)
    role, scopes = Role(row.user.role), stored_scopes(row.scopes)
    if role == Role.USER:
        scopes &= ROLE_SCOPES[role]  # a key never reaches further than the person behind it does now
    return Principal(
        kind=PrincipalKind.API_KEY, id=row.id, user_id=row.user_id, company=row.company, role=role, scopes=scopes,
        label=row.name, permissions=stored_permissions(row.permissions),
    )  # fmt: skip


def _allows_archived(request: Request) -> bool:
    """What the route declares; False outside the API's own views."""
    view = (request.parser_context or {}).get("view")
    return view is not None and access_of(view).allows_archived


class HeaderAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Principal, Principal] | None:
        principal = self.principal(request)
        if principal is None:
            return None
        if principal.company is not None:  # a super admin stays in the shared schema
            enter_company(principal.company)
        return principal, principal

    def principal(self, request: Request) -> Principal | None:
        raise NotImplementedError

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="knowrithm"'


class BearerAuthentication(HeaderAuthentication):
    def principal(self, request: Request) -> Principal | None:
        token = bearer_token(request.headers)
        return principal_from_token(token, allows_archived=_allows_archived(request)) if token else None


class ApiKeyAuthentication(HeaderAuthentication):
    def principal(self, request: Request) -> Principal | None:
        key = request.headers.get("X-API-Key", "").strip()
        secret = request.headers.get("X-API-Secret", "").strip()
        if not key and not secret:
            return None
        return principal_from_key(key, secret, allows_archived=_allows_archived(request))


class BrowserAuthentication(HeaderAuthentication):
    """The dashboard's own session cookie, with CSRF protection: the browsable API and the pages' scripts."""

    def principal(self, request: Request) -> Principal | None:
        allows_archived = _allows_archived(request)
        user = getattr(request._request, "user", None)
        if not isinstance(user, User) and allows_archived:
            user = archived_admin(request._request)
        if not isinstance(user, User) or not user.may_enter(user.company, allows_archived=allows_archived):
            return None
        self._check_csrf(request)
        if refused := missing_step(request._request, user):
            raise refused
        return principal_of(user, session_id=session_id_of(request._request, user))

    @staticmethod
    def _check_csrf(request: Request) -> None:
        check = CSRFCheck(lambda _: None)  # type: ignore[arg-type]  # only its verdict is wanted
        check.process_request(request._request)
        if reason := check.process_view(request._request, None, (), {}):  # type: ignore[arg-type]
            raise PermissionDenied(f"CSRF check failed: {reason}")


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = ApiKeyAuthentication
    name = ["apiKey", "apiSecret"]  # both headers together

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [{"type": "apiKey", "in": "header", "name": name} for name in ("X-API-Key", "X-API-Secret")]


class BrowserScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = BrowserAuthentication
    name = "browser"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "knowrithm_session"}
