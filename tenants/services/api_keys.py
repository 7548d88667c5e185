"""API keys: made, revoked."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from knowrithm.errors import ForbiddenError, NotFoundError
from knowrithm.principal import Principal, Scope
from knowrithm.security.hashing import keyed_hash
from tenants.audit.models import RiskLevel
from tenants.audit.services import log_of, record_event
from tenants.models import ApiKey

API_SECRET = "api-secret"  # noqa: S105  # names what is hashed


@dataclass(frozen=True, slots=True)
class NewApiKey:
    row: ApiKey
    secret: str  # never to be had again


@transaction.atomic
def create_api_key(
    *,
    actor: Principal,
    name: str,
    scopes: Sequence[str] = (Scope.READ, Scope.WRITE),
    permissions: Mapping[str, Any] | None = None,
    expires_in_days: int | None = None,
) -> NewApiKey:
    """A key of the actor's company, with no more rights than the actor has.

    Raises `ForbiddenError` when a scope goes beyond the actor's own.
    """
    wanted = [Scope(scope) for scope in scopes]
    beyond = [scope for scope in wanted if not actor.has(scope) and not (scope == Scope.FULL_ACCESS and actor.is_admin)]
    if beyond:
        raise ForbiddenError(f"Your role may not give out the scope {beyond[0]}.")
    secret = f"sk_{secrets.token_urlsafe(32)}"
    row = ApiKey.objects.create(
        company_id=actor.company_id,
        user_id=actor.person_id,
        name=name,
        key=f"ak_{secrets.token_urlsafe(18)}",
        secret_hash=keyed_hash(secret, purpose=API_SECRET),
        scopes=wanted,
        permissions=dict(permissions or {}),
        expires_at=timezone.now() + timedelta(days=expires_in_days) if expires_in_days else None,
    )
    with log_of(actor.tenant):
        record_event(
            actor=actor,
            event_type="api_key.created",
            entity=row,
            entity_type="api_key",
            changes={"scopes": (None, row.scopes), "expires_at": (None, row.expires_at)},
            risk_level=RiskLevel.HIGH if {Scope.ADMIN, Scope.FULL_ACCESS} & set(wanted) else RiskLevel.MEDIUM,
        )
    return NewApiKey(row, secret)


@transaction.atomic
def revoke_api_key(*, actor: Principal, api_key_id: uuid.UUID) -> ApiKey:
    """A person revokes their own keys, an admin any of the company."""
    keys = ApiKey.objects.filter(company_id=actor.company_id)
    if not actor.is_admin:
        keys = keys.filter(user_id=actor.person_id)
    row = keys.filter(pk=api_key_id).first()
    if row is None:
        raise NotFoundError("There is no such API key.")
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at", "updated_at"])
        with log_of(actor.tenant):
            record_event(
                actor=actor,
                event_type="api_key.revoked",
                entity=row,
                entity_type="api_key",
                risk_level=RiskLevel.MEDIUM,
            )
    return row
