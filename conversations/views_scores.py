"""The dashboard's page on which an admin says how leads are scored, and sees what that would change."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from conversations.scores import try_choices
from conversations.views_guardrails import Lines
from knowrithm.api.throttling import check_rate
from knowrithm.errors import ServiceError
from leads import selectors, services
from leads.learning import LEAST
from leads.models import ScoreRules
from leads.score_rules import FULL, RULES, TOTAL, Choices, Rule
from tenants.pages import PageRequest, admin_page, errors_in, post_data
from tenants.services import principal_of

POINTS = forms.NumberInput({"min": 0, "max": FULL, "inputmode": "numeric"})
WEIGHT = forms.NumberInput({"class": "input input-weight", "inputmode": "numeric"})


class WeightsForm(forms.Form):
    is_learning = forms.BooleanField(
        required=False,
        label="Learn from won and lost leads",
        help_text=f"Once a day, from {LEAST} of each on. Points that you have set yourself stay as they are.",
    )

    def __init__(self, data: Any, rules: ScoreRules) -> None:
        super().__init__(data, initial={"is_learning": rules.is_learning})
        for name in RULES:
            self.fields[name] = forms.IntegerField(
                min_value=0, max_value=TOTAL, initial=rules.choices.weight(name), label="Weight", widget=WEIGHT
            )

    def changes(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {"is_learning": data["is_learning"], "weights": {name: data[name] for name in RULES}}


class RuleForm(forms.Form):
    is_on = forms.BooleanField(required=False)
    points = forms.IntegerField(min_value=0, max_value=FULL, required=False, label="Points", widget=POINTS)
    words = Lines(label="Own words and phrases", help_text="One a line, in any language.", max_length=6000)

    def __init__(self, data: Any, rule: Rule, rules: ScoreRules) -> None:
        choices = rules.choices
        choice = choices.choice(rule)
        initial = {"is_on": choice.is_on, "points": choice.points, "words": list(choice.words)}
        super().__init__(data, prefix=rule.id, initial=initial)
        self.rule, self.count = rule, len(choice.words)
        self.learned = rules.learned.get(rule.id) if rules.is_learning else None
        self.fields["is_on"].label = rule.text
        without = choices.learned.get(rule.id, rule.points)
        self.fields["points"].widget.attrs["placeholder"] = str(without)
        self.fields["points"].help_text = f"Empty: {without}, {'as learned' if self.learned else 'as it comes'}."
        if rule.is_fact:
            del self.fields["words"]

    def row(self) -> dict[str, Any]:
        return {"words": [], **self.cleaned_data}


def _forms(data: Any, rules: ScoreRules) -> tuple[WeightsForm, list[tuple[str, Any, list[RuleForm]]]]:
    weights = WeightsForm(data, rules)
    parts = [
        (name.capitalize(), weights[name], [RuleForm(data, rule, rules) for rule in of_part])
        for name, of_part in RULES.items()
    ]
    return weights, parts


def _changes(weights: WeightsForm, parts: list[tuple[str, Any, list[RuleForm]]]) -> dict[str, Any] | None:
    """What the forms ask for; None when one of them is faulty."""
    every = [form for _, _, of_part in parts for form in of_part]
    if not all([weights.is_valid(), *(form.is_valid() for form in every)]):
        return None
    return {**weights.changes(), "rules": {form.rule.id: form.row() for form in every}}


@admin_page
def rules(request: PageRequest) -> HttpResponse:
    """Through htmx only how far the scoring of the leads is."""
    found = selectors.score_rules()
    if request.htmx:
        return render(request, "leads/_scoring.html", _state(found))
    weights, parts = _forms(post_data(request), found)
    if request.method == "POST" and (changes := _changes(weights, parts)) is not None:
        with errors_in(weights):
            saved = services.change_score_rules(actor=principal_of(request.user), changes=changes)
            is_new = saved.revision != found.revision
            messages.success(request, "The rules were saved." if is_new else "Nothing has changed.")
            return redirect("lead-score-rules")
    context = {
        "rules": found,
        "form": weights,
        "parts": parts,
        **_state(found),
        "view": "scores",
        "full": FULL,
    }
    return render(request, "leads/score_rules.html", context)


def _state(rules: ScoreRules) -> dict[str, Any]:
    """How far the worker is; nothing once it is through. Leads that have come since have their score soon."""
    return {"state": selectors.scoring_state(rules)} if selectors.open_task(rules) else {}


@require_POST
@admin_page
def preview(request: PageRequest) -> HttpResponse:
    """The fragment with what the rules in the form would change; nothing is stored."""
    found = selectors.score_rules()
    weights, parts = _forms(request.POST, found)
    context: dict[str, Any] = {"form": weights}
    if (changes := _changes(weights, parts)) is None:
        context["fault"] = "Mend the fields of the form first: points are from 0 to 25, weights from 0 to 100."
    else:
        try:
            check_rate("search", str(request.user.pk))
            wanted: Choices = services.changed_choices(found, changes)
            context["trial"] = try_choices(found.choices, wanted)
        except ServiceError as error:
            context["fault"] = str(error)
    return render(request, "leads/_score_preview.html", context)


@require_POST
@admin_page
def restore(request: PageRequest) -> HttpResponse:
    services.restore_score_rules(actor=principal_of(request.user))
    messages.success(request, "The rules are as they come again.")
    return redirect("lead-score-rules")
