"""Who is calling: the one answer of every way to authenticate."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from knowrithm.errors import ForbiddenError


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

    def has(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.FULL_ACCESS in self.scopes

    def get_username(self) -> str:  # shown by the browsable API
        return self.label
