from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.apps import apps
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model, Q, QuerySet
from django.utils import timezone
from django_tenants.utils import tenant_context

from knowrithm.db.schema import schema_name, shared_cursor
from knowrithm.errors import NotFoundError
from knowrithm.principal import Principal, PrincipalKind, Role
from knowrithm.security.hashing import keyed_hash
from tenants import key_use
from tenants.enums import CompanyStatus
from tenants.geography.selectors import PRIMARY_ADDRESS
from tenants.models import ApiKey, Company, Invitation, SingleSignOn, TwoFactor, User, UserSession


def api_keys_for(actor: Principal) -> QuerySet[ApiKey]:
    """The keys that a person may revoke: an admin all of the company, others their own."""
    keys = ApiKey.objects.filter(company_id=actor.company_id)
    return keys if actor.is_admin else keys.filter(user_id=actor.person_id)


def get_api_key(actor: Principal, key_id: uuid.UUID) -> ApiKey:
    """One of those, with its figures up to now. Raises `NotFoundError`."""
    found = with_waiting_uses(actor.company_id, api_keys_for(actor).filter(pk=key_id))
    if not found:
        raise NotFoundError("There is no such API key.")
    return found[0]


def with_waiting_uses(company_id: uuid.UUID, keys: Iterable[ApiKey]) -> list[ApiKey]:
    """The keys, with the calls in their figures that are counted but not stored yet (about half a minute's)."""
    found = {key.id: key for key in keys}
    for batch in key_use.waiting(company_id):
        for row in batch.rows:
            if key := found.get(row.key_id):
                key.usage_count += row.count
        for key_id, moment in batch.last_used.items():
            if key := found.get(key_id):
                key.last_used_at = max(key.last_used_at or moment, moment)
    return list(found.values())


def open_sessions(user: User) -> QuerySet[UserSession]:
    return user.sessions.filter(revoked_at=None, expires_at__gt=timezone.now())


def _columns(model: type[Model], *names: str) -> tuple[str, ...]:
    """In the order that `Model.from_db` takes their values in."""
    return tuple(field.attname for field in model._meta.concrete_fields if field.attname in names)


# What decides whether a session is good, and who it is.
_SESSION = _columns(UserSession, "id", "user_id", "kind", "revoked_at", "expires_at")
_PERSON = _columns(User, "id", "company_id", "email", "role", "status", "must_reset_password", "two_factor_enabled")
_COMPANY = _columns(
    Company, "id", "schema_name", "is_ready", "is_active", "archived_at", "requires_two_factor", "requires_sso"
)
# Asked with every request that carries a token. As an ORM query its compilation alone would take three times as long.
_SESSION_SQL = """
SELECT {columns}
FROM public.tenants_usersession AS session
JOIN public.tenants_user AS person ON person.id = session.user_id
LEFT JOIN public.tenants_company AS company ON company.id = person.company_id
WHERE session.id = %s
""".format(
    columns=", ".join(
        f"{table}.{name}"
        for table, names in (("session", _SESSION), ("person", _PERSON), ("company", _COMPANY))
        for name in names
    )
)


def session_by_id(session_id: object) -> UserSession | None:
    """With its person and company, in one query; None for anything that is no session's id."""
    pk = _as_uuid(session_id)
    return UserSession.objects.select_related("user__company").filter(pk=pk).first() if pk else None


def session_of_token(session_id: object) -> UserSession | None:
    """The same for a request of the API: of the three rows only the fields above are read, the rest when asked for."""
    pk = _as_uuid(session_id)
    if pk is None:
        return None
    with shared_cursor() as cursor:
        cursor.execute(_SESSION_SQL, [pk])
        row = cursor.fetchone()
    if row is None:
        return None
    first, second = len(_SESSION), len(_SESSION) + len(_PERSON)
    session = UserSession.from_db(DEFAULT_DB_ALIAS, _SESSION, row[:first])
    session.user = User.from_db(DEFAULT_DB_ALIAS, _PERSON, row[first:second])
    has_company = session.user.company_id is not None
    session.user.company = Company.from_db(DEFAULT_DB_ALIAS, _COMPANY, row[second:]) if has_company else None
    return session


