"""API keys: made, changed, rotated, revoked; and their secrets compared."""

from __future__ import annotations

import ipaddress
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from knowrithm.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from knowrithm.principal import Principal, Scope, parse_permissions
from knowrithm.security.hashing import keyed_hash, matches_under, pepper_id
from tenants.audit.models import RiskLevel
from tenants.audit.services import Changes, changed_fields, log_of, record_event
from tenants.models import ApiKey, Company
from tenants.selectors import api_keys_for, reaches_every_company

API_SECRET = "api-secret"  # noqa: S105  # names what is hashed
MAX_OVERLAP_HOURS = 168
MAX_NETWORKS = 50
CHANGEABLE = ("name", "permissions", "allowed_networks", "rate_limit_per_hour", "rate_limit_per_day")


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
    allowed_networks: Sequence[str] = (),
    rate_limit_per_hour: int | None = None,
    rate_limit_per_day: int | None = None,
) -> NewApiKey:
    """A key of the actor's company, with no more rights than the actor has.

    Raises `ForbiddenError` when a scope goes beyond the actor's own, `InvalidInputError` for limits beyond the
    company's maximum, networks that are none and unknown permissions.
    """
    actor.must_be_oneself()
    wanted = [Scope(scope) for scope in scopes]
    beyond = [scope for scope in wanted if not actor.has(scope) and not (scope == Scope.FULL_ACCESS and actor.is_admin)]
    if beyond:
        raise ForbiddenError(f"Your role may not give out the scope {beyond[0]}.")
    company = Company.objects.get(pk=actor.company_id)
    row = ApiKey(
        company=company,
        user_id=actor.person_id,
        name=name,
        key=f"ak_{secrets.token_urlsafe(18)}",
        scopes=wanted,
        permissions=_checked(permissions or {}),
        allowed_networks=parse_networks(allowed_networks),
        expires_at=timezone.now() + timedelta(days=expires_in_days) if expires_in_days else None,
    )
    most_an_hour, most_a_day = company.api_key_maximum
    row.rate_limit_per_hour = rate_limit_per_hour or min(row.rate_limit_per_hour, most_an_hour)
    row.rate_limit_per_day = rate_limit_per_day or min(row.rate_limit_per_day, most_a_day)
    _check_limits(row)
    secret = _set_new_secret(row)
    row.save(force_insert=True)
    risk = RiskLevel.HIGH if {Scope.ADMIN, Scope.FULL_ACCESS} & set(wanted) else RiskLevel.MEDIUM
    _record(actor, row, "created", {"scopes": ([], wanted), "expires_at": (None, row.expires_at)}, risk)
    return NewApiKey(row, secret)


@transaction.atomic
def update_api_key(*, actor: Principal, api_key_id: uuid.UUID, changes: Mapping[str, Any]) -> ApiKey:
    """Change what stands in `CHANGEABLE`. Raises `InvalidInputError` as `create_api_key` does."""
    actor.must_be_oneself()
    row = _own_key(actor, api_key_id)
    names = [name for name in CHANGEABLE if name in changes]
    before = {name: getattr(row, name) for name in names}
    for name in names:
        setattr(row, name, changes[name])
    if "allowed_networks" in names:
        row.allowed_networks = parse_networks(row.allowed_networks)
    if "permissions" in names:
        row.permissions = _checked(row.permissions)
    _check_limits(row, names)
    row.save(update_fields=[*names, "updated_at"])
    after = {name: getattr(row, name) for name in names}
    _record(actor, row, "updated", changed_fields(before, after), RiskLevel.MEDIUM)
    return row


@transaction.atomic
def rotate_api_key(*, actor: Principal, api_key_id: uuid.UUID, overlap_hours: int = 24) -> NewApiKey:
    """A new secret for the same key. The present one works `overlap_hours` longer, the one before it no more.

    Raises `ConflictError` for a key that does not work any more, `InvalidInputError` for an overlap beyond a week.
    """
    actor.must_be_oneself()
    if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
        fault = f"Give a number of hours from 0 to {MAX_OVERLAP_HOURS}."
        raise InvalidInputError(fault, fields={"overlap_hours": [fault]})
    row = _own_key(actor, api_key_id)
    if row.status != "active":
        raise ConflictError(f"This API key is {row.status}. Create a new one.")
    now = timezone.now()
    row.previous_hash, row.previous_pepper_id, row.previous_expires_at = "", "", None
    if overlap_hours:
        row.previous_hash, row.previous_pepper_id = row.secret_hash, row.pepper_id
        row.previous_expires_at = now + timedelta(hours=overlap_hours)
    row.rotated_at = now
    secret = _set_new_secret(row)
    row.save()
    _record(actor, row, "rotated", {"old_secret_works_until": (None, row.previous_expires_at)}, RiskLevel.HIGH)
    return NewApiKey(row, secret)


