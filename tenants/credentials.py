"""The rows behind a credential. Every request asks for them, so each kind is one short statement in one round trip.

As ORM queries their compilation alone would take three times as long. Of each row only what decides whether the
credential is good, and whose it is, is read; the rest when it is asked for.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Field, Model

from knowrithm.db.schema import shared_row
from tenants.models import ApiKey, Company, User, UserSession

Row = TypeVar("Row", bound=Model)


class _Part(NamedTuple):
    """Some columns of one table, in the order that `Model.from_db` takes their values in."""

    model: type[Model]
    fields: tuple[Field[Any, Any], ...]

    @classmethod
    def of(cls, model: type[Model], *names: str) -> _Part:
        return cls(model, tuple(field for field in model._meta.concrete_fields if field.attname in names))

    def columns(self, alias: str) -> list[str]:
        return [f"{alias}.{field.column}" for field in self.fields]

    def read(self, values: Iterator[Any]) -> Any:
        """The row, of the next values of an answer."""
        own = [
            field.from_db_value(value, None, None) if hasattr(field, "from_db_value") else value
            for field, value in zip(self.fields, islice(values, len(self.fields)), strict=True)
        ]
        return self.model.from_db(DEFAULT_DB_ALIAS, [field.attname for field in self.fields], own)


def _select(template: str, **parts: _Part) -> str:
    return template.format(", ".join(column for alias, part in parts.items() for column in part.columns(alias)))


_SESSION = _Part.of(UserSession, "id", "user_id", "impersonator_id", "kind", "revoked_at", "expires_at")
_PERSON = _Part.of(User, "id", "company_id", "email", "role", "status", "must_reset_password", "two_factor_enabled")
_COMPANY = _Part.of(
    Company, "id", "schema_name", "is_ready", "is_active", "archived_at", "requires_two_factor", "requires_sso",
    "api_key_max_per_hour", "api_key_max_per_day",
)  # fmt: skip
_IMPERSONATOR = _Part.of(User, "id", "company_id", "email", "role", "status", "must_reset_password")
_KEY = _Part.of(
    ApiKey, "id", "company_id", "user_id", "name", "secret_hash", "pepper_id", "previous_hash", "previous_pepper_id",
    "previous_expires_at", "scopes", "permissions", "allowed_networks", "expires_at", "revoked_at",
    "rate_limit_per_hour", "rate_limit_per_day",
)  # fmt: skip

_SESSION_SQL = _select(
    """
    SELECT {}
    FROM public.tenants_usersession AS session
    JOIN public.tenants_user AS person ON person.id = session.user_id
    LEFT JOIN public.tenants_company AS company ON company.id = person.company_id
    LEFT JOIN public.tenants_user AS impersonator ON impersonator.id = session.impersonator_id
    WHERE session.id = %s
    """,
    session=_SESSION,
    person=_PERSON,
    company=_COMPANY,
    impersonator=_IMPERSONATOR,
)
_KEY_SQL = _select(
    """
    SELECT {}
    FROM public.tenants_apikey AS api_key
    JOIN public.tenants_user AS person ON person.id = api_key.user_id
    JOIN public.tenants_company AS company ON company.id = api_key.company_id
    WHERE api_key.key = %s
    """,
    api_key=_KEY,
    person=_PERSON,
    company=_COMPANY,
)
_COMPANY_SQL = _select("SELECT {} FROM public.tenants_company AS company WHERE company.id = %s", company=_COMPANY)
_ROUTE_SQL = _select(
    """
    SELECT {}
    FROM public.tenants_agentroute AS route
    JOIN public.tenants_company AS company ON company.id = route.company_id
    WHERE route.agent_id = %s
    """,
    company=_COMPANY,
)


def session_of_token(session_id: object) -> UserSession | None:
    """With its person, their company and who acts as them; None for anything that is no session's id."""
    try:
        pk = uuid.UUID(str(session_id))
    except ValueError:
        return None
    row = shared_row(_SESSION_SQL, pk)
    if row is None:
        return None
    values = iter(row)
    session: UserSession = _SESSION.read(values)
    session.user = _PERSON.read(values)
    company, impersonator = _COMPANY.read(values), _IMPERSONATOR.read(values)
    session.user.company = company if session.user.company_id is not None else None
    if session.impersonator_id is not None:
        session.impersonator = impersonator
        session.user.impersonation = session
    return session


def api_key_of(public_part: str) -> ApiKey | None:
    """With its company and the person behind it."""
    row = shared_row(_KEY_SQL, public_part) if public_part and "\0" not in public_part else None
    if row is None:
        return None
    values = iter(row)
    key: ApiKey = _KEY.read(values)
    key.user, key.company = _PERSON.read(values), _COMPANY.read(values)
    return key


def company_of_token(company_id: uuid.UUID) -> Company | None:
    """The company that a visitor's token names."""
    row = shared_row(_COMPANY_SQL, company_id)
    return _COMPANY.read(iter(row)) if row is not None else None


def company_of_agent(agent_id: uuid.UUID) -> Company | None:
    """The company whose agent this is: to visitors the agent's id is all the credential that there is."""
    row = shared_row(_ROUTE_SQL, agent_id)
    return _COMPANY.read(iter(row)) if row is not None else None
