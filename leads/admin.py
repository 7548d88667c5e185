"""What super admins see of a company's leads in Django admin: neither names nor notes, and addresses only in part."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet, Value
from django.http import HttpRequest, HttpResponse

from agents.models import LeadField
from leads.models import Lead, LeadImport, ScoreRules
from tenants.company_rows import Part, rows_of_company
from tenants.selectors import encrypts_lead_data

READ = (
    "agent__name", "email", "phone", "status", "score", "source", "is_nameless", "merged_into_id", "created_at",
    "last_activity", "archived_at",
)  # fmt: skip


def _leads() -> QuerySet[Lead]:
    """Without the columns that say who it is, but for those that are shown in part. `is_hidden`: not even that."""
    rows: QuerySet[Lead] = Lead.objects.select_related("agent").only(*READ).order_by("-created_at", "pk")
    return rows.annotate(is_hidden=Value(encrypts_lead_data()))


def masked(address: str) -> str:
    """Enough to tell a mistyped address from a right one, and not enough to write to it."""
    name, _, host = address.rpartition("@")
    return f"{name[:1]}…@{host}"


def _kind(row: Lead) -> str:
    if row.is_nameless:
        return "Visitor"
    return "Merged" if row.merged_into_id else "Lead"


def _lead(row: Any) -> list[Any]:
    is_hidden = row.is_nameless or row.is_hidden
    return [
        row.pk, _kind(row), row.agent.name if row.agent else "", "" if is_hidden else masked(row.email),
        "Yes" if row.phone else "No", row.get_status_display(), row.score, row.source, row.created_at,
        row.last_activity, row.archived_at,
    ]  # fmt: skip


def _import(row: LeadImport) -> list[Any]:
    return [
        row.pk, row.get_status_display(), row.encoding, row.total, row.faulty, row.created_count, row.known_count,
        row.actor_label, row.created_at,
    ]  # fmt: skip


def _field(row: LeadField) -> list[Any]:
    required = "Yes" if row.is_required else "No"
    return [row.pk, row.name, row.key, row.get_kind_display(), len(row.options), required, row.archived_at]


def _rules(row: ScoreRules) -> list[Any]:
    weights = ", ".join(f"{name} {weight}" for name, weight in row.weights.items())
    learned = ", ".join(f"{count} {side}" for side, count in row.learned_from.items())
    return [
        row.revision, weights or "As they come", len(row.rules), "On" if row.is_learning else "Off", learned,
        row.learned_at, row.updated_at,
    ]  # fmt: skip


PARTS = {
    "leads": Part(
        "Leads",
        ["Id", "Kind", "Agent", "Address", "Telephone", "Status", "Score", "Source", "Registered", "Last seen",
         "Archived"],
        _leads,
        _lead,
    ),
    "imports": Part(
        "Imports",
        ["Id", "Status", "Encoding", "Rows", "Refused", "Added", "Known", "By", "Checked"],
        lambda: LeadImport.objects.defer("errors").order_by("-created_at"),
        _import,
    ),
    "fields": Part(
        "Custom fields",
        ["Id", "Name", "Key", "Type", "Options", "Required", "Archived"],
        lambda: LeadField.objects.order_by("position", "created_at"),
        _field,
    ),
    "score": Part(
        "Score",
        ["Revision", "Weights", "Rules by hand", "Learning", "Learned from", "Learned", "Changed"],
        lambda: ScoreRules.objects.order_by("pk"),
        _rules,
    ),
}  # fmt: skip


def leads_of_company(request: HttpRequest, company_id: uuid.UUID) -> HttpResponse:
    return rows_of_company(request, company_id, title="Leads", parts=PARTS)
