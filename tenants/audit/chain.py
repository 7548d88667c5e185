"""The chain of a log: the seals of its rows and of its head, and how they are checked.

A seal is an HMAC over the row, the name of the log and the seal of the row before. Who can write the tables but does
not have the key can make none, and a row, a log or a head from elsewhere does not fit.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC

from django.conf import settings
from django.db import connection, transaction

from knowrithm.db.schema import schema_name
from tenants.audit.models import AuditEvent, AuditHead

# What is sealed: everything but the seal itself.
SEALED_FIELDS = tuple(field.attname for field in AuditEvent._meta.concrete_fields if field.attname != "digest")
BATCH = 500  # rows held in memory


@dataclass(frozen=True, slots=True)
class Fault:
    """The first place at which a log is not what was written. `position` is the row's."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What checking a log found: the rows that were looked at, where it ends, and the first fault if there is one."""

    rows: int
    position: int
    digest: str
    fault: Fault | None = None


def current_key_id() -> str:
    return _key_id(settings.AUDIT_KEYS[0])


def digest_of(event: AuditEvent) -> str | None:
    """The seal of a row by the key that it names; None when that key is not in the list."""
    values = {name: getattr(event, name) for name in SEALED_FIELDS}
    values["created_at"] = event.created_at.astimezone(UTC).isoformat()
    values["risk_level"] = str(event.risk_level)
    return _sealed("row", json.dumps(values, sort_keys=True, default=str), event.key_id)


def seal_of(head: AuditHead) -> str | None:
    """The seal of a head by the key that it names; None when that key is not in the list."""
    facts = [head.position, head.digest, head.pruned_position, head.pruned_digest, head.key_id]
    return _sealed("head", json.dumps(facts), head.key_id)


def is_sealed(head: AuditHead) -> bool:
    seal = seal_of(head)
    return seal is not None and hmac.compare_digest(seal, head.seal)


def seal_head(head: AuditHead) -> None:
    head.key_id = current_key_id()
    head.seal = seal_of(head) or ""


def _key_id(key: str) -> str:
    return hashlib.sha256(f"audit-key-id:{key}".encode()).hexdigest()[:8]


def _sealed(kind: str, text: str, key_id: str) -> str | None:
    key = next((key for key in settings.AUDIT_KEYS if _key_id(key) == key_id), None)
    if key is None:
        return None
    return hmac.new(key.encode(), f"audit-{kind}:{schema_name()}:{text}".encode(), hashlib.sha256).hexdigest()


# --- Checking -----------------------------------------------------------------------------------------------------


def verify_log(*, up_to: int | None = None) -> Verdict:
    """Check the log of the schema that is set, from its first row to its end or to the position `up_to`.

    Rows that are written meanwhile do no harm; retention waits until this is over.
    """
    with transaction.atomic():
        keep_from_pruning(shared=True)
        before = AuditHead.objects.first()
        if before is None:
            return Verdict(0, 0, "", Fault(1, "the head of the log is missing"))
        verdict = _verify_rows(before, up_to)
        if verdict.fault is not None or up_to is not None:
            return verdict
        after = AuditHead.objects.get()
        if verdict.position > after.position:
            fault = Fault(after.position + 1, "the row stands behind the end that the head names")
        elif verdict.position < before.position:
            fault = Fault(verdict.position + 1, f"rows up to {before.position} are missing")
        elif not is_sealed(before):
            fault = Fault(before.position, _head_fault(before))
        else:
            return verdict
        return Verdict(verdict.rows, verdict.position, verdict.digest, fault)


def _verify_rows(head: AuditHead, up_to: int | None) -> Verdict:
    position, digest, rows = head.pruned_position, head.pruned_digest, 0

    def found(reason: str) -> Verdict:
        return Verdict(rows, position, digest, Fault(position + 1, reason))

    found_rows = AuditEvent.objects.order_by("position")
    if up_to is not None:
        found_rows = found_rows.filter(position__lte=up_to)
    for event in found_rows.iterator(chunk_size=BATCH):
        if event.position <= head.pruned_position:
            return Verdict(rows, position, digest, Fault(event.position, "the row stands before the log's beginning"))
        if event.position != position + 1:
            return found("the row is missing")
        if event.previous_digest != digest:
            return found("the row does not follow the one before it")
        expected = digest_of(event)
        if expected is None:
            return found(f"the row is sealed with the key {event.key_id}, which is not in AUDIT_KEY")
        if not hmac.compare_digest(expected, event.digest):
            return found("the row has been changed")
        position, digest, rows = event.position, event.digest, rows + 1
        if position == head.position and digest != head.digest:
            return Verdict(rows, position, digest, Fault(position, "the row is not the one that the head names"))
    return Verdict(rows, position, digest)


def _head_fault(head: AuditHead) -> str:
    if head.key_id and seal_of(head) is None:
        return f"the head is sealed with the key {head.key_id}, which is not in AUDIT_KEY"
    return "the head of the log has been changed"


def keep_from_pruning(*, shared: bool) -> None:
    """Until the transaction ends. Whoever checks a log shares the lock; whoever removes rows has it alone."""
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(hashtext('audit.' || current_schema()))")
