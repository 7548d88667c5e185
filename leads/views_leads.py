"""The dashboard's pages on which a company works with its leads. One lead's page: conversations.views_leads."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from agents.models import Agent, LeadField
from agents.selectors import agents_list, lead_fields
from documents.services import metadata_as_text, metadata_of_text
from knowrithm.api.throttling import check_rate
from knowrithm.db.schema import schema_name
from knowrithm.errors import InvalidInputError
from leads import selectors, services
from leads.csv_rows import MAX_ROWS
from leads.enums import Encoding, LeadStatus
from leads.export import leads_download, refused_download
from leads.forms_fields import FilterForm, value_fields, value_initials, values_in
from leads.models import Lead
from leads.selectors import SORTS, LeadFilter
from tenants.audit.selectors import moment_from
from tenants.pages import (
    PageRequest,
    as_uuid,
    company_page,
    errors_as_messages,
    errors_in,
    page_of,
    post_data,
    query_text,
    way_back,
)
from tenants.services import principal_of

PER_PAGE = 25
BOARD_PER_COLUMN = 20
GROUPS_PER_PAGE = 20
FILTERS = ("q", "status", "agent", "tag", "start", "end", "archived")


class LeadForm(forms.Form):
    first_name = forms.CharField(max_length=100)
    last_name = forms.CharField(max_length=100, required=False)
    email = forms.EmailField(max_length=254, label="E-mail address")
    phone = forms.CharField(max_length=40, required=False, label="Telephone")
    status = forms.ChoiceField(choices=LeadStatus.choices)
    source = forms.CharField(max_length=100, required=False, help_text="Where they come from, such as a fair.")
    tags = forms.CharField(max_length=1000, required=False, help_text="Separated by commas.")
    notes = forms.CharField(max_length=5000, required=False, widget=forms.Textarea({"rows": 3}))
    metadata = forms.CharField(
        max_length=25_000,
        required=False,
        widget=forms.Textarea({"rows": 3}),
        label="Further details",
        help_text="One a line: a name, a colon and a value, such as team: sales.",
    )
    consent_data_processing = forms.BooleanField(required=False, label="Consents to the processing of their data")
    consent_marketing = forms.BooleanField(required=False, label="Consents to marketing")
    consent_text_version = forms.CharField(
        max_length=60, required=False, label="Version of the consent’s text", help_text="Kept with a changed consent."
    )

    def __init__(self, data: Any = None, *, fields: Sequence[LeadField], lead: Lead | None = None) -> None:
        """`fields`: those that the company has defined."""
        initial: dict[str, Any] = {"status": LeadStatus.NEW, "consent_data_processing": True, "source": "manual"}
        if lead is not None:
            initial = {name: getattr(lead, name) for name in self.base_fields if hasattr(lead, name)}
            initial |= {"tags": ", ".join(lead.tags), "metadata": metadata_as_text(lead.metadata)}
            initial |= value_initials(lead.custom_fields)
        super().__init__(data, initial=initial)
        self.own = value_fields(fields)
        self.fields.update(self.own)

    def clean_metadata(self) -> dict[str, Any]:
        try:
            return metadata_of_text(self.cleaned_data["metadata"])
        except InvalidInputError as error:
            raise forms.ValidationError(str(error)) from None

    def own_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.own]

    def values(self) -> dict[str, Any]:
        values = {**self.cleaned_data, "tags": self.cleaned_data["tags"].split(",")}
        custom_fields = values_in(values)
        return {**values, "custom_fields": custom_fields}


class NewLeadForm(LeadForm):
    agent = forms.ModelChoiceField(
        queryset=Agent.objects.none(), required=False, empty_label="No agent", help_text="Whom they may talk to."
    )

    def __init__(self, data: Any = None, *, fields: Sequence[LeadField]) -> None:
        super().__init__(data, fields=fields)
        self.fields["agent"].queryset = Agent.objects.live().order_by("name")  # type: ignore[attr-defined]  # declared above

    def values(self) -> dict[str, Any]:
        values = super().values()
        agent = values.pop("agent")
        return {**values, "agent_id": agent.pk if agent else None}


def wanted_by(request: PageRequest, own: FilterForm) -> LeadFilter:
    """What the query string of the list asks for; `own`: of the company's own fields."""
    return LeadFilter(
        search=query_text(request, "q"),
        status=query_text(request, "status"),
        agent_id=as_uuid(query_text(request, "agent")),
        tag=query_text(request, "tag"),
        created_after=moment_from(query_text(request, "start")),
        created_before=moment_from(query_text(request, "end"), is_end=True),
        custom_fields=own.values,
        sort=query_text(request, "sort"),
        is_archived=bool(request.GET.get("archived")),
    )


@company_page
def leads(request: PageRequest) -> HttpResponse:
    own = FilterForm(request.GET, lead_fields())
    wanted = wanted_by(request, own)
    context = {
        "page_obj": page_of(request, selectors.leads_list(wanted), per_page=PER_PAGE),
        "wanted": wanted,
        "statuses": LeadStatus.choices,
        "sorts": SORTS,
        "agents": agents_list().only("id", "name"),
        "tags": selectors.lead_tags(),
        "own": own,
        "is_filtered": bool(own.values) or any(request.GET.get(name) for name in FILTERS),
        "view": "list",
    }
    return render(request, "leads/list.html", context)


@company_page
def export(request: PageRequest) -> HttpResponse:
    """The leads of the list, as it is filtered."""
    fields = lead_fields()
    wanted = wanted_by(request, FilterForm(request.GET, fields))
    return cast(HttpResponse, leads_download(request, schema=schema_name(), wanted=wanted, fields=fields))  # a stream


