"""The page of one lead: who it is, what was said and done, and how promising it is."""

from __future__ import annotations

import uuid

from django.http import HttpResponse
from django.shortcuts import redirect, render

from agents.selectors import lead_fields
from conversations.scores import score_of
from conversations.timeline import timeline_of
from leads.enums import LeadStatus
from leads.field_values import text_of
from leads.selectors import get_lead, likely_duplicates
from tenants.pages import PageRequest, company_page


@company_page
def lead(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Of one that was merged into another, that other's page."""
    found = get_lead(pk, include_archived=True)
    if found.merged_into_id:
        return redirect("lead", pk=found.merged_into_id)
    merged = list(found.merged.select_related("agent").order_by("created_at"))
    fields = [field for field in lead_fields() if field.key in found.custom_fields]
    context = {
        "lead": found,
        "own_fields": [(field.name, text_of(found.custom_fields[field.key])) for field in fields],
        "merged": merged,
        "asked": set(found.consents.filter(is_unproven=False).values_list("kind", flat=True)),
        "score": score_of(found, merged),
        "timeline": timeline_of(found, merged),
        "duplicates": likely_duplicates(found),
        "statuses": LeadStatus.choices,
    }
    return render(request, "leads/detail.html", context)
