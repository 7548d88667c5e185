"""Writing the audit log. A row is written inside the transaction of what it tells of, or neither is."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
from django.utils import timezone
from django_tenants.utils import tenant_context

from knowrithm.origin import current_origin
from knowrithm.principal import Principal
from knowrithm.security.hashing import keyed_hash
from tenants.audit.models import AuditEvent, RiskLevel

DIGEST = "audit-event"
REDACTED = "[redacted]"
SECRET_NAME = re.compile(r"password|secret|api_key$|(^|_)token$|recovery_codes|connection_(string|url)|_hash$")
# What is sealed: everything but the seal itself.
SEALED_FIELDS = tuple(field.attname for field in AuditEvent._meta.concrete_fields if field.attname != "digest")

Changes = Mapping[str, tuple[Any, Any]]


@transaction.atomic
def record_event(
    *,
    actor: Principal | None,
    event_type: str,
    entity: models.Model | None = None,
    entity_type: str = "",
    entity_id: object = "",
    entity_label: str = "",
    changes: Changes | None = None,
    risk_level: RiskLevel = RiskLevel.LOW,
    description: str = "",
) -> AuditEvent:
    """Add a row to the log of the company whose schema is set, or to the platform's in the shared schema.

    Call it last in the service, inside its transaction: the log's lock is held until the commit, so that positions
    have no gap and each row knows the one before. `actor` is None for what nobody signed in did.
    """
    origin = current_origin()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('audit.' || current_schema()))")
    last = AuditEvent.objects.order_by("-position").values_list("position", "digest").first()
    position, previous = last or (0, "")
    event = AuditEvent(
        position=position + 1,
        # Later than any row before it even when two processes' clocks differ: the order is the position's.
        created_at=timezone.now(),
        event_type=event_type,
        entity_type=entity_type or (entity._meta.model_name or "" if entity is not None else ""),
        entity_id=str(entity.pk if entity is not None else entity_id),
        entity_label=(entity_label or (str(entity) if entity is not None else ""))[:200],
        description=description[:500],
        risk_level=risk_level,
        actor_kind=str(actor.kind) if actor else "anonymous",
        actor_id=actor.id if actor else None,
        actor_label=actor.label[:254] if actor else "",
        user_id=actor.user_id if actor else None,
        impersonator_id=actor.impersonator_id if actor else None,
        impersonator_label=actor.impersonator_label if actor else "",
        ip_address=origin.ip_address,
        user_agent=origin.user_agent[:300],
        request_id=origin.request_id,
        changes=_storable(changes or {}),
        previous_digest=previous,
    )
    event.digest = digest_of(event)
    event.save(force_insert=True)
    return event


def log_of(company: Any) -> AbstractContextManager[Any]:
    """Where `record_event` writes what concerns this company's people: its own log, the platform's when it is None."""
    return tenant_context(company) if company is not None else nullcontext()


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs, as `record_event` takes it."""
    names = sorted(before.keys() | after.keys())
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def digest_of(event: AuditEvent) -> str:
    """The seal of a row: keyed, so that who can write the table still cannot make one."""
    values = {name: getattr(event, name) for name in SEALED_FIELDS}
    values["created_at"] = event.created_at.timestamp()
    values["risk_level"] = str(event.risk_level)
    return keyed_hash(json.dumps(values, sort_keys=True, default=str), purpose=DIGEST)


def _storable(changes: Changes) -> dict[str, list[Any]]:
    """JSON as it will come back from the database, secrets left out."""
    redacted = {
        name: [REDACTED if value else value for value in pair] if _is_secret(name) else list(pair)
        for name, pair in changes.items()
    }
    stored: dict[str, list[Any]] = json.loads(json.dumps(redacted, cls=_Encoder))
    return stored


def _is_secret(name: str) -> bool:
    return SECRET_NAME.search(name.lower()) is not None


class _Encoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        return str(o) if isinstance(o, uuid.UUID | models.Model) else super().default(o)
