"""Who is calling: the one answer of every way to authenticate."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from knowrithm.errors import ForbiddenError, InvalidInputError

NEEDS_ADMIN = "Your role does not allow this. Ask an admin of your company."


class Scope(StrEnum):
    READ = "read"
    WRITE = "write"
    UPDATE = "update"
    DELETE = "delete"
    ADMIN = "admin"
    FULL_ACCESS = "full_access"


class Role(StrEnum):
    SUPER_ADMIN = "super_admin"
    ADMIN = "admin"
    USER = "user"


class Resource(StrEnum):
    """The chapters of the API, by which an API key's `permissions` narrow it: one for each app."""

    AGENTS = "agents"
    DOCUMENTS = "documents"
    LEADS = "leads"
    CONVERSATIONS = "conversations"
    INTEGRATIONS = "integrations"
    ANALYTICS = "analytics"
    COMPANY = "company"


class PrincipalKind(StrEnum):
    USER = "user"
    API_KEY = "api_key"
    LEAD = "lead"


class CompanyRow(Protocol):
    @property
    def id(self) -> uuid.UUID: ...
    @property
    def schema_name(self) -> str: ...
    @property
    def is_ready(self) -> bool: ...  # its schema is there


ROLE_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.SUPER_ADMIN: frozenset(Scope),
    Role.ADMIN: frozenset(Scope) - {Scope.FULL_ACCESS},
    Role.USER: frozenset({Scope.READ, Scope.WRITE, Scope.UPDATE, Scope.DELETE}),
}


Permissions = Mapping[Resource, frozenset[Scope]]


def parse_permissions(value: Mapping[str, Any]) -> dict[Resource, frozenset[Scope]]:
    """An API key's `permissions`: `{"agents": ["read"]}`. Raises `InvalidInputError`."""
    try:
        return {Resource(name): frozenset(map(Scope, scopes)) for name, scopes in value.items()}
    except (ValueError, TypeError, AttributeError):
        text = f"Give a list of {', '.join(Scope)} for each of {', '.join(Resource)} that the key may use."
        raise InvalidInputError(text, fields={"permissions": [text]}) from None


def stored_permissions(value: Mapping[str, Any]) -> Permissions | None:
    """Those of a stored key. What was stored before it meant anything allows nothing."""
    try:
        return parse_permissions(value) if value else None
    except InvalidInputError:
        return {}


def stored_scopes(value: object) -> frozenset[Scope]:
    """Those of a stored key. What is no scope, or no list, allows nothing."""
    return frozenset(scope for scope in Scope if isinstance(value, list) and scope in value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A verified credential. `company` is the company it belongs to: the only source of the tenant.

    `company` is None for super admins alone. `id` is the user's, the key's or the lead's.
    """

    kind: PrincipalKind
    id: uuid.UUID
    company: CompanyRow | None
    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()
    permissions: Permissions | None = None  # of a key that is narrowed: all that it may
    user_id: uuid.UUID | None = None  # of a key: who made it
    session_id: uuid.UUID | None = None
    agent_id: uuid.UUID | None = None  # of a lead: the only agent it may talk to
    label: str = ""
    impersonator_id: uuid.UUID | None = None  # the super admin who acts as this person
    impersonator_label: str = ""

    @property
    def is_authenticated(self) -> bool:  # what DRF asks of `request.user`
        return True

    @property
    def pk(self) -> uuid.UUID:
        return self.id

    @property
    def is_admin(self) -> bool:
        return Scope.ADMIN in self.scopes or Scope.FULL_ACCESS in self.scopes

    @property
    def tenant(self) -> CompanyRow:
        """The company. Raises `ForbiddenError` for a super admin, who has none."""
        if self.company is None:
            raise ForbiddenError("This belongs to a company: sign in as one of its people.")
        return self.company

    @property
    def company_id(self) -> uuid.UUID:
        return self.tenant.id

    @property
    def person_id(self) -> uuid.UUID:
        """The user, or who made the API key. Raises `ForbiddenError` for a lead."""
        if self.user_id is None:
            raise ForbiddenError("This needs the account of a person of the company.")
        return self.user_id

    @property
    def is_super_admin(self) -> bool:
        return self.kind == PrincipalKind.USER and self.role == Role.SUPER_ADMIN

    def must_be_admin(self) -> None:
        """Raises `ForbiddenError` for a person who is no admin, and for a key without the scope admin."""
        if not self.is_admin:
            raise ForbiddenError(NEEDS_ADMIN)

    def must_be_oneself(self) -> None:
        """Raises `ForbiddenError` while a super admin acts as this person."""
        if self.impersonator_id is not None:
            raise ForbiddenError(
                "This cannot be done while you act as somebody else. Stop acting as this person first.",
                code="IMPERSONATING",
            )

    def within(self, resource: Resource | None) -> Principal:
        """The principal with the scopes it has for this resource: those of the key that its permissions name too."""
        if self.permissions is None:
            return self
        named = self.permissions.get(resource, frozenset()) if resource else frozenset()
        if Scope.FULL_ACCESS in self.scopes:
            return replace(self, scopes=named)
        return replace(self, scopes=self.scopes if Scope.FULL_ACCESS in named else self.scopes & named)

    def has(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.FULL_ACCESS in self.scopes

    def get_username(self) -> str:  # shown by the browsable API
        return self.label
