from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from knowrithm.errors import NotFoundError
from knowrithm.principal import Principal, Role
from tenants.models import ApiKey, Company, SystemConfig, User, UserSession

HIGH_LOGIN_ATTEMPTS = 5
MAX_SEARCH_WORDS = 8


def api_keys_for(actor: Principal) -> QuerySet[ApiKey]:
    """The keys that a person may revoke: an admin all of the company, others their own."""
    keys = ApiKey.objects.filter(company_id=actor.company_id)
    return keys if actor.is_admin else keys.filter(user_id=actor.id)


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
        # BRANCH mfa: replace the next line by: lambda value: Q(two_factor__confirmed_at__isnull=not value),
        "two_factor_enabled": lambda value: Q(pk__in=[]) if value else Q(),
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