@company_page
def board(request: PageRequest) -> HttpResponse:
    context = {**_board(request), "agents": agents_list().only("id", "name"), "view": "board"}
    return render(request, "leads/board.html", context)


def _board(request: PageRequest) -> dict[str, Any]:
    agent_id = as_uuid(query_text(request, "agent"))
    columns = selectors.lead_board(agent_id=agent_id, per_column=BOARD_PER_COLUMN)
    return {"columns": columns, "chosen_agent": agent_id, "statuses": LeadStatus.choices}


@require_POST
@company_page
def set_status(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Through htmx the whole board; without it, or from another page, the way back."""
    with errors_as_messages(request):
        services.change_lead_status(
            actor=principal_of(request.user),
            lead=selectors.get_lead(pk),
            status=request.POST.get("status", ""),
            note=request.POST.get("note", "")[:5000],
        )
    if request.htmx:
        return render(request, "leads/_board.html", _board(request))
    return way_back(request, "leads")


@company_page
def create(request: PageRequest) -> HttpResponse:
    form = NewLeadForm(post_data(request), fields=lead_fields())
    if form.is_valid():
        with errors_in(form):
            lead = services.create_lead(actor=principal_of(request.user), **form.values())
            messages.success(request, f"{lead} was added.")
            return redirect("lead", pk=lead.pk)
    return render(request, "leads/form.html", {"form": form, "lead": None})


@company_page
def edit(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_lead(pk)
    form = LeadForm(post_data(request), fields=lead_fields(), lead=found)
    if form.is_valid():
        with errors_in(form):
            values = form.values()
            named = {name: values.pop(name) for name in ("status", "consent_text_version")}
            services.update_lead(actor=principal_of(request.user), lead=found, changes=values, **named)
            messages.success(request, "The changes were saved.")
            return redirect("lead", pk=pk)
    return render(request, "leads/form.html", {"form": form, "lead": found})


@require_POST
@company_page
def note(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    with errors_as_messages(request):
        text = request.POST.get("note", "")[:5000]
        services.add_lead_note(actor=principal_of(request.user), lead=selectors.get_lead(pk), text=text)
    return redirect("lead", pk=pk)


@require_POST
@company_page
def archive(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_lead(pk)
    services.archive_lead(actor=principal_of(request.user), lead=found)
    messages.success(request, f"{found} was archived.", extra_tags=reverse("lead-restore", args=[pk]))
    return way_back(request, "leads")


@require_POST
@company_page
def restore(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_lead(pk, include_archived=True)
    services.restore_lead(actor=principal_of(request.user), lead=found)
    messages.success(request, f"{found} was restored.")
    return way_back(request, "leads")


@company_page
def duplicates(request: PageRequest) -> HttpResponse:
    page = Paginator(selectors.duplicate_keys(), GROUPS_PER_PAGE).get_page(request.GET.get("page"))
    context = {"page_obj": page, "groups": selectors.duplicates_of(list(page.object_list))}
    return render(request, "leads/duplicates.html", context)


@require_POST
@company_page
def merge(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The leads sent as `other` become a part of this one."""
    others = [found for text in request.POST.getlist("other") if (found := as_uuid(text))]
    with errors_as_messages(request):
        lead = services.merge_leads(actor=principal_of(request.user), lead=selectors.get_lead(pk), other_ids=others)
        others = [other for other in others if other != pk]
        undo = reverse("lead-unmerge", args=others) if len(others) == 1 else ""
        messages.success(request, f"{lead} and {len(others)} more are one lead now.", extra_tags=undo)
    return way_back(request, "leads")


@require_POST
@company_page
def unmerge(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    with errors_as_messages(request):
        lead = services.unmerge_lead(actor=principal_of(request.user), lead=selectors.get_lead(pk))
        told = "The visitor was taken out and has no name again." if lead.is_nameless else ""
        messages.success(request, told or f"{lead} is a lead of its own again.")
    return way_back(request, "leads")


@company_page
def import_file(request: PageRequest) -> HttpResponse:
    """The file is checked at once; nothing is written before somebody has seen what is wrong with it."""
    agents = agents_list().only("id", "name")
    if request.method == "POST" and (file := request.FILES.get("file")):
        with errors_as_messages(request):
            check_rate("upload", str(request.user.company_id))
            agent_id = as_uuid(request.POST.get("agent", ""))
            row = services.check_import(actor=principal_of(request.user), file=file, agent_id=agent_id)
            return redirect("lead-import", pk=row.pk)
    return render(request, "leads/import.html", {"agents": agents, "max_rows": MAX_ROWS})


@company_page
def import_state(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    template = "leads/_import.html" if request.htmx else "leads/import_detail.html"
    row = selectors.get_import(pk)
    context = {"row": row, "preview": selectors.preview_of_import(row), "encodings": Encoding.choices}
    return render(request, template, context)


@require_POST
@company_page
def import_encoding(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The file is read again, in the encoding that was chosen."""
    row = selectors.get_import(pk)
    with errors_as_messages(request):
        check_rate("upload", str(request.user.company_id))
        encoding = request.POST.get("encoding", "")
        row = services.recheck_import(actor=principal_of(request.user), row=row, encoding=encoding)
        messages.success(request, f"The file was read as {row.encoding_name}.")
    return redirect("lead-import", pk=pk)


@require_POST
@company_page
def import_start(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    with errors_as_messages(request):
        services.start_import(actor=principal_of(request.user), row=selectors.get_import(pk))
    return redirect("lead-import", pk=pk)


@company_page
def import_refused(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return cast(HttpResponse, refused_download(request, selectors.get_import(pk)))  # a stream
