"""Writing the audit log. A row is written inside the transaction of what it tells of, or neither is."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec

import structlog
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
from django.utils import timezone
from django_tenants.utils import get_public_schema_name, schema_context, tenant_context

from knowrithm.origin import current_origin
from knowrithm.principal import CompanyRow, Principal, PrincipalKind
from tenants.audit.chain import current_key_id, digest_of, is_sealed, seal_head
from tenants.audit.models import AuditEvent, AuditHead, RiskLevel

log = structlog.get_logger(__name__)

WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]+")  # of a class's name
REDACTED = "[redacted]"
SECRET_NAME = re.compile(
    r"password|secret|api_?key$|(^|_)token$|recovery_codes|connection_(string|url)|_hash$|^authorization$"
)
MAX_VALUE_LENGTH = 10_000  # characters of JSON that are kept of one value: nobody can shorten the log later
# What companies may want encrypted (leads.models) must not stand here in clear, where no row can be changed.
PERSONAL_NAMES = {"lead": frozenset({"email", "phone"})}
CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^/@\s]+(?=@)")

Changes = Mapping[str, tuple[Any, Any]]
Event = ParamSpec("Event")


@contextmanager
def log_of(company: CompanyRow | None) -> Iterator[None]:
    """Where to record what concerns this company: its own log, or the platform's for None.

    It is the platform's too while the company has none: before its schema is made, and once it is being deleted.
    """
    if company is not None and company.is_ready:
        with tenant_context(company):
            yield
    else:
        with schema_context(get_public_schema_name()):
            yield


def event_of(
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
    """A row for `record_events`. `actor` is None for what nobody signed in did."""
    origin = current_origin()
    label = entity_label or (str(entity) if entity is not None else "")
    kind = entity_type or ("_".join(WORDS.findall(str(entity._meta.object_name))).lower() if entity is not None else "")
    return AuditEvent(
        # The order of the rows is that of `position`: two processes' clocks may differ.
        created_at=timezone.now(),
        event_type=event_type,
        entity_type=kind,
        entity_id=str(entity.pk if entity is not None else entity_id),
        entity_label=_text(label)[:200],
        description=_text(description)[:500],
        risk_level=risk_level,
        actor_kind=_kind_of(actor),
        actor_id=actor.id if actor else None,
        # A visitor's address is not written down where it cannot be deleted.
        actor_label=_text(actor.label)[:254] if actor and actor.kind != PrincipalKind.LEAD else "",
        actor_role=str(actor.role or "") if actor else "",
        user_id=actor.user_id if actor else None,
        impersonator_id=actor.impersonator_id if actor else None,
        impersonator_label=_text(actor.impersonator_label)[:254] if actor else "",
        ip_address=origin.ip_address,
        user_agent=_text(origin.user_agent)[:300],
        request_id=origin.request_id,
        changes=_storable(changes or {}, personal=PERSONAL_NAMES.get(kind, frozenset())),
    )


def _recorded(make: Callable[Event, AuditEvent]) -> Callable[Event, AuditEvent]:
    def record(*args: Event.args, **kwargs: Event.kwargs) -> AuditEvent:
        event = make(*args, **kwargs)
        record_events([event])
        return event

    return record


record_event = _recorded(event_of)


def record_events(events: Sequence[AuditEvent]) -> None:
    """Add rows to the log of the company whose schema is set, or to the platform's in the shared schema.

    Call it, or `record_event` for a single one, last in the service, inside its transaction: the log's lock is held
    until the commit, so that positions have no gap and each row knows the one before. Two statements.
    """
    with transaction.atomic(savepoint=False):
        _append(events)


def _kind_of(actor: Principal | None) -> str:
    if actor is not None:
        return str(actor.kind)
    return "anonymous" if current_origin().request_id else "system"  # a worker or a command has no request


def open_log() -> None:
    """Begin the log of the schema that is set. Called once for each: whoever empties a log cannot begin it anew."""
    head = AuditHead()
    seal_head(head)
    head.save(force_insert=True)


def reseal_log(*, actor: Principal | None) -> None:
    """Seal the head anew after a fault that somebody has looked into. Its rows keep whatever faults they have."""
    with transaction.atomic():
        head = AuditHead.objects.select_for_update().first() or AuditHead()
        last = AuditEvent.objects.order_by("-position").values_list("position", "digest").first()
        head.position, head.digest = last or (head.pruned_position, head.pruned_digest)
        seal_head(head)
        head.save()
        record_event(
            actor=actor, event_type="audit_log.resealed", entity_type="audit_log", risk_level=RiskLevel.CRITICAL
        )


def _append(events: Sequence[AuditEvent]) -> None:
    """Chain the rows to the last one, and write them together with the head in one statement."""
    head = _locked_head()
    # A head that does not fit its seal is carried on without one: sealing it would cover up what was done to it, and
    # refusing would stop the company's work. The check reports it until somebody has looked into it.
    is_sound = head is not None and is_sealed(head)
    if head is None or not is_sound:
        log.error("audit_head_unsound", found=head is not None)
        head = _mended(head)
    for event in events:
        event.position, event.previous_digest, event.key_id = head.position + 1, head.digest, current_key_id()
        event.digest = digest_of(event) or ""
        head.position, head.digest = event.position, event.digest
    if is_sound:
        seal_head(head)
    fields = AuditEvent._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    places = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * len(events))
    values = [field.get_db_prep_save(getattr(one, field.attname), connection) for one in events for field in fields]
    table, head_table = AuditEvent._meta.db_table, AuditHead._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH added AS (INSERT INTO {table} ({columns}) VALUES {places}) "  # noqa: S608  # names of our own models
            f"UPDATE {head_table} SET position = %s, digest = %s, key_id = %s, seal = %s",
            [*values, head.position, head.digest, head.key_id, head.seal],
        )
    for event in events:
        event._state.adding = False


def _locked_head() -> AuditHead | None:
    """The head, and its lock for the rest of the transaction.

    Foreign keys are checked before it, in the same round trip, and not only at the commit: the check locks the row that
    a key points to. Whoever waits for that lock with the head's in hand may wait for somebody who waits for the head.
    """
    columns = [field.attname for field in AuditHead._meta.concrete_fields]
    with connection.cursor() as cursor:
        cursor.execute(
            "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; "  # noqa: S608  # names of our own model
            f"SELECT {', '.join(columns)} FROM {AuditHead._meta.db_table} FOR UPDATE"
        )
        while cursor.nextset():
            pass
        row = cursor.fetchone()
    return AuditHead.from_db(connection.alias, columns, row) if row else None


def _mended(head: AuditHead | None) -> AuditHead:
    """A head to go on from, which no check will take for sound."""
    if head is None:
        head = AuditHead()
        head.save(force_insert=True)
    last = AuditEvent.objects.order_by("-position").values_list("position", "digest").first()
    if last is not None and last[0] != head.position:
        head.position, head.digest = last
    head.seal = ""
    return head


# --- Changes ------------------------------------------------------------------------------------------------------


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs, as `record_event` takes it."""
    names = sorted(before.keys() | after.keys())
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def fields_of(row: models.Model, names: tuple[str, ...]) -> dict[str, Any]:
    """The values of these fields, for `changed_fields` before and after a change."""
    return {name: getattr(row, name) for name in names}


