"""The dashboard's pages about guardrails: for admins, as what they change is what everybody may be told."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import format_html_join
from django.views.decorators.http import require_POST

from agents.models import Agent
from conversations import guardrails, selectors
from conversations.engine.detectors import PERSONAL, SECRETS
from conversations.engine.guardrails import THRESHOLD, Action, Kind, Stage
from conversations.enums import TopicEmbedder
from conversations.models import Guardrail
from conversations.selectors import DecisionFilter
from conversations.services import MAX_MESSAGE_LENGTH
from documents.models import Dataset
from knowrithm.llm.base import ProviderError
from tenants.models import ApiKey
from tenants.pages import PageRequest, admin_page, as_uuid, errors_in, linked_ids, page_of, post_data, query_text
from tenants.services import principal_of

PER_PAGE = 30
KINDS = {
    Kind.WORDS: "Words and phrases",
    Kind.PATTERN: "Expressions (RE2)",
    Kind.TOPIC: "Topic, by examples",
    Kind.PERSONAL: "Personal data",
    Kind.SECRETS: "Secrets",
}
ACTIONS = {Action.REFUSE: "Refuse", Action.MASK: "Mask", Action.ALLOW: "Allow only these"}
LINES = {
    Kind.WORDS.value: "One word or phrase a line. Whole words are found, in capital or small letters.",
    Kind.PATTERN.value: "One expression a line, in the syntax of RE2, for each line of a text by itself.",
    Kind.TOPIC.value: "One example sentence a line. What is near enough to one of them is of the topic.",
}
FOUND = {
    "email": "E-mail addresses",
    "phone": "Phone numbers",
    "iban": "Bank accounts (IBAN)",
    "card": "Payment cards",
    "national_id": "National identity numbers",
    "api_key": "API keys",
    "private_key": "Private keys",
}
# The field that holds a rule's values, where it is not the lines.
VALUES_IN = {Kind.PERSONAL.value: "personal", Kind.SECRETS.value: "secrets"}
PLACES = {"input": "Questions", "output": "Answers", "both": "Both"}
CHECKS = forms.CheckboxSelectMultiple


class Lines(forms.CharField):
    """A text with one value a line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea({"rows": 3}), **options)

    def clean(self, value: Any) -> list[str]:
        return [line.strip() for line in super().clean(value).splitlines() if line.strip()]

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value


class GuardrailForm(forms.Form):
    name = forms.CharField(max_length=120)
    description = forms.CharField(max_length=1000, required=False, help_text="What it is for.")
    is_active = forms.BooleanField(label="Active", required=False, initial=True)
    applies_to_all = forms.BooleanField(
        label="The whole company", required=False, help_text="All agents and keys, also those that come later."
    )
    agent_ids = forms.ModelMultipleChoiceField(
        label="Agents", queryset=Agent.objects.none(), required=False, widget=CHECKS
    )
    api_key_ids = forms.ModelMultipleChoiceField(
        label="API keys",
        queryset=ApiKey.objects.none(),
        required=False,
        widget=CHECKS,
        help_text="In conversations that the key begins. It then opens no others.",
    )
    is_limited = forms.BooleanField(
        label="Only these datasets", required=False, help_text="Otherwise all that are given to the agent."
    )
    dataset_ids = forms.ModelMultipleChoiceField(
        label="Datasets", queryset=Dataset.objects.none(), required=False, widget=CHECKS
    )
    allows_own_documents = forms.BooleanField(
        label="The agent's own documents", required=False, initial=True, help_text="Those that are in no dataset."
    )
    refusal_text = forms.CharField(
        label="What is said instead",
        max_length=1000,
        required=False,
        widget=forms.Textarea({"rows": 2}),
        help_text="When something is refused. Empty: I cannot help with that here.",
    )
    link_hosts = Lines(
        label="Hosts that answers may link to",
        help_text="One a line, such as docs.example.com or *.example.com, besides those of cited sources.",
    )
    topic_embedder = forms.ChoiceField(
        label="Examples are compared by",
        choices=TopicEmbedder.choices,
        help_text="The built-in model reads English best; the agent's own may cost money.",
    )

    def __init__(self, data: Any = None, *, company_id: uuid.UUID, guardrail: Guardrail | None = None) -> None:
        initial = {name: getattr(guardrail, name) for name in guardrails.FIELDS} if guardrail else {}
        if guardrail:
            initial |= {"is_limited": guardrail.dataset_ids is not None, "dataset_ids": guardrail.dataset_ids or []}
        super().__init__(data, initial=initial)
        fields: Any = self.fields
        fields["agent_ids"].queryset = Agent.objects.live().order_by("name")
        fields["dataset_ids"].queryset = Dataset.objects.live()
        fields["api_key_ids"].queryset = ApiKey.objects.filter(company_id=company_id, revoked_at=None).order_by("name")

    def values(self) -> dict[str, Any]:
        values = {name: self.cleaned_data[name] for name in guardrails.FIELDS if name in self.cleaned_data}
        for name in ("agent_ids", "api_key_ids", "dataset_ids"):
            values[name] = linked_ids(self, name)
        return values if self.cleaned_data["is_limited"] else {**values, "dataset_ids": None}


