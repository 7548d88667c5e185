"""The dashboard's page on which an agent's widget is designed, and the empty page that shows it."""

from __future__ import annotations

import uuid
from typing import Any

from csp.constants import SELF
from csp.decorators import csp_replace, csp_update
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.clickjacking import xframe_options_sameorigin

from agents import selectors, services
from agents.enums import AgentStatus
from agents.forms_widget import WidgetForm
from agents.models import Agent
from agents.widget_settings import public_widget_settings
from tenants.pages import PageRequest, company_page, errors_in, post_data
from tenants.services import principal_of

SHOWN = {"status": AgentStatus.ACTIVE}  # the preview shows what visitors of an agent that is not active do not see
WIDGET_SRC, WIDGET_API = "/api/widget.js", "/api"  # of this server, whatever name it is reached by


@csp_update({"frame-src": [SELF]})  # type: ignore[arg-type]  # its types know no views with arguments
@company_page
def design(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What is saved takes effect at once. The preview follows the form as it is filled in."""
    agent = selectors.get_agent(pk)
    form = WidgetForm(post_data(request), agent=agent, fields=selectors.lead_fields())
    if form.is_valid():
        with errors_in(form):
            services.update_agent(
                actor=principal_of(request.user), agent=agent, changes=form.agent_fields(), note="The widget's texts."
            )
            messages.success(request, "Saved. Visitors see it when they load a page anew.")
            return redirect("agent-widget", pk=pk)
    code = selectors.embed_code(agent)["simple"]
    return render(request, "agents/widget.html", {"agent": agent, "tab": "widget", "form": form, "embed_code": code})


@xframe_options_sameorigin
@csp_replace({"frame-ancestors": [SELF]})  # type: ignore[arg-type]  # as above
@company_page
def preview(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The widget as it is saved, or as the form of the designer would save it, which the query string then holds."""
    agent = selectors.get_agent(pk)
    context = {"agent": agent, "widget_src": WIDGET_SRC, "api_url": WIDGET_API}
    if "color" in request.GET:
        context["config"] = _unsaved(request, agent)
    elif agent.status != AgentStatus.ACTIVE:
        context["config"] = {"agent": SHOWN}
    return render(request, "agents/widget_preview.html", context)


def _unsaved(request: PageRequest, agent: Agent) -> dict[str, Any]:
    """`AIChatWidget` for the preview. A field with a fault is left out."""
    fields = selectors.lead_fields()
    form = WidgetForm(request.GET, agent=agent, fields=fields)
    form.is_valid()
    asked = form.widget().get("custom_fields", {})
    texts = {
        name: form.cleaned_data[name] for name in ("welcome_text", "starter_questions") if name in form.cleaned_data
    }
    return {
        "agent": {
            **texts,
            **SHOWN,
            "widget": public_widget_settings(form.widget(), [field for field in fields if field.key in asked]),
        },
        "autoOpen": request.GET.get("open") == "1",
        "persistSession": False,
    }
