from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db.models import QuerySet
from django.utils import timezone

from knowrithm.errors import NotFoundError
from knowrithm.principal import Principal
from tenants import key_use
from tenants.models import ApiKey, User, UserSession


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
