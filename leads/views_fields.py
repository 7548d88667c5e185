"""The dashboard's pages on which an admin defines the company's own fields of leads."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from agents.selectors import lead_fields
from leads import selectors, services
from leads.forms_fields import LeadFieldForm
from tenants.pages import PageRequest, admin_page, errors_as_messages, errors_in, post_data
from tenants.services import principal_of


@admin_page
def fields(request: PageRequest) -> HttpResponse:
    """Those that are in use, in their order; below them the archived ones."""
    context = {"fields": lead_fields(), "archived": selectors.archived_lead_fields(), "view": "fields"}
    return render(request, "leads/fields.html", context)


@admin_page
def create(request: PageRequest) -> HttpResponse:
    form = LeadFieldForm(post_data(request))
    if form.is_valid():
        with errors_in(form):
            field = services.create_lead_field(actor=principal_of(request.user), **form.values())
            messages.success(request, f"“{field}” was added.")
            return redirect("lead-fields")
    return render(request, "leads/field_form.html", {"form": form, "field": None})


@admin_page
def edit(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    field = selectors.get_lead_field(pk)
    form = LeadFieldForm(post_data(request), field=field, is_used=selectors.has_values(field))
    if form.is_valid():
        with errors_in(form):
            values = form.values()
            values["key"] = values["key"] or field.key
            changes = {**values, "renamed_options": form.renamed()}
            services.update_lead_field(actor=principal_of(request.user), field=field, changes=changes)
            messages.success(request, "The changes were saved.")
            return redirect("lead-fields")
    return render(request, "leads/field_form.html", {"form": form, "field": field})


@require_POST
@admin_page
def move(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """One place up, or down."""
    ids = [field.pk for field in lead_fields()]
    field = selectors.get_lead_field(pk)
    place = ids.index(field.pk)
    other = place + (1 if request.POST.get("to") == "down" else -1)
    if 0 <= other < len(ids):
        ids[place], ids[other] = ids[other], ids[place]
        services.reorder_lead_fields(actor=principal_of(request.user), field_ids=ids)
    return redirect("lead-fields")


@require_POST
@admin_page
def archive(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    field = services.archive_lead_field(actor=principal_of(request.user), field=selectors.get_lead_field(pk))
    undo = reverse("lead-field-restore", args=[pk])
    messages.success(request, f"“{field}” was archived. What leads have in it stays.", extra_tags=undo)
    return redirect("lead-fields")


@require_POST
@admin_page
def restore(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    with errors_as_messages(request):
        found = selectors.get_lead_field(pk, include_archived=True)
        field = services.restore_lead_field(actor=principal_of(request.user), field=found)
        messages.success(request, f"“{field}” was restored.")
    return redirect("lead-fields")