def _storable(changes: Changes, *, personal: frozenset[str] = frozenset()) -> dict[str, list[Any]]:
    """JSON as it will come back from the database, secrets and what is in the fields `personal` left out."""
    plain = json.loads(json.dumps({name: list(pair) for name, pair in changes.items()}, cls=_Encoder))
    stored: dict[str, list[Any]] = _clean(plain, personal)
    return {name: [_bounded(value) for value in pair] for name, pair in stored.items()}


def _bounded(value: Any) -> Any:
    """A value that is too long as the beginning of its text, with the length of the whole."""
    if not isinstance(value, str | list | dict):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}… ({len(text)} characters)"


def _clean(value: Any, personal: frozenset[str]) -> Any:
    """The value without secrets, and in the form in which jsonb gives it back: the seal is over that form."""
    if isinstance(value, dict):
        return {
            _text(name): _redacted(inner) if name in personal or _is_secret(name) else _clean(inner, personal)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_clean(inner, personal) for inner in value]
    if isinstance(value, str):
        return CREDENTIALS_IN_URL.sub(REDACTED, _text(value))
    if isinstance(value, float):
        return int(value) if value.is_integer() else value if abs(value) < float("inf") else str(value)
    return value


def _redacted(value: Any) -> Any:
    return [_redacted(inner) for inner in value] if isinstance(value, list) else REDACTED if value else value


def _text(value: str) -> str:
    """Without what PostgreSQL cannot store."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def _is_secret(name: str) -> bool:
    return SECRET_NAME.search(name.lower()) is not None


class _Encoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        return str(o) if isinstance(o, uuid.UUID | models.Model) else super().default(o)