def _found(label: str, names: Sequence[str]) -> forms.MultipleChoiceField:
    choices = [(name, FOUND[name]) for name in names]
    text = "None of them means all."
    return forms.MultipleChoiceField(label=label, choices=choices, required=False, widget=CHECKS, help_text=text)


class RuleForm(forms.Form):
    """Each kind has its own fields; those of the others do not count. A style sheet shows the ones of the kind."""

    name = forms.CharField(max_length=120, required=False, help_text="As the log calls it. Empty: its kind.")
    kind = forms.ChoiceField(choices=[(kind.value, label) for kind, label in KINDS.items()])
    action = forms.ChoiceField(choices=[(action.value, label) for action, label in ACTIONS.items()])
    on = forms.ChoiceField(label="Looks at", choices=list(PLACES.items()))
    values_ = Lines(
        label="Words, expressions or examples",
        help_text=format_html_join(" ", '<span data-of="{}">{}</span>', LINES.items()),
    )
    personal = _found("Personal data", PERSONAL)
    secrets = _found("Secrets", SECRETS)
    threshold = forms.FloatField(
        min_value=0.01,
        max_value=1,
        required=False,
        initial=THRESHOLD,
        widget=forms.NumberInput({"step": "0.01"}),
        help_text="How near to an example a text must be, from 0 to 1.",
    )
    remove = forms.BooleanField(label="Remove this rule", required=False)

    @staticmethod
    def _is_meant(data: Mapping[str, Any]) -> bool:
        """Whether somebody has filled it in. Personal data and secrets need no values."""
        return bool(data.get("name") or data.get("values_") or data.get("kind") != Kind.WORDS)

    @property
    def can_be_removed(self) -> bool:
        shown = {name: self[name].value() for name in ("name", "values_", "kind")}
        return self._is_meant({**shown, "kind": shown["kind"] or Kind.WORDS})

    def row(self) -> dict[str, Any] | None:
        """The rule as it is stored; None for a form that was left empty or is to go."""
        data = self.cleaned_data
        if data["remove"] or not self._is_meant(data):
            return None
        row = {name: data[name] for name in ("name", "kind", "action", "on", "threshold")}
        row["name"] = row["name"] or KINDS[Kind(row["kind"])]
        return {**row, "values": data[VALUES_IN.get(data["kind"], "values_")]}

    @staticmethod
    def initial_of(row: Mapping[str, Any]) -> dict[str, Any]:
        """The fields' values for a stored rule."""
        return {**row, VALUES_IN.get(row["kind"], "values_"): row["values"]}


RuleForms = forms.formset_factory(RuleForm, extra=0)


class TrialForm(forms.Form):
    text = forms.CharField(max_length=MAX_MESSAGE_LENGTH, widget=forms.Textarea({"rows": 4}), strip=False)
    stage = forms.ChoiceField(
        label="As", choices=[(Stage.INPUT.value, "a question"), (Stage.OUTPUT.value, "an answer")]
    )