@transaction.atomic
def revoke_api_key(*, actor: Principal, api_key_id: uuid.UUID) -> ApiKey:
    """A person revokes their own keys, an admin any of the company."""
    row = _own_key(actor, api_key_id)
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at", "updated_at"])
        _record(actor, row, "revoked", {"revoked_at": (None, row.revoked_at)}, RiskLevel.HIGH)
    return row


def _own_key(actor: Principal, api_key_id: uuid.UUID) -> ApiKey:
    """Locked. Own keys, for an admin all of the company, and for a super admin all."""
    keys = ApiKey.objects.all() if reaches_every_company(actor) else api_keys_for(actor)
    row = keys.select_for_update(of=("self",)).select_related("company").filter(pk=api_key_id).first()
    if row is None:
        raise NotFoundError("There is no such API key.")
    return row


def _record(actor: Principal, row: ApiKey, verb: str, changes: Changes, risk: RiskLevel) -> None:
    with log_of(row.company):
        record_event(
            actor=actor, event_type=f"api_key.{verb}", entity=row, entity_label=row.name,
            changes=changes, risk_level=risk,
        )  # fmt: skip


# --- What a key may be given --------------------------------------------------------------------------------------


def parse_networks(texts: Sequence[str]) -> list[str]:
    """Addresses and networks in their usual form, each once. Raises `InvalidInputError` with the one that is none."""
    found: list[str] = []
    for text in texts:
        try:
            network = str(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            fault = f"“{text[:60]}” is neither an address nor a network. Write 203.0.113.7 or 203.0.113.0/24."
            raise InvalidInputError(fault, fields={"allowed_networks": [fault]}) from None
        if network not in found:
            found.append(network)
    if len(found) > MAX_NETWORKS:
        fault = f"A key takes at most {MAX_NETWORKS} networks."
        raise InvalidInputError(fault, fields={"allowed_networks": [fault]})
    return found


def _checked(permissions: Mapping[str, Any]) -> dict[str, list[str]]:
    return {resource: sorted(scopes) for resource, scopes in parse_permissions(permissions).items()}


def _check_limits(row: ApiKey, names: Sequence[str] = CHANGEABLE) -> None:
    for name, most in zip(("rate_limit_per_hour", "rate_limit_per_day"), row.company.api_key_maximum, strict=True):
        if name in names and not 1 <= getattr(row, name) <= most:
            fault = f"Give a number from 1 to {most}, which is the most that your company's keys may have."
            raise InvalidInputError(fault, fields={name: [fault]})


# --- Secrets ------------------------------------------------------------------------------------------------------


def _set_new_secret(row: ApiKey) -> str:
    secret = f"sk_{secrets.token_urlsafe(32)}"
    row.secret_hash, row.pepper_id = keyed_hash(secret, purpose=API_SECRET), pepper_id()
    return secret


def verify_secret(row: ApiKey, secret: str) -> bool:
    """Is it the key's secret, or the one before while both are good?

    A hash made under an older SECRET_KEY is made anew, so that the old one can be dropped once all keys were used.
    """
    if matches_under(row.pepper_id, secret, row.secret_hash, purpose=API_SECRET):
        _renew(row, secret, "secret_hash", "pepper_id")
        return True
    if row.overlap_ends_at and matches_under(row.previous_pepper_id, secret, row.previous_hash, purpose=API_SECRET):
        _renew(row, secret, "previous_hash", "previous_pepper_id")
        return True
    return False


def _renew(row: ApiKey, secret: str, hash_field: str, pepper_field: str) -> None:
    if getattr(row, pepper_field) != pepper_id():
        # Only if nobody has rotated the key meanwhile.
        ApiKey.objects.filter(**{"pk": row.pk, hash_field: getattr(row, hash_field)}).update(
            **{hash_field: keyed_hash(secret, purpose=API_SECRET), pepper_field: pepper_id()}
        )


# --- Figures ------------------------------------------------------------------------------------------------------


def add_key_uses(*, key_id: uuid.UUID, calls: int, last_used_at: datetime) -> None:
    """What was counted elsewhere (`tenants.key_use`) and belongs to the key itself."""
    ApiKey.objects.filter(pk=key_id).update(
        usage_count=F("usage_count") + calls,
        last_used_at=Greatest(Coalesce(F("last_used_at"), last_used_at), last_used_at),
    )
