from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone

from knowrithm.db.schema import schema_name
from knowrithm.principal import Principal
from tenants.models import ApiKey, Company, User, UserSession


def api_keys_for(actor: Principal) -> QuerySet[ApiKey]:
    """The keys that a person may revoke: an admin all of the company, others their own."""
    keys = ApiKey.objects.filter(company_id=actor.company_id)
    return keys if actor.is_admin else keys.filter(user_id=actor.id)


def open_sessions(user: User) -> QuerySet[UserSession]:
    return user.sessions.filter(revoked_at=None, expires_at__gt=timezone.now())


def encrypts_lead_data() -> bool:
    """Whether the company whose schema is set wants it, as the database says now."""
    found = Company.objects.filter(schema_name=schema_name()).values_list("encrypts_lead_data", flat=True).first()
    return bool(found)
