"""The fields that a company defines for its leads, and what stands in them."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import IntegrityError, models, transaction
from django.db.models import Case, F, Func, Max, Value, When
from django.utils import timezone

from agents.enums import FieldKind
from agents.models import Agent, LeadField
from agents.selectors import asked_lead_fields
from knowrithm.errors import ConflictError, InvalidInputError, NotFoundError
from knowrithm.principal import Principal
from leads.csv_rows import NAMES, plain
from leads.enums import ImportStatus
from leads.export import COLUMNS
from leads.field_values import KEY, checked_values, with_values
from leads.models import Lead, LeadImport
from leads.selectors import has_values
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, fields_of, record_event

MOST_FIELDS, MOST_OPTIONS, LONGEST_OPTION = 50, 100, 100
FIELDS = ("name", "key", "kind", "options", "description", "is_required")
# A column of a file of leads with one of these names is not a company's own.
RESERVED = {plain(name) for name in (*NAMES, *COLUMNS)}


@transaction.atomic
def create_lead_field(
    *, actor: Principal, name: str, kind: str, key: str = "", options: Sequence[str] = (), description: str = "",
    is_required: bool = False,
) -> LeadField:  # fmt: skip
    """The last of them. Without a `key` it has one that is made from its name."""
    actor.must_be_admin()
    _check_room()
    field = LeadField(name=_name(name), kind=kind, description=description.strip(), is_required=is_required)
    field.key = _checked_key(key) if key else _key_from(field.name)
    field.options = _clean_options(options, kind)
    field.position = (LeadField.objects.aggregate(last=Max("position"))["last"] or 0) + 1
    _save(field)
    record_event(
        actor=actor, event_type="lead_field.created", entity=field, changes=changed_fields({}, fields_of(field, FIELDS))
    )  # fmt: skip
    return field


@transaction.atomic
def update_lead_field(*, actor: Principal, field: LeadField, changes: Mapping[str, Any]) -> LeadField:
    """What `changes` does not name stays. `renamed_options` has new texts of options, by the old ones: the leads get
    them too.

    Raises `ConflictError` for another key or type, or without an option, once leads have such values.
    """
    actor.must_be_admin()
    field = _locked(field.pk)
    before = fields_of(field, FIELDS)
    for name in ("description", "is_required"):
        setattr(field, name, changes.get(name, getattr(field, name)))
    field.name = _name(changes.get("name", field.name))
    if changes.get("key", field.key) != field.key:
        _check_unused(field, "key")
        field.key = _checked_key(changes["key"])
    if changes.get("kind", field.kind) != field.kind:
        _check_unused(field, "type")
        field.kind = changes["kind"]
    if field.kind == FieldKind.CHOICE:
        _change_options(field, before["options"], changes)
    else:
        field.options = _clean_options((), field.kind)
    _save(field)
    record_event(
        actor=actor, event_type="lead_field.updated", entity=field, risk_level=RiskLevel.MEDIUM,
        changes=changed_fields(before, fields_of(field, FIELDS)),
    )  # fmt: skip
    return field


@transaction.atomic
def reorder_lead_fields(*, actor: Principal, field_ids: Sequence[uuid.UUID]) -> list[LeadField]:
    """In this order; those that are not named follow as they stood. Raises `NotFoundError` for an unknown one."""
    actor.must_be_admin()
    rows = {row.pk: row for row in LeadField.objects.select_for_update(no_key=True).order_by("pk")}
    if unknown := set(field_ids) - set(rows):
        raise NotFoundError(f"There is no field {min(map(str, unknown))}.")
    others = sorted(rows.values(), key=lambda row: (row.position, row.created_at))
    was = [row.key for row in others]
    ordered = [rows[pk] for pk in dict.fromkeys([*field_ids, *(row.pk for row in others)])]
    for position, row in enumerate(ordered, 1):
        row.position = position
    LeadField.objects.bulk_update(ordered, ["position"])
    record_event(
        actor=actor, event_type="lead_field.reordered", entity_type="lead_field",
        changes={"order": (was, [row.key for row in ordered])},
    )  # fmt: skip
    return [row for row in ordered if not row.is_archived]


@transaction.atomic
def archive_lead_field(*, actor: Principal, field: LeadField) -> LeadField:
    """It is shown, asked and taken nowhere any more; what leads have in it stays."""
    actor.must_be_admin()
    field = _locked(field.pk)
    field.archived_at = timezone.now()
    field.save(update_fields=["archived_at", "updated_at"])
    record_event(actor=actor, event_type="lead_field.archived", entity=field, risk_level=RiskLevel.MEDIUM)
    return field


@transaction.atomic
def restore_lead_field(*, actor: Principal, field: LeadField) -> LeadField:
    actor.must_be_admin()
    _check_room()
    field = _locked(field.pk)
    field.archived_at = None
    field.save(update_fields=["archived_at", "updated_at"])
    record_event(actor=actor, event_type="lead_field.restored", entity=field)
    return field


def values_to_write(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """What somebody sent, typed. Until the end of the caller's transaction nobody changes what a field is: call it
    before leads are locked. No query for nothing. Raises `InvalidInputError`.
    """
    if not given:
        return {}
    return checked_values(given, _shared())


def values_of_visitor(given: Mapping[str, Any] | None, agent: Agent) -> dict[str, Any]:
    """As `values_to_write`, of what this agent asks its visitors for. Raises `InvalidInputError` for anything else."""
    if not given:
        return {}
    asked = {field.key for field in asked_lead_fields(agent.widget)}
    values = checked_values(given, [field for field in _shared() if field.key in asked])
    return with_values({}, values)


def _shared() -> list[LeadField]:
    """The live ones, which others may read so too and nobody may change."""
    table = LeadField._meta.db_table
    rows = LeadField.objects.raw(
        f"SELECT * FROM {table} WHERE archived_at IS NULL ORDER BY id FOR SHARE"  # noqa: S608  # our own model's name
    )
    return sorted(rows, key=lambda field: (field.position, field.created_at))


def _locked(field_id: uuid.UUID) -> LeadField:
    found: LeadField = LeadField.objects.select_for_update(no_key=True).get(pk=field_id)
    return found


def _save(field: LeadField) -> None:
    try:
        with transaction.atomic():
            field.save()
    except IntegrityError:
        raise ConflictError(
            "There is a field with this key already. Look among the archived ones too.",
            code="LEAD_FIELD_EXISTS",
            fields={"key": ["There is a field with this key already."]},
        ) from None


def _check_room() -> None:
    if LeadField.objects.live().count() >= MOST_FIELDS:
        raise ConflictError(
            f"A company may have {MOST_FIELDS} fields. Archive one that you do not need.", code="LEAD_FIELD_LIMIT"
        )


def _check_unused(field: LeadField, what: str) -> None:
    if what == "key" and Agent.objects.filter(widget__custom_fields__has_key=field.key).exists():
        text = "The key cannot be changed while the widget of an agent asks for this field."
    elif has_values(field):
        text = f"The {what} cannot be changed once leads have values. Archive this field and add another one."
    else:
        _check_no_import()
        return
    raise ConflictError(text, code="LEAD_FIELD_IN_USE", fields={what: [text]})


def _check_no_import() -> None:
    """Its worker knows the fields as they were when it began."""
    if LeadImport.objects.filter(status=ImportStatus.RUNNING).exists():
        raise ConflictError(
            "A file of leads is being imported. Change the field when that is done.", code="LEAD_FIELD_IN_USE"
        )


def _change_options(field: LeadField, before: Sequence[str], changes: Mapping[str, Any]) -> None:
    renamed = {old: new.strip() for old, new in (changes.get("renamed_options") or {}).items() if old != new.strip()}
    if unknown := [old for old in renamed if old not in before]:
        raise _refused("renamed_options", f"There is no option {unknown[0][:LONGEST_OPTION]}.")
    wanted = changes.get("options")
    kept = [renamed.get(option, option) for option in before] if wanted is None else wanted
    field.options = _clean_options(kept, field.kind)
    if lost := [new for new in renamed.values() if new not in field.options]:
        raise _refused("renamed_options", f"The options do not have {lost[0][:LONGEST_OPTION]}.")
    gone = [option for option in before if option not in field.options]
    if gone or renamed:
        _check_no_import()
    for option in gone:
        if option not in renamed and Lead.objects.filter(custom_fields__contains={field.key: option}).exists():
            text = f"Leads have the option {option}. Keep it, or rename it: the leads get the new text too."
            raise ConflictError(text, code="LEAD_FIELD_IN_USE", fields={"options": [text]})
    if renamed:
        _move(field.key, renamed)


def _move(key: str, renamed: Mapping[str, str]) -> None:
    """One statement, so that two options may change places."""
    has = {old: models.Q(custom_fields__contains={key: old}) for old in renamed}
    moved = Case(
        *(When(has[old], then=Value(new, models.JSONField())) for old, new in renamed.items()),
        output_field=models.JSONField(),
    )
    path = Value([key], ArrayField(models.TextField()))
    somebody = models.Q()
    for one in has.values():
        somebody |= one
    Lead.objects.filter(somebody).update(
        custom_fields=Func(F("custom_fields"), path, moved, function="jsonb_set", output_field=models.JSONField())
    )


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise _refused("name", "Give the field a name.")
    return name


def _checked_key(key: str) -> str:
    if not KEY.fullmatch(key):
        raise _refused("key", "Use small letters, digits and underscores, at most 40, and a letter first.")
    if plain(key) in RESERVED:
        raise _refused("key", "Every lead has a field of this name. Choose another key.")
    return key


def _key_from(name: str) -> str:
    """`Team size` is `team_size`; a number follows where that is taken, also by an archived field."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")[:36].rstrip("_")
    base = base if base[:1].isalpha() else f"field_{base}".rstrip("_")[:36]
    taken = set(LeadField.objects.values_list("key", flat=True))
    return next(key for key in _keys(base) if key not in taken and plain(key) not in RESERVED)


def _keys(base: str) -> Iterator[str]:
    yield base
    yield from (f"{base}_{number}" for number in count(2))


def _clean_options(options: Sequence[str], kind: str) -> list[str]:
    cleaned = list(dict.fromkeys(" ".join(option.split()) for option in options if option.strip()))
    fault = ""
    if kind != FieldKind.CHOICE and cleaned:
        fault = "Only a choice has options."
    elif kind == FieldKind.CHOICE and not cleaned:
        fault = "Give at least one option."
    elif len(cleaned) > MOST_OPTIONS:
        fault = f"Give at most {MOST_OPTIONS} options."
    elif any(len(option) > LONGEST_OPTION for option in cleaned):
        fault = f"An option may have at most {LONGEST_OPTION} characters."
    if fault:
        raise _refused("options", fault)
    return cleaned


def _refused(name: str, text: str) -> InvalidInputError:
    return InvalidInputError(text, fields={name: [text]})
