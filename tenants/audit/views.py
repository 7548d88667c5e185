"""The dashboard's page about the audit log, for admins."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from knowrithm.db.schema import schema_name
from tenants.audit.export import audit_download
from tenants.audit.models import AuditEvent, RiskLevel
from tenants.audit.retention import MAX_AUDIT_DAYS, set_audit_retention
from tenants.audit.selectors import AuditFilter, audit_events, moment_from
from tenants.audit.sentences import sentence, spelled
from tenants.models import MIN_AUDIT_DAYS
from tenants.pages import PageRequest, admin_page, errors_in, page_of, query_text
from tenants.services import principal_of

PER_PAGE = 50
RECENT = 5_000  # rows that the list of entity types is made from


class RetentionForm(forms.Form):
    days = forms.IntegerField(
        label="Days to keep the log",
        required=False,
        min_value=MIN_AUDIT_DAYS,
        max_value=MAX_AUDIT_DAYS,
        help_text=f"At least {MIN_AUDIT_DAYS}. Empty: for ever. Older rows are removed every night.",
    )


@dataclass(frozen=True, slots=True)
class ShownEvent:
    event: AuditEvent
    sentence: str
    changes: Sequence[tuple[str, str, str]]  # field, before, after


@admin_page
def audit_log(request: PageRequest) -> HttpResponse:
    company = request.user.company
    days = company.audit_retention_days if company else None
    form = RetentionForm(request.POST if request.method == "POST" else None, initial={"days": days})
    if form.is_valid():
        with errors_in(form):
            set_audit_retention(actor=principal_of(request.user), days=form.cleaned_data["days"])
            messages.success(request, "The audit log is kept as you said.")
            return redirect("audit-log")
    page_obj = page_of(request, audit_events(filter_of(request)), per_page=PER_PAGE)
    recent = AuditEvent.objects.values("pk")[:RECENT]
    kinds = AuditEvent.objects.filter(pk__in=recent).order_by("entity_type").values_list("entity_type", flat=True)
    context = {
        "tab": "audit-log",
        "page_obj": page_obj,
        "events": shown(page_obj.object_list),
        "entity_types": [(kind, _heading(kind)) for kind in kinds.distinct() if kind],
        "risk_levels": RiskLevel.choices,
        "is_filtered": any(query_text(request, name) for name in ("q", "entity_type", "risk_level", "start", "end")),
        "retention_days": days,
        "form": form,
    }
    return render(request, "tenants/audit_log.html", context)


@admin_page
def export(request: PageRequest) -> HttpResponse:
    return cast(HttpResponse, audit_download(request, schema=schema_name(), wanted=filter_of(request)))  # a stream


def filter_of(request: HttpRequest) -> AuditFilter:
    """What the page's form asks for; what it cannot have sent does not narrow."""
    risk = query_text(request, "risk_level")
    return AuditFilter(
        search=query_text(request, "q"),
        entity_type=query_text(request, "entity_type"),
        risk_level=risk if risk in RiskLevel.values else "",
        start=moment_from(query_text(request, "start")),
        before=moment_from(query_text(request, "end"), is_end=True),
    )


def shown(events: Iterable[AuditEvent]) -> list[ShownEvent]:
    return [
        ShownEvent(
            event,
            sentence(event),
            [(_heading(name), _words(before), _words(after)) for name, (before, after) in event.changes.items()],
        )
        for event in events
    ]


def _heading(name: str) -> str:
    words = spelled(name)
    return words[:1].upper() + words[1:]


def _words(value: Any) -> str:
    if value is None or value == "":
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
