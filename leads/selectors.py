from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, F, OrderBy, Q, QuerySet, Value
from django.db.models.functions import Greatest

from agents.models import LeadField
from agents.selectors import lead_fields
from knowrithm.errors import NotFoundError, ServiceError
from knowrithm.jobs import TaskRecord, read_task
from leads.csv_rows import Preview, preview_of
from leads.enums import ImportStatus, LeadStatus
from leads.field_values import shown_values
from leads.models import Lead, LeadImport, ScoreRules
from tenants.selectors import encrypts_lead_data


@dataclass(frozen=True, slots=True)
class EncryptionState:
    """`rewritten` of `total` leads lie as the company wants it."""

    is_on: bool
    total: int
    rewritten: int

    @property
    def is_complete(self) -> bool:
        return self.rewritten == self.total


def encryption_state() -> EncryptionState:
    is_on = encrypts_lead_data()
    total = Lead.objects.count()
    return EncryptionState(is_on, total, total - Lead.objects.to_be_rewritten(is_encrypted=is_on).count())


SORTS = {
    "-created_at": "Newest first",
    "created_at": "Oldest first",
    "-last_activity": "Last seen first",
    "-score": "Highest score first",
    "name": "By name",
    "-name": "By name, backwards",
}
_ORDERS: dict[str, tuple[Any, ...]] = {
    "name": ("first_name", "last_name", "pk"),
    "-name": ("-first_name", "-last_name", "-pk"),
    "-score": (F("score").desc(nulls_last=True), "pk"),
}


@dataclass(frozen=True, slots=True)
class LeadFilter:
    """What a list is narrowed to: empty fields narrow nothing. `sort` is one of `SORTS`, any other is the first.

    `custom_fields`: the whole values, by key, as they are stored.
    """

    search: str = ""
    status: str = ""
    agent_id: uuid.UUID | None = None
    tag: str = ""
    source: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None
    custom_fields: Mapping[str, Any] = field(default_factory=dict)
    sort: str = ""
    is_archived: bool = False


def leads_list(wanted: LeadFilter) -> QuerySet[Lead]:
    """One row for each person: merged ones are left out."""
    rows = Lead.objects.select_related("agent")
    rows = rows.archived().filter(merged_into=None) if wanted.is_archived else rows.listed()
    columns = {
        "status": wanted.status,
        "agent": wanted.agent_id,
        "source": wanted.source,
        "tags__contains": [wanted.tag] if wanted.tag else None,
        "custom_fields__contains": dict(wanted.custom_fields),
        "created_at__gte": wanted.created_after,
        "created_at__lte": wanted.created_before,
    }
    rows = rows.filter(**{name: value for name, value in columns.items() if value})
    sort = wanted.sort if wanted.sort in SORTS else next(iter(SORTS))
    order = _ORDERS.get(sort, (sort, "pk"))
    if wanted.search.strip():
        rows, order = rows.matching(wanted.search), (_of_no_index(order[0]), *order[1:])
    found: QuerySet[Lead] = rows.order_by(*order)
    return found


def _of_no_index(order: Any) -> Any:
    """The same order, as something to be worked out: so words are looked for first, by their index, and what they find
    is sorted. By an index of the order the planner would walk through all leads, in the hope to meet a page of them
    soon: what nobody is named takes longest then.
    """
    by = order if isinstance(order, OrderBy) else OrderBy(F(order.removeprefix("-")), descending=order.startswith("-"))
    return OrderBy(Greatest(by.expression, by.expression), descending=by.descending, nulls_last=by.nulls_last)


def get_lead(lead_id: uuid.UUID, *, include_archived: bool = False) -> Lead:
    rows = Lead.objects.select_related("agent", "merged_into")
    lead: Lead | None = (rows if include_archived else rows.live()).filter(pk=lead_id).first()
    if lead is None:
        raise NotFoundError("There is no such lead.")
    return lead


def archived_lead_fields() -> list[LeadField]:
    return list(LeadField.objects.archived())


def get_lead_field(field_id: uuid.UUID, *, include_archived: bool = False) -> LeadField:
    rows = LeadField.objects.all() if include_archived else LeadField.objects.live()
    found: LeadField | None = rows.filter(pk=field_id).first()
    if found is None:
        raise NotFoundError("There is no such field.")
    return found


def has_values(found: LeadField) -> bool:
    """Whether some lead has something in it: then its key and type stay."""
    return Lead.objects.filter(custom_fields__has_key=found.key).exists()


def custom_fields_of(lead: Lead) -> dict[str, Any]:
    """What it has in the company's own fields, without archived ones. No query where it has nothing."""
    return shown_values(lead.custom_fields, lead_fields()) if lead.custom_fields else {}


