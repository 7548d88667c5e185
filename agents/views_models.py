"""The dashboard's pages about model settings, for the company's admins."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from agents import services
from agents.forms_models import ModelSettingsForm
from agents.models import LLMSettings
from agents.trial import try_chat, try_embedding
from knowrithm.api.throttling import check_rate
from knowrithm.circuits import Circuits
from knowrithm.errors import ServiceError
from knowrithm.jobs import current_schema
from tenants.pages import PageRequest, admin_page, errors_as_messages, errors_in, page_of, post_data, way_back
from tenants.services import principal_of

PER_PAGE = 24


@admin_page
def models(request: PageRequest) -> HttpResponse:
    services.default_settings()  # a company has one from its first look on
    rows = LLMSettings.objects.with_models().annotate(
        agents_count=Count("agents", filter=Q(agents__archived_at=None), distinct=True)
    )
    rows = rows.order_by("-is_default", "-created_at")  # the model's, which counting has dropped
    page = page_of(request, rows, per_page=PER_PAGE)
    shown = list(page.object_list)
    names = {
        row.pk: str(row)
        for row in LLMSettings.objects.filter(pk__in={key for row in shown for key in row.fallback_ids})
    }
    for row, is_paused in zip(
        shown, Circuits(current_schema()).paused([row.chat_config() for row in shown]), strict=True
    ):
        row.is_paused = is_paused
        row.fallback_names = [names[key] for key in row.fallback_ids if key in names]
    return render(request, "models/list.html", {"page_obj": page, "rows": shown})


@admin_page
def create(request: PageRequest) -> HttpResponse:
    form = ModelSettingsForm(post_data(request), settings=services.default_settings(), is_new=True)
    if form.is_valid():
        with errors_in(form):
            settings = services.create_settings(actor=principal_of(request.user), choices=form.choices())
            messages.success(request, f"“{settings}” were created. Choose them in the form of an agent.")
            return redirect("models")
    return _form_page(request, form)


@admin_page
def edit(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    settings = services.settings_by_id(pk)
    form = ModelSettingsForm(post_data(request), settings=settings, is_new=False)
    if form.is_valid():
        with errors_in(form):
            services.update_settings(actor=principal_of(request.user), settings=settings, choices=form.choices())
            messages.success(request, "The changes were saved.")
            return redirect("models")
    return _form_page(request, form)


def _form_page(request: PageRequest, form: ModelSettingsForm) -> HttpResponse:
    context = {
        "form": form,
        "settings_row": None if form.is_new else form.settings,
        "fallbacks": [form[name] for name in form.fields if name.startswith("fallback_") and name != "fallback_after"],
        "model_catalog": form.model_catalog(),
        "price": form.settings.llm_model.price,
    }
    return render(request, "models/form.html", context)


@require_POST
@admin_page
def try_new(request: PageRequest) -> HttpResponse:
    form = ModelSettingsForm(request.POST, settings=services.default_settings(), is_new=True)
    return _trial(request, form, None)


@require_POST
@admin_page
def try_changed(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    settings = services.settings_by_id(pk)
    return _trial(request, ModelSettingsForm(request.POST, settings=settings, is_new=False), settings)


def _trial(request: PageRequest, form: ModelSettingsForm, settings: LLMSettings | None) -> HttpResponse:
    """What the models say to what stands in the form, saved or not."""
    form.fields["name"].required = False
    context: dict[str, object] = {"form": form}
    if form.is_valid():
        try:
            actor = principal_of(request.user)
            check_rate("model_test", str(actor.company_id))
            tried = services.settings_to_try(actor=actor, settings=settings, choices=form.choices())
            context["trials"] = [("Answers", try_chat(tried)), ("Embeddings", try_embedding(tried))]
        except ServiceError as error:
            context["refusal"] = str(error)
    return render(request, "models/_trial.html", context)


@require_POST
@admin_page
def make_default(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    settings = services.settings_by_id(pk)
    with errors_as_messages(request):
        services.update_settings(actor=principal_of(request.user), settings=settings, choices={"is_default": True})
        messages.success(request, f"“{settings}” are the default of new agents.")
    return way_back(request, "models")


@require_POST
@admin_page
def delete(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    settings = services.settings_by_id(pk)
    label = str(settings)
    with errors_as_messages(request):
        services.delete_settings(actor=principal_of(request.user), settings=settings)
        messages.success(request, f"“{label}” were deleted.")
    return way_back(request, "models")
