"""The dashboard's pages about agents. What an agent has read and said is shown by the apps above."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from agents import drafts, selectors, services
from agents.enums import AgentStatus
from agents.forms import AgentForm
from agents.models import Agent
from agents.versions import drafted
from tenants.pages import (
    PageRequest,
    admin_page,
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
API_BASE = "/api/v1"


@company_page
def agents(request: PageRequest) -> HttpResponse:
    search, status = query_text(request, "q"), query_text(request, "status")
    is_archived = bool(request.GET.get("archived"))
    rows = selectors.agents_list(search=search, status=status, is_archived=is_archived)
    context = {
        "page_obj": page_of(request, rows, per_page=PER_PAGE),
        "is_filtered": bool(search or status or is_archived),
        "status_choices": AgentStatus.choices,
    }
    return render(request, "agents/list.html", context)


@admin_page
def create(request: PageRequest) -> HttpResponse:
    form = AgentForm(post_data(request), settings=services.default_settings())
    if form.is_valid():
        with errors_in(form):
            agent = services.create_agent(
                actor=principal_of(request.user),
                settings_id=form.settings_id(),
                choices=form.choices(),
                status=form.cleaned_data["status"],
                **form.agent_fields(),
            )
            messages.success(request, f"“{agent.name}” was created.")
            return redirect("agent", pk=agent.pk)
    return _form_page(request, form, None)


@company_page
def edit(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Saving makes a draft; `then=publish` publishes it at once."""
    agent = selectors.get_agent(pk)
    shown = drafted(agent)
    form = AgentForm(post_data(request), settings=shown.llm_settings, agent=shown)
    if form.is_valid():
        with errors_in(form):
            return _save(request, agent, form)
    return _form_page(request, form, agent)


def _save(request: PageRequest, agent: Agent, form: AgentForm) -> HttpResponse:
    actor, status = principal_of(request.user), form.cleaned_data["status"]
    is_published = request.POST.get("then") == "publish"
    with transaction.atomic():
        if status != agent.status:
            services.update_agent(actor=actor, agent=agent, changes={"status": status})
        drafts.save_draft(
            actor=actor,
            agent=agent,
            changes=form.agent_fields(),
            settings_id=form.settings_id(),
            choices=form.choices(),
        )
        if is_published and agent.has_draft:
            drafts.publish_draft(actor=actor, agent=agent)
    if is_published:
        messages.success(request, f"Version {agent.version} is what answers now.")
        return redirect("agent", pk=agent.pk)
    text = "The draft was saved. Visitors are answered as before until you publish it."
    messages.success(request, text if agent.has_draft else "This is what is published: there is no draft.")
    return redirect("agent-edit", pk=agent.pk)


def _form_page(request: PageRequest, form: AgentForm, agent: Agent | None) -> HttpResponse:
    shown = drafted(agent) if agent else None
    context = {
        "agent": agent,
        "shown": shown,  # as the draft makes it
        "form": form,
        "model_catalog": form.model_catalog(),
        "starter_questions": shown.starter_questions if shown else [],
        "api_base": API_BASE,
    }
    return render(request, "agents/form.html", context)


@require_POST
@company_page
def archive(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    agent = selectors.get_agent(pk)
    with errors_as_messages(request):
        services.archive_agent(actor=principal_of(request.user), agent=agent)
        messages.success(request, f"“{agent.name}” was archived.", extra_tags=reverse("agent-restore", args=[pk]))
    return way_back(request, "agents")


@require_POST
@company_page
def restore(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    agent = selectors.get_agent(pk, include_archived=True)
    services.restore_agent(actor=principal_of(request.user), agent=agent)
    messages.success(request, f"“{agent.name}” was restored.")
    return way_back(request, "agents")


@company_page
def embed(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    agent = selectors.get_agent(pk)
    context = {"agent": agent, "tab": "embed", "embed_code": selectors.embed_code(agent)["simple"]}
    return render(request, "agents/detail.html", context)
