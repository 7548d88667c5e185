from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django_tenants.utils import tenant_context

from knowrithm.db.compiled import ANY_ID, ANY_TEXT, CompiledQuery
from knowrithm.db.schema import schema_name
from knowrithm.errors import NotFoundError
from knowrithm.principal import Principal, PrincipalKind, Role
from knowrithm.security.hashing import keyed_hash
from tenants import key_use
from tenants.enums import CompanyStatus
from tenants.geography.selectors import PRIMARY_ADDRESS
from tenants.models import (
    ApiKey,
    Company,
    Invitation,
    ProviderIdentity,
    SingleSignOn,
    SystemConfig,
    TwoFactor,
    User,
    UserSession,
)
from tenants.ocr_languages import default_languages

HIGH_LOGIN_ATTEMPTS = 5
MAX_SEARCH_WORDS = 8


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


def live_company(company_id: uuid.UUID) -> Company:
    company: Company | None = Company.objects.live().filter(pk=company_id, is_ready=True).first()
    if company is None:
        raise NotFoundError("There is no such company.")
    return company


def people_for(actor: Principal) -> QuerySet[User]:
    """Whom the actor may see, archived people included: those of the company, or of a super admin everybody."""
    if actor.company is None:
        return User.objects.all()
    return User.objects.filter(company_id=actor.company_id).exclude(role=Role.SUPER_ADMIN)


def get_person(actor: Principal, user_id: uuid.UUID) -> User:
    person = people_for(actor).select_related("company").filter(pk=user_id).first()
    if person is None:
        raise NotFoundError("There is no such person.")
    return person


def matching_people(people: QuerySet[User], filters: Mapping[str, Any]) -> QuerySet[User]:
    """Those that fit every filter; `filters` holds the contract's names with typed values."""
    now = timezone.now()
    locked = Q(locked_until__gt=now)
    conditions: dict[str, Callable[[Any], Q]] = {
        "status": lambda value: Q(status=value),
        "role": lambda value: Q(role=value),
        "email_verified": lambda value: Q(email_verified=value),
        "two_factor_enabled": lambda value: Q(two_factor_enabled=value),
        "never_logged_in": lambda value: Q(last_login__isnull=value),
        "locked": lambda value: locked if value else ~locked | Q(locked_until=None),
        "high_login_attempts": _attempts,
        "search": _search,
        "created_after": lambda value: Q(created_at__gte=value),
        "created_before": lambda value: Q(created_at__lt=value),
        "last_login_after": lambda value: Q(last_login__gte=value),
        "last_login_before": lambda value: Q(last_login__lt=value),
        "timezone": lambda value: Q(timezone__iexact=value),
        "language": lambda value: Q(language__iexact=value),
    }
    for name, condition in conditions.items():
        if name in filters:
            people = people.filter(condition(filters[name]))
    if filters.get("only_deleted"):
        people = people.exclude(archived_at=None)
    elif not filters.get("include_deleted"):
        people = people.filter(archived_at=None)
    field = F(filters.get("sort_by", "created_at"))
    is_ascending = filters.get("sort_order") == "asc"
    return people.order_by(field.asc(nulls_last=True) if is_ascending else field.desc(nulls_last=True), "pk")


def _attempts(value: int | bool) -> Q:
    """A number is the least number of attempts; true is as good as `HIGH_LOGIN_ATTEMPTS`."""
    if isinstance(value, bool):
        return Q(login_attempts__gte=HIGH_LOGIN_ATTEMPTS) if value else Q(login_attempts__lt=HIGH_LOGIN_ATTEMPTS)
    return Q(login_attempts__gte=value)


def _search(text: str) -> Q:
    """Every word stands in a name or in the e-mail address."""
    found = Q()
    for word in text.split()[:MAX_SEARCH_WORDS]:
        found &= (
            Q(email__icontains=word)
            | Q(username__icontains=word)
            | Q(first_name__icontains=word)
            | Q(last_name__icontains=word)
        )
    return found


def config_for(actor: Principal) -> QuerySet[SystemConfig]:
    """What the actor may know of: all of it, or the company's own entries and the platform's that are no secrets."""
    if actor.company is None:
        return SystemConfig.objects.all()
    return SystemConfig.objects.filter(Q(company_id=actor.company_id) | Q(company=None, is_sensitive=False))


def open_sessions(user: User) -> QuerySet[UserSession]:
    return user.sessions.select_related("impersonator").filter(revoked_at=None, expires_at__gt=timezone.now())


_SESSION: CompiledQuery[UserSession] = CompiledQuery(
    lambda: UserSession.objects.select_related("user__company", "impersonator").filter(pk=ANY_ID)
)


def session_by_id(session_id: object) -> UserSession | None:
    """With its person, their company and who acts as them, in one query; None for anything that is no session's id."""
    pk = _as_uuid(session_id)
    session = _SESSION.get(pk) if pk else None
    if session is not None and session.impersonator_id is not None:
        session.user.impersonation = session
    return session


def _as_uuid(text: object) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None


def encrypts_lead_data() -> bool:
    """Whether the company whose schema is set wants it, as the database says now."""
    return any(company.encrypts_lead_data for company in _WISHES.of(text=schema_name()))


def ocr_languages() -> tuple[str, ...]:
    """In which the scanned pages of the company whose schema is set are read."""
    found = next(iter(_WISHES.of(text=schema_name())), None)
    return tuple((found and found.ocr_languages) or default_languages())


_WISHES: CompiledQuery[Company] = CompiledQuery(
    lambda: Company.objects.filter(schema_name=ANY_TEXT).order_by().only("encrypts_lead_data", "ocr_languages")
)


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


def invitations_of(actor: Principal) -> QuerySet[Invitation]:
    return Invitation.objects.filter(company_id=actor.company_id).select_related("invited_by")


def password_state_of(user: User) -> str:
    """Changes with the password, and says nothing about it."""
    return keyed_hash(user.password, purpose="password-state")


def offers_single_sign_on() -> bool:
    """Whether any company's people sign in through a provider: otherwise the page does not speak of it."""
    return SingleSignOn.objects.filter(is_enabled=True).exists()


def single_sign_on_for(actor: Principal) -> SingleSignOn | None:
    return SingleSignOn.objects.filter(company_id=actor.company_id).first()


def provider_identity_of(user: User) -> ProviderIdentity | None:
    """As whom the company's provider knows the person, once they have signed in through it."""
    return ProviderIdentity.objects.filter(user=user).first()


def two_factor_begun(user: User) -> TwoFactor | None:
    """What the person has begun to set up, and not confirmed."""
    return TwoFactor.objects.filter(user=user, confirmed_at=None).first()
