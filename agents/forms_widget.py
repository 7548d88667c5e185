from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from agents.enums import Ask, AskedField, FieldKind, Placement, WidgetTheme
from agents.forms import MOST_STARTERS, starter_questions_of
from agents.languages import LANGUAGES
from agents.models import Agent, LeadField
from agents.widget_settings import COLOR, LENGTHS, MOST_ANSWERS, clean_domains, widget_settings
from knowrithm.errors import InvalidInputError

ANY_LANGUAGE = ("", "By page or visitor")
OPTIONS = (
    "color", "position", "theme", "language", "title", "button_text", "ask", "ask_after", "consent_text",
    "consent_version", "marketing_text",
)  # fmt: skip
ASKED = ("first_name", "last_name", "phone")
ASKED_BOX = [(value, label) for value, label in AskedField.choices if value != AskedField.REQUIRED]  # may stay unticked


class WidgetForm(forms.Form):
    """How an agent's widget looks, what it says and asks, and where it may be shown."""

    color = forms.RegexField(
        COLOR, label="Colour", widget=forms.TextInput({"type": "color"}), help_text="Of the button and the messages."
    )
    position = forms.ChoiceField(choices=Placement.choices)
    theme = forms.ChoiceField(choices=WidgetTheme.choices)
    language = forms.ChoiceField(choices=[ANY_LANGUAGE, *LANGUAGES.items()], required=False)
    title = forms.CharField(required=False, max_length=LENGTHS["title"], help_text="Empty means the agent's name.")
    button_text = forms.CharField(
        label="Text on the button", required=False, max_length=LENGTHS["button_text"], help_text="Empty means a sign."
    )
    welcome_text = forms.CharField(label="Welcome", required=False, max_length=500)
    starter_questions = forms.CharField(
        required=False,
        widget=forms.Textarea({"rows": 3}),
        help_text=f"One in a line, at most {MOST_STARTERS}. Visitors ask them with one press.",
    )
    ask = forms.ChoiceField(label="Ask visitors who they are", choices=Ask.choices, widget=forms.RadioSelect)
    ask_after = forms.IntegerField(
        label="After how many answers", min_value=1, max_value=MOST_ANSWERS, help_text="A visitor may decline."
    )
    first_name = forms.ChoiceField(choices=AskedField.choices)
    last_name = forms.ChoiceField(choices=AskedField.choices)
    phone = forms.ChoiceField(choices=AskedField.choices)
    consent_text = forms.CharField(
        label="What visitors agree to",
        required=False,
        max_length=LENGTHS["consent_text"],
        widget=forms.Textarea({"rows": 2}),
        help_text="Empty means a sentence in the visitor's language.",
    )
    consent_version = forms.CharField(
        label="Version of these texts",
        required=False,
        max_length=LENGTHS["consent_version"],
        help_text="Kept with each consent, also to marketing. Empty means one that changes with the texts.",
    )
    marketing_text = forms.CharField(
        label="Consent to marketing",
        required=False,
        max_length=LENGTHS["marketing_text"],
        help_text="A second box, which need not be ticked. Empty means none.",
    )
    allowed_domains = forms.CharField(
        required=False,
        widget=forms.Textarea({"rows": 3, "placeholder": "example.com"}),
        help_text="One in a line, such as example.com, or *.example.com for all below it. Empty means every site.",
    )

    def __init__(self, data: Any = None, *, agent: Agent, fields: Sequence[LeadField]) -> None:
        """`fields`: those that the company has defined for its leads."""
        stored = widget_settings(agent.widget)
        asked = stored["custom_fields"]
        super().__init__(
            data,
            initial={
                **{name: stored[name] for name in OPTIONS},
                **{name: stored["fields"][name] for name in ASKED},
                **{_name(field): asked.get(field.key, AskedField.HIDDEN) for field in fields},
                "welcome_text": agent.welcome_text,
                "starter_questions": "\n".join(map(str, agent.starter_questions)),
                "allowed_domains": "\n".join(agent.allowed_domains),
            },
        )
        self.lead_fields = fields
        # Of archived fields the choice stays, for when they come back.
        self.others = {key: value for key, value in asked.items() if key not in {field.key for field in fields}}
        for field in fields:
            choices = ASKED_BOX if field.kind == FieldKind.BOOLEAN else AskedField.choices
            self.fields[_name(field)] = forms.ChoiceField(label=field.name, choices=choices, required=False)

    def own_fields(self) -> list[forms.BoundField]:
        return [self[_name(field)] for field in self.lead_fields]

    def clean_starter_questions(self) -> list[str]:
        return starter_questions_of(self.cleaned_data["starter_questions"])

    def clean_allowed_domains(self) -> list[str]:
        try:
            return clean_domains(self.cleaned_data["allowed_domains"].splitlines())
        except InvalidInputError as error:
            raise forms.ValidationError(str(error)) from None

    def widget(self) -> dict[str, Any]:
        """The agent's `widget`; of a form with faults what is right."""
        data = self.cleaned_data
        fields = {name: data[name] for name in ASKED if name in data}
        chosen = {field.key: data.get(_name(field)) for field in self.lead_fields}
        asked = self.others | {key: value for key, value in chosen.items() if value and value != AskedField.HIDDEN}
        options = {name: data[name] for name in OPTIONS if name in data}
        return {**options, "fields": fields, **({"custom_fields": asked} if asked else {})}

    def agent_fields(self) -> dict[str, Any]:
        """What `update_agent` takes."""
        names = ("welcome_text", "starter_questions", "allowed_domains")
        return {"widget": self.widget(), **{name: self.cleaned_data[name] for name in names}}


def _name(field: LeadField) -> str:
    """Of a form's field; a key may be that of another one."""
    return f"custom-{field.key}"
