"""The page on which an agent's retrieval is tried and tuned."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from agents.drafts import save_draft
from agents.models import MOST_PASSAGES, Agent
from agents.selectors import get_agent
from agents.versions import drafted
from documents.retrieval import RetrievalSettings
from documents.selectors import get_reranker_of
from documents.trial import try_search
from documents.views_reranking import reranker_form
from knowrithm.api.throttling import check_rate
from tenants.pages import PageRequest, company_page, errors_in
from tenants.services import principal_of

NAMES = ("top_k", "dense_weight", "threshold")


class SettingsForm(forms.Form):
    top_k = forms.IntegerField(
        label="Passages", min_value=1, max_value=MOST_PASSAGES, help_text="How many the model answers from."
    )
    dense_weight = forms.FloatField(
        label="Meaning",
        min_value=0,
        max_value=1,
        widget=forms.NumberInput({"step": "0.05"}),
        help_text="Its share of the score, from 0 to 1. The rest is that of words.",
    )
    threshold = forms.FloatField(
        label="Evidence needed",
        min_value=0,
        max_value=1,
        widget=forms.NumberInput({"step": "0.01"}),
        help_text="From 0 to 1. Below it the agent says that it does not know.",
    )

    def settings(self) -> RetrievalSettings:
        return RetrievalSettings(**{name: self.cleaned_data[name] for name in NAMES})


class TrialForm(SettingsForm):
    query = forms.CharField(
        label="Question", max_length=4000, widget=forms.TextInput({"placeholder": "As a visitor asks"})
    )
    previous = forms.CharField(
        label="The question before it",
        max_length=4000,
        required=False,
        help_text="When the question above follows on another one, such as: And in winter?",
    )


@company_page
def trial(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """GET tries, POST saves."""
    agent = drafted(get_agent(pk))
    own = RetrievalSettings.of(agent)
    values = {name: getattr(own, name) for name in NAMES}
    context: dict[str, Any] = {
        "agent": agent,
        "tab": "retrieval",
        "usual": RetrievalSettings(),
        "reranker": get_reranker_of(pk),
        "rerank_form": reranker_form(pk),
    }
    if request.method == "POST":
        settings = SettingsForm(request.POST)
        if settings.is_valid():
            return _save(request, agent, settings)
        form = TrialForm(request.POST)
    elif request.GET.get("query"):  # a link may hold a question alone
        form = TrialForm({**values, **request.GET.dict()})
        if form.is_valid():
            with errors_in(form):
                check_rate("search", str(request.user.pk))
                context["trial"] = try_search(
                    agent=agent,
                    question=form.cleaned_data["query"],
                    previous=form.cleaned_data["previous"],
                    settings=form.settings(),
                )
    else:
        form = TrialForm(initial=values)
    return render(request, "agents/retrieval.html", {**context, "form": form})


def _save(request: PageRequest, agent: Agent, form: SettingsForm) -> HttpResponse:
    """What is the platform's own value is not written down, so that a better one will reach the agent."""
    usual, chosen = RetrievalSettings(), form.settings()
    changes = {
        f"retrieval_{name}": None if getattr(chosen, name) == getattr(usual, name) else getattr(chosen, name)
        for name in NAMES
    }
    save_draft(actor=principal_of(request.user), agent=get_agent(agent.pk), changes=changes)
    messages.success(request, "Saved in the draft. Publish it, and the agent searches like this.")
    return redirect("agent-retrieval", pk=agent.pk)