@admin_page
def guardrail_list(request: PageRequest) -> HttpResponse:
    page = page_of(request, Guardrail.objects.all(), per_page=PER_PAGE)
    return render(request, "guardrails/list.html", {"page_obj": page})


@admin_page
def create(request: PageRequest) -> HttpResponse:
    return _edit(request, None)


@admin_page
def guardrail(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _edit(request, selectors.get_guardrail(pk))


def _edit(request: PageRequest, found: Guardrail | None) -> HttpResponse:
    """The editor. Its button for one more rule sends the form, and gets it back with that rule and nothing saved."""
    actor = principal_of(request.user)
    data = post_data(request)
    form = GuardrailForm(data, company_id=actor.company_id, guardrail=found)
    if data is not None and "add" in data:
        data = data.copy()
        data["rules-TOTAL_FORMS"] = str(min(_number(data.get("rules-TOTAL_FORMS")) + 1, 50))
        form = GuardrailForm(data, company_id=actor.company_id, guardrail=found)
        rules = RuleForms(data, prefix="rules")
    else:
        stored = found.rules if found else []
        initial = [RuleForm.initial_of(row) for row in stored] or [{}]
        rules = RuleForms(data, prefix="rules", initial=initial)
        if data is not None and form.is_valid() and rules.is_valid():
            rows = [row for one in rules if (row := one.row()) is not None]
            with errors_in(form):
                values = {**form.values(), "rules": rows}
                if found is None:
                    saved = guardrails.create_guardrail(actor=actor, fields=values)
                else:
                    saved = guardrails.update_guardrail(actor=actor, guardrail=found, fields=values)
                _tell_saved(request, saved)
                return redirect("guardrail", pk=saved.pk)
    context = {"form": form, "rules": rules, "guardrail": found, "trial_form": TrialForm()}
    return render(request, "guardrails/form.html", context)


def _tell_saved(request: PageRequest, saved: Guardrail) -> None:
    lacks = []
    if saved.does_nothing:
        lacks.append("It does nothing yet: add a rule, or choose what may be answered from.")
    if saved.holds_nowhere:
        lacks.append("It holds nowhere yet: choose agents, API keys or the whole company.")
    level = messages.WARNING if lacks else messages.SUCCESS
    told = " ".join(lacks) or "It holds from the next question on."
    messages.add_message(request, level, f"“{saved.name}” was saved. {told}")


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 4 else 0


@require_POST
@admin_page
def delete(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_guardrail(pk)
    guardrails.delete_guardrail(actor=principal_of(request.user), guardrail=found)
    messages.success(request, f"“{found.name}” was deleted.")
    return redirect("guardrails")


@require_POST
@admin_page
def trial(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The fragment with what the saved guardrail makes of a text."""
    found = selectors.get_guardrail(pk)
    form = TrialForm(request.POST)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        try:
            context["trial"] = guardrails.try_guardrail(
                guardrail=found, text=form.cleaned_data["text"], stage=Stage(form.cleaned_data["stage"])
            )
        except ProviderError as error:
            form.add_error(None, str(error))
    return render(request, "guardrails/_trial.html", context)


@admin_page
def decisions(request: PageRequest) -> HttpResponse:
    wanted = DecisionFilter(
        guardrail_id=as_uuid(query_text(request, "guardrail")),
        agent_id=as_uuid(query_text(request, "agent")),
        conversation_id=as_uuid(query_text(request, "conversation")),
        stage=query_text(request, "stage"),
        action=query_text(request, "action"),
        search=query_text(request, "q"),
    )
    context = {
        "page_obj": page_of(request, selectors.decisions_list(wanted), per_page=PER_PAGE),
        "is_filtered": wanted != DecisionFilter(),
        "guardrails": Guardrail.objects.all(),
        "agents": Agent.objects.live().order_by("name"),
        "stages": {"input": "Questions", "output": "Answers"},
        "actions": {"refuse": "Refused", "mask": "Masked"},
    }
    return render(request, "guardrails/decisions.html", context)
