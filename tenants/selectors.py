from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone

from knowrithm.principal import Principal
from tenants.models import ApiKey, SingleSignOn, TwoFactor, User, UserSession


def api_keys_for(actor: Principal) -> QuerySet[ApiKey]:
    """The keys that a person may revoke: an admin all of the company, others their own."""
    keys = ApiKey.objects.filter(company_id=actor.company_id)
    return keys if actor.is_admin else keys.filter(user_id=actor.id)


def open_sessions(user: User) -> QuerySet[UserSession]:
    return user.sessions.filter(revoked_at=None, expires_at__gt=timezone.now())


def single_sign_on_for(actor: Principal) -> SingleSignOn | None:
    return SingleSignOn.objects.filter(company_id=actor.company_id).first()


def two_factor_begun(user: User) -> TwoFactor | None:
    """What the person has begun to set up, and not confirmed."""
    return TwoFactor.objects.filter(user=user, confirmed_at=None).first()
