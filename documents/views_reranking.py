"""The card on the page of an agent's retrieval that names its reranker."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from agents.selectors import get_agent
from documents import services
from documents.enums import RerankProvider
from documents.models import AgentReranker
from documents.selectors import get_reranker_of
from tenants.pages import PageRequest, admin_page, errors_as_messages
from tenants.services import principal_of

SHOWN = ("provider", "model", "base_url", "passages")


class RerankerForm(forms.Form):
    provider = forms.ChoiceField(choices=RerankProvider.choices)
    model = forms.CharField(
        max_length=120, required=False, help_text="Such as rerank-v3.5. text-embeddings-inference has only one."
    )
    base_url = forms.CharField(
        label="Address",
        max_length=500,
        required=False,
        help_text="Of your own server, without the path. Cohere and Jina have their own.",
    )
    api_key = forms.CharField(
        label="API key",
        max_length=500,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Empty keeps the one that is stored, while provider and address stay.",
    )
    passages = forms.IntegerField(
        label="Passages read", min_value=2, max_value=100, help_text="So many of the best are put in order anew."
    )


def reranker_form(agent_id: uuid.UUID) -> RerankerForm:
    reranker = get_reranker_of(agent_id) or AgentReranker(provider=RerankProvider.COHERE)
    initial: dict[str, Any] = {name: getattr(reranker, name) for name in SHOWN}
    return RerankerForm(initial=initial, prefix="rerank")


@require_POST
@admin_page
def save(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    agent = get_agent(pk)
    form = RerankerForm(request.POST, prefix="rerank")
    if form.is_valid():
        with errors_as_messages(request):
            services.set_reranker(actor=principal_of(request.user), agent=agent, choices=form.cleaned_data)
            messages.success(request, "The best passages are put in order anew from now on.")
    else:
        for name, errors in form.errors.items():
            messages.error(request, f"{form.fields[name].label or name.capitalize()}: {errors[0]}")
    return redirect("agent-retrieval", pk=pk)


@require_POST
@admin_page
def remove(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    with errors_as_messages(request):
        services.remove_reranker(actor=principal_of(request.user), agent=get_agent(pk))
        messages.success(request, "Passages keep the order of the search from now on.")
    return redirect("agent-retrieval", pk=pk)
