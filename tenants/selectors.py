from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils import timezone

from knowrithm.db.schema import schema_name, shared_cursor
from knowrithm.principal import Principal
from tenants.models import ApiKey, Company, User, UserSession


def api_keys_for(actor: Principal) -> QuerySet[ApiKey]:
    """The keys that a person may revoke: an admin all of the company, others their own."""
    keys = ApiKey.objects.filter(company_id=actor.company_id)
    return keys if actor.is_admin else keys.filter(user_id=actor.id)


def open_sessions(user: User) -> QuerySet[UserSession]:
    return user.sessions.filter(revoked_at=None, expires_at__gt=timezone.now())


@dataclass(frozen=True, slots=True)
class CompanyRef:
    """A company as a credential names it: enough to enter its schema."""

    id: uuid.UUID
    schema_name: str
    is_usable: bool


@dataclass(frozen=True, slots=True)
class SignedInPerson:
    """Who an access token's session belongs to, as things are now."""

    session_id: uuid.UUID
    is_open: bool
    user_id: uuid.UUID
    email: str
    role: str
    is_active: bool
    company: CompanyRef | None

    @property
    def company_id(self) -> uuid.UUID | None:
        return self.company.id if self.company else None

    @property
    def may_sign_in(self) -> bool:
        return self.is_active and (self.company is None or self.company.is_usable)


# Asked with every request that carries a token. As an ORM query its compilation alone would take three times as long.
_PERSON_SQL = """
SELECT session.id, session.revoked_at IS NULL, person.id, person.email, person.role, person.status = 'active',
       company.id, company.schema_name, company.is_ready AND company.is_active AND company.archived_at IS NULL
FROM public.tenants_usersession AS session
JOIN public.tenants_user AS person ON person.id = session.user_id
LEFT JOIN public.tenants_company AS company ON company.id = person.company_id
WHERE session.id = %s
"""


def person_of_session(session_id: object) -> SignedInPerson | None:
    """In one query; None for anything that is no session's id."""
    try:
        pk = uuid.UUID(str(session_id))
    except ValueError:
        return None
    with shared_cursor() as cursor:
        cursor.execute(_PERSON_SQL, [pk])
        row = cursor.fetchone()
    if row is None:
        return None
    session, is_open, user, email, role, is_active, company, schema, is_usable = row
    return SignedInPerson(
        session, is_open, user, email, role, is_active, CompanyRef(company, schema, is_usable) if company else None
    )


def encrypts_lead_data() -> bool:
    """Whether the company whose schema is set wants it, as the database says now."""
    found = Company.objects.filter(schema_name=schema_name()).values_list("encrypts_lead_data", flat=True).first()
    return bool(found)