def lead_tags() -> list[str]:
    """The tags in use, for a filter."""
    used: set[str] = set()
    for tags in Lead.objects.listed().exclude(tags=[]).values_list("tags", flat=True).distinct()[:500]:
        used.update(tags)
    return sorted(used)


CARD = ("first_name", "last_name", "status", "tags", "last_activity", "agent__name")


@dataclass(frozen=True, slots=True)
class BoardColumn:
    status: LeadStatus
    count: int
    leads: list[Lead]


def lead_board(*, agent_id: uuid.UUID | None = None, per_column: int) -> list[BoardColumn]:
    """For each status how many leads have it, and those last seen. One query for the counts and one a status.

    All of them are answered by one index. The leads have only what a card shows.
    """
    rows = Lead.objects.listed()
    if agent_id:
        rows = rows.filter(agent=agent_id)
    counts = dict(rows.order_by().values_list("status").annotate(count=Count("*")))
    shown = rows.select_related("agent").only(*CARD).order_by("-last_activity")
    return [
        BoardColumn(status, counts.get(status.value, 0), list(shown.filter(status=status)[:per_column]))
        for status in LeadStatus
    ]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Leads that seem to be one person, the one known for longest first, and what they have in common."""

    reason: str
    leads: list[Lead]


def duplicate_keys() -> QuerySet[Lead, tuple[str, str]]:
    """Blind indexes that several listed leads have, as (`email` or `phone`, index). Works on encrypted data alike."""

    def shared(name: str) -> Any:
        rows: Any = Lead.objects.listed().exclude(**{f"{name}_hash": ""}).order_by()  # renamed columns have no types
        rows = rows.values(key=F(f"{name}_hash")).annotate(count=Count("pk"), kind=Value(name)).filter(count__gt=1)
        return rows.values_list("kind", "key")

    found: QuerySet[Lead, tuple[str, str]] = shared("email").union(shared("phone"), all=True).order_by("kind", "key")
    return found


def duplicates_of(keys: list[tuple[str, str]]) -> list[Duplicates]:
    """The groups of these keys; one that has the very leads of another is left out. One query."""
    hashes = [key for _, key in keys]
    rows = Lead.objects.listed().filter(Q(email_hash__in=hashes) | Q(phone_hash__in=hashes))
    everybody = list(rows.select_related("agent").order_by("created_at", "pk"))
    found: dict[tuple[uuid.UUID, ...], Duplicates] = {}
    for kind, key in keys:
        leads = [lead for lead in everybody if getattr(lead, f"{kind}_hash") == key]
        reason = "the same e-mail address" if kind == "email" else "the same telephone number"
        found.setdefault(tuple(lead.pk for lead in leads), Duplicates(reason, leads))
    return [group for group in found.values() if len(group.leads) > 1]


def likely_duplicates(lead: Lead) -> list[Lead]:
    """Other listed leads with the address or telephone number of this one. One query."""
    same = Q(email_hash=lead.email_hash)
    if lead.phone_hash:
        same |= Q(phone_hash=lead.phone_hash)
    rows = Lead.objects.listed().select_related("agent").exclude(pk=lead.pk).filter(same).order_by("created_at")
    return list(rows[:20])


def get_import(import_id: uuid.UUID) -> LeadImport:
    row: LeadImport | None = LeadImport.objects.select_related("agent").filter(pk=import_id).first()
    if row is None:
        raise NotFoundError("There is no such import.")
    return row


def preview_of_import(row: LeadImport) -> Preview:
    """How its file is understood, as long as nothing is written; afterwards the file goes, and so does this."""
    if row.status != ImportStatus.CHECKED or not row.file:
        return Preview([], [])
    try:
        with row.file.open("rb") as file:
            return preview_of(file.file, row.encoding, lead_fields())
    except (OSError, ServiceError):
        return Preview([], [])


def score_rules() -> ScoreRules:
    """The company's, or what they are as long as nobody has changed them."""
    return ScoreRules.objects.first() or ScoreRules()


@dataclass(frozen=True, slots=True)
class ScoringState:
    """`scored` of `total` leads have the score that the rules of now give them."""

    total: int
    scored: int

    @property
    def is_complete(self) -> bool:
        return self.scored >= self.total


def open_task(rules: ScoreRules) -> TaskRecord | None:
    """The task of scoring every lead by these rules, as long as it goes on."""
    record = read_task(str(rules.task_id)) if rules.task_id else None
    return record if record is not None and not record.is_over else None


def scoring_state(rules: ScoreRules) -> ScoringState:
    """One query."""
    done = Q(score_revision=rules.revision, scored_at__isnull=False)
    return ScoringState(**Lead.objects.scorable().aggregate(total=Count("pk"), scored=Count("pk", done)))