def _as_uuid(text: object) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None


def encrypts_lead_data() -> bool:
    """Whether the company whose schema is set wants it, as the database says now."""
    found = Company.objects.filter(schema_name=schema_name()).values_list("encrypts_lead_data", flat=True).first()
    return bool(found)


def reaches_every_company(actor: Principal) -> bool:
    """A super admin who has signed in: a key never reaches beyond its company."""
    return actor.kind == PrincipalKind.USER and actor.role == Role.SUPER_ADMIN and actor.company is None


def companies_in_reach(actor: Principal) -> QuerySet[Company]:
    """Every company for a super admin, for others their own; archived ones too, but none that is being purged."""
    rows = Company.objects.filter(purge_started_at=None)
    return rows if reaches_every_company(actor) else rows.filter(pk=actor.company_id)


def get_company(actor: Principal, company_id: uuid.UUID) -> Company:
    """Raises `NotFoundError`, also for a company that is not the actor's."""
    company: Company | None = companies_in_reach(actor).filter(pk=company_id).first()
    if company is None:
        raise NotFoundError("There is no such company.")
    return company


def companies_list(actor: Principal, *, status: str = "", search: str = "") -> QuerySet[Company]:
    """Those in reach. `status` is one of `CompanyStatus`, verified, unverified or all; live ones without it."""
    rows = companies_in_reach(actor).prefetch_related(PRIMARY_ADDRESS)
    filters = {
        CompanyStatus.ACTIVE: Q(archived_at=None, is_active=True),
        CompanyStatus.INACTIVE: Q(archived_at=None, is_active=False),
        CompanyStatus.ARCHIVED: Q(archived_at__isnull=False),
        "verified": Q(archived_at=None, is_verified=True),
        "unverified": Q(archived_at=None, is_verified=False),
        "all": Q(),
    }
    rows = rows.filter(filters.get(status, Q(archived_at=None)))
    return rows.filter(Q(name__icontains=search) | Q(email__icontains=search)) if search else rows


def related_rows(company: Company) -> dict[str, int]:
    """What the company has, by the plural that people read: its people and keys, and every kind of row of its own.

    Its audit log is not counted: every company has one, and what it tells of is there besides.
    """
    counts = {"users": company.users.count(), "API keys": company.api_keys.count()}
    with tenant_context(company):
        for label in settings.TENANT_APPS:
            if label == "tenants.audit":
                continue
            for model in apps.get_app_config(label.split(".")[-1]).get_models():
                name, plural = str(model._meta.verbose_name), str(model._meta.verbose_name_plural)
                counts[name if name.endswith("s") else plural] = model._default_manager.count()  # "settings" is one
    return {name: count for name, count in counts.items() if count}


def person_to_govern(actor: Principal, user_id: uuid.UUID) -> User:
    """Somebody whose account the actor may act on: a super admin's is everybody, an admin's the own company.

    Raises `NotFoundError`.
    """
    people = User.objects.select_related("company")
    if actor.role != Role.SUPER_ADMIN:
        people = people.filter(company_id=actor.company_id)
    user = people.filter(pk=user_id).first()
    if user is None:
        raise NotFoundError("There is no such user.")
    return user


def invitations_of(actor: Principal) -> QuerySet[Invitation]:
    return Invitation.objects.filter(company_id=actor.company_id).select_related("invited_by")


def password_state_of(user: User) -> str:
    """Changes with the password, and says nothing about it."""
    return keyed_hash(user.password, purpose="password-state")


def single_sign_on_for(actor: Principal) -> SingleSignOn | None:
    return SingleSignOn.objects.filter(company_id=actor.company_id).first()


def two_factor_begun(user: User) -> TwoFactor | None:
    """What the person has begun to set up, and not confirmed."""
    return TwoFactor.objects.filter(user=user, confirmed_at=None).first()
