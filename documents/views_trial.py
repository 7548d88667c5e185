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
from documents.enums import DocumentType
from documents.retrieval import Filters, RetrievalSettings
from documents.selectors import datasets_of, get_reranker_of, latest_documents_of
from documents.services import metadata_filter_of_text
from documents.trial import try_search
from documents.views_reranking import reranker_form
from knowrithm.api.throttling import check_rate
from knowrithm.errors import InvalidInputError
from tenants.pages import PageRequest, company_page, errors_in
from tenants.services import principal_of

NAMES = ("top_k", "dense_weight", "threshold")
FILTERS = ("tags", "metadata", "document_type", "dataset", "document")
DOCUMENTS = 200  # that can be chosen from
CALIBRATED = {"builtin", "huggingface"}  # they offer the one model that the usual threshold was found with


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
    tags = forms.CharField(
        max_length=2000, required=False, help_text="Only in documents that have all of these, with commas."
    )
    metadata = forms.CharField(
        max_length=30_000,
        required=False,
        widget=forms.Textarea({"rows": 2, "placeholder": "team: sales"}),
        help_text="Only in documents that have all of these: a name, a colon and a value, one pair a line.",
    )
    document_type = forms.ChoiceField(
        label="Type", required=False, choices=[("", "Documents of every type"), *DocumentType.choices]
    )
    dataset = forms.ChoiceField(required=False)
    document = forms.ChoiceField(required=False, help_text=f"The latest {DOCUMENTS} can be chosen.")

    def __init__(self, agent: Agent, data: Any = None, *, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        datasets = datasets_of(agent.pk)
        documents = latest_documents_of(agent.pk, datasets, DOCUMENTS)
        for name, rows, every in (
            ("dataset", datasets, "All its documents"),
            ("document", documents, "Every document"),
        ):
            self.fields[name].choices = [("", every), *((str(row.pk), row.name) for row in rows)]  # type: ignore[attr-defined]  # declared above

    def clean_metadata(self) -> dict[str, Any]:
        try:
            return metadata_filter_of_text(self.cleaned_data["metadata"])
        except InvalidInputError as error:
            raise forms.ValidationError(str(error)) from error

    @property
    def is_filtered(self) -> bool:
        return self.is_bound and any(self.data.get(name) for name in FILTERS)

    def filters(self) -> Filters:
        data = self.cleaned_data
        return Filters(
            metadata=data["metadata"],
            tags=[tag.strip() for tag in data["tags"].split(",") if tag.strip()],
            document_types=[data["document_type"]] if data["document_type"] else (),
            dataset_ids=[uuid.UUID(data["dataset"])] if data["dataset"] else (),
            document_ids=[uuid.UUID(data["document"])] if data["document"] else (),
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
        "is_calibrated": agent.llm_settings.embedding_provider.protocol in CALIBRATED,
        "reranker": get_reranker_of(pk),
        "rerank_form": reranker_form(pk),
    }
    if request.method == "POST":
        settings = SettingsForm(request.POST)
        if settings.is_valid():
            return _save(request, agent, settings)
        form = TrialForm(agent, request.POST)
    elif request.GET.get("query"):  # a link may hold a question alone
        form = TrialForm(agent, {**values, **request.GET.dict()})
        if form.is_valid():
            with errors_in(form):
                check_rate("search", str(request.user.pk))
                context["trial"] = try_search(
                    agent=agent,
                    question=form.cleaned_data["query"],
                    previous=form.cleaned_data["previous"],
                    settings=form.settings(),
                    filters=form.filters(),
                )
    else:
        form = TrialForm(agent, initial=values)
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
