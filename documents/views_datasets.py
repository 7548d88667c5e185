"""The dashboard's pages about datasets."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from agents.models import Agent, LLMSettings
from documents import selectors, services
from documents.models import Dataset
from documents.views import upload_context
from tenants.pages import (
    PageRequest,
    company_page,
    errors_as_messages,
    errors_in,
    page_of,
    post_data,
    query_text,
    way_back,
)
from tenants.services import principal_of

PER_PAGE = 24


class DatasetForm(forms.Form):
    name = forms.CharField(max_length=200)
    description = forms.CharField(
        max_length=2000, required=False, widget=forms.Textarea({"rows": 2}), help_text="What belongs into it."
    )
    settings = forms.ChoiceField(
        label="Embedded by",
        required=False,
        help_text="The settings whose embedding model makes its documents searchable. Another model makes a new "
        "index in the background; until it is done the one before answers.",
    )
    agents = forms.ModelMultipleChoiceField(
        queryset=Agent.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="They answer from this dataset besides their own documents.",
    )

    def __init__(self, data: Any = None, *, dataset: Dataset | None = None) -> None:
        initial = None
        if dataset is not None:
            granted = dataset.grants.values_list("agent_id", flat=True)
            initial = {
                "name": dataset.name, "description": dataset.description, "agents": list(granted),
                "settings": str(dataset.llm_settings_id),
            }  # fmt: skip
        super().__init__(data, initial=initial)
        used = dataset.llm_settings_id if dataset else None
        rows = LLMSettings.objects.filter(Q(is_active=True) | Q(pk=used)).select_related("embedding_model")
        self.fields["settings"].choices = [  # type: ignore[attr-defined]  # declared above
            (str(row.pk), f"{row} · {row.embedding_model}")
            for row in rows.order_by("-is_default", "name")
            if row.name or row.is_default or row.pk == used
        ]
        self.fields["agents"].queryset = Agent.objects.live().order_by("name")  # type: ignore[attr-defined]  # declared above

    def texts(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ("name", "description")}

    def settings_id(self) -> uuid.UUID | None:
        return uuid.UUID(self.cleaned_data["settings"]) if self.cleaned_data["settings"] else None

    def agent_ids(self) -> list[uuid.UUID]:
        return [agent.pk for agent in self.cleaned_data["agents"]]


@company_page
def datasets(request: PageRequest) -> HttpResponse:
    search, is_archived = query_text(request, "q"), bool(request.GET.get("archived"))
    rows = selectors.datasets_list(search=search, is_archived=is_archived)
    context = {"page_obj": page_of(request, rows, per_page=PER_PAGE), "is_filtered": bool(search or is_archived)}
    return render(request, "datasets/list.html", context)


@company_page
def create(request: PageRequest) -> HttpResponse:
    form = DatasetForm(post_data(request))
    if form.is_valid():
        with errors_in(form):
            dataset = services.create_dataset(
                actor=principal_of(request.user),
                settings_id=form.settings_id(),
                agent_ids=form.agent_ids(),
                **form.texts(),
            )
            messages.success(request, f"“{dataset.name}” was created. Upload its first documents.")
            return redirect("dataset", pk=dataset.pk)
    return render(request, "datasets/form.html", {"form": form, "dataset": None})


@company_page
def dataset(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_dataset(pk, include_archived=True)
    rows = selectors.documents_list(search=query_text(request, "q"), dataset_id=pk)
    context = {
        "dataset": found,
        "granted": Agent.objects.live().filter(grants__dataset=found).order_by("name"),
        "page_obj": page_of(request, rows, per_page=PER_PAGE),
        **upload_context(),
    }
    return render(request, "datasets/detail.html", context)


@company_page
def edit(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_dataset(pk)
    form = DatasetForm(post_data(request), dataset=found)
    if form.is_valid():
        with errors_in(form):
            services.update_dataset(
                actor=principal_of(request.user),
                dataset=found,
                changes=form.texts(),
                settings_id=form.settings_id(),
                agent_ids=form.agent_ids(),
            )
            messages.success(request, "The changes were saved.")
            return redirect("dataset", pk=pk)
    return render(request, "datasets/form.html", {"form": form, "dataset": found})


@require_POST
@company_page
def archive(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_dataset(pk)
    services.archive_dataset(actor=principal_of(request.user), dataset=found)
    messages.success(request, f"“{found.name}” was archived.", extra_tags=reverse("dataset-restore", args=[pk]))
    return way_back(request, "datasets")


@require_POST
@company_page
def restore(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_dataset(pk, include_archived=True)
    with errors_as_messages(request):
        services.restore_dataset(actor=principal_of(request.user), dataset=found)
        messages.success(request, f"“{found.name}” was restored.")
    return way_back(request, "datasets")
