"""The entries of the configuration: a company's own, and the platform's."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.db import transaction

from knowrithm.errors import ConflictError, InvalidInputError, NotFoundError
from knowrithm.principal import Principal
from tenants.audit.models import RiskLevel
from tenants.audit.services import REDACTED, changed_fields, log_of, record_event
from tenants.models import Company, SystemConfig
from tenants.selectors import live_company

KEY = r"^[A-Za-z0-9_.:/-]+\Z"
KEY_RULE = "Use letters, digits and the characters _ . : / - alone."
MAX_ENTRIES = 500  # of one company
MAX_VALUE_LENGTH = 64 * 1024  # characters of JSON
TYPES = {bool: "boolean", int: "number", float: "number", str: "string", list: "list", dict: "object"}


@transaction.atomic
def set_config(
    *,
    actor: Principal,
    config_key: str,
    config_value: Any,
    config_type: str | None = None,
    description: str | None = None,
    is_sensitive: bool | None = None,
    company_id: uuid.UUID | None = None,
) -> SystemConfig:
    """Makes or changes an entry of the actor's company; a super admin's is the platform's, or `company_id`'s.

    What is not given stays as it was. Raises `NotFoundError` for another company, `ConflictError` when it is full.
    """
    if len(json.dumps(config_value)) > MAX_VALUE_LENGTH:
        text = f"The value is too long: at most {MAX_VALUE_LENGTH} characters of JSON."
        raise InvalidInputError(text, fields={"config_value": [text]})
    company = _company_of(actor, company_id)
    entries = SystemConfig.objects.filter(company=company)
    if entries.exclude(config_key=config_key).count() >= MAX_ENTRIES:
        raise ConflictError(f"There are {MAX_ENTRIES} entries already, which is the most.")
    row, is_new = entries.get_or_create(
        company=company, config_key=config_key, defaults={"encrypted_value": json.dumps(config_value)}
    )
    before = {} if is_new else _as_recorded(row)
    row.config_value = config_value
    row.config_type = config_type or row.config_type or TYPES.get(type(config_value), "null")
    row.description = row.description if description is None else description
    row.is_sensitive = row.is_sensitive if is_sensitive is None else is_sensitive
    row.save()
    changes = changed_fields(before, _as_recorded(row))
    if row.is_sensitive:
        changes["config_value"] = (REDACTED if before else None, REDACTED)
    with log_of(company):
        record_event(
            actor=actor,
            event_type="config.updated",
            entity=row,
            entity_type="config",
            changes=changes,
            risk_level=RiskLevel.HIGH if row.is_sensitive else RiskLevel.MEDIUM,
        )
    return row


@transaction.atomic
def remove_config(*, actor: Principal, config_id: uuid.UUID) -> str:
    """An entry of the actor's company; for a super admin any. Returns its key. Raises `NotFoundError`."""
    rows = SystemConfig.objects.select_related("company").select_for_update(of=("self",))
    if actor.company is not None:
        rows = rows.filter(company_id=actor.company.id)
    row = rows.filter(pk=config_id).first()
    if row is None:
        raise NotFoundError("There is no such entry.")
    row.delete()
    with log_of(row.company):
        record_event(
            actor=actor,
            event_type="config.removed",
            entity_type="config",
            entity_id=config_id,
            entity_label=row.config_key,
            changes=changed_fields(_as_recorded(row), {}),
            risk_level=RiskLevel.HIGH if row.is_sensitive else RiskLevel.MEDIUM,
        )
    return row.config_key


def _company_of(actor: Principal, company_id: uuid.UUID | None) -> Company | None:
    if actor.company is not None:
        if company_id not in {None, actor.company.id}:
            raise NotFoundError("There is no such company.")
        company_id = actor.company.id
    return live_company(company_id) if company_id else None


def _as_recorded(row: SystemConfig) -> dict[str, Any]:
    return {
        "config_value": REDACTED if row.is_sensitive else row.config_value,
        "config_type": row.config_type,
        "description": row.description,
        "is_sensitive": row.is_sensitive,
    }
