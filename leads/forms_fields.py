"""The forms about a company's own fields: of one such field, and of what leads have in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from agents.enums import FieldKind
from agents.models import LeadField
from leads.csv_rows import OWN
from leads.field_values import LONGEST_TEXT, FieldValueError, text_of, value_of_text
from leads.services.fields import LONGEST_OPTION, MOST_OPTIONS

EMPTY = ("", "Not said")
INPUTS = {
    FieldKind.TEXT: {"type": "text", "dir": "auto"},
    FieldKind.NUMBER: {"type": "number", "step": "any"},
    FieldKind.DATE: {"type": "date"},
}


class ValueField(forms.CharField):
    """What a lead has in one of the fields: `cleaned_data` has it as it is stored, None for nothing."""

    def __init__(self, field: LeadField, *, is_required: bool, empty: tuple[str, str] = EMPTY) -> None:
        options: list[str] = ["Yes", "No"] if field.kind == FieldKind.BOOLEAN else field.options
        if field.kind in INPUTS:
            widget: forms.Widget = forms.TextInput(INPUTS[FieldKind(field.kind)])
        else:
            widget = forms.Select(choices=[empty, *((option, option) for option in options)])
        super().__init__(
            label=field.name, help_text=field.description, required=is_required, widget=widget, max_length=LONGEST_TEXT
        )
        self.lead_field = field

    def clean(self, value: Any) -> Any:
        try:
            return value_of_text(self.lead_field, super().clean(value))
        except FieldValueError as error:
            raise forms.ValidationError(str(error)) from None

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else text_of(value)


def value_fields(fields: Sequence[LeadField]) -> dict[str, forms.Field]:
    """By the names that a service's refusal gives them."""
    return {OWN + field.key: ValueField(field, is_required=field.is_required) for field in fields}


def value_initials(values: Mapping[str, Any]) -> dict[str, Any]:
    return {OWN + key: value for key, value in values.items()}


def values_in(cleaned: dict[str, Any]) -> dict[str, Any]:
    """Takes them out of a form's data: the values by their keys."""
    names = [name for name in cleaned if name.startswith(OWN)]
    return {name.removeprefix(OWN): cleaned.pop(name) for name in names}


class FilterForm(forms.Form):
    """`custom_fields[key]=value` of a list's query string. What makes no sense narrows nothing."""

    def __init__(self, data: Any, fields: Sequence[LeadField]) -> None:
        super().__init__(data)
        for field in fields:
            name = f"custom_fields[{field.key}]"
            self.fields[name] = ValueField(field, is_required=False, empty=("", "Any"))
            self.fields[name].help_text = ""
        self.is_valid()
        self.values = {
            name[len("custom_fields[") : -1]: value for name, value in self.cleaned_data.items() if value is not None
        }


class LeadFieldForm(forms.Form):
    """One field. Without `field` a new one; once leads have values (`is_used`), its key and type stay."""

    name = forms.CharField(max_length=80)
    type = forms.ChoiceField(choices=FieldKind.choices)
    key = forms.CharField(
        max_length=40, required=False, help_text="By which the API and CSV files name it. Empty: made from the name."
    )
    description = forms.CharField(
        max_length=200, required=False, help_text="Shown below the field in forms, also to visitors."
    )
    is_required = forms.BooleanField(
        required=False, label="Required", help_text="In the form of a lead here. The widget has its own choice."
    )
    more = forms.CharField(
        required=False,
        max_length=20_000,
        label="Options",
        widget=forms.Textarea({"rows": 4, "dir": "auto"}),
        help_text=f"Of a choice, one a line, at most {MOST_OPTIONS}.",
    )

    def __init__(self, data: Any = None, *, field: LeadField | None = None, is_used: bool = False) -> None:
        initial: dict[str, Any] = {}
        if field is not None:
            names = ("name", "key", "description", "is_required")
            initial = {"type": field.kind, **{name: getattr(field, name) for name in names}}
        super().__init__(data, initial=initial)
        self.known: list[str] = field.options if field is not None else []
        for place, option in enumerate(self.known):
            self.fields[f"option-{place}"] = forms.CharField(
                label=f"Option {place + 1}",
                required=False,
                max_length=LONGEST_OPTION,
                initial=option,
                widget=forms.TextInput({"dir": "auto"}),
            )
        if self.known:
            self.fields["more"].label = "More options"
            self.fields["more"].help_text = "One a line."
        if is_used:
            for name in ("type", "key"):
                self.fields[name].disabled = True
            self.fields["type"].help_text = "Stays, as leads have values. Archive this field to replace it."
            self.fields["key"].help_text = "Stays, as leads have values."

    def known_options(self) -> list[forms.BoundField]:
        return [self[f"option-{place}"] for place in range(len(self.known))]

    def values(self) -> dict[str, Any]:
        """What the services take."""
        data = self.cleaned_data
        values = {name: data[name] for name in ("name", "key", "description", "is_required")}
        if data["type"] != FieldKind.CHOICE:
            return {**values, "kind": data["type"], "options": []}
        options = [*(text for text in self._texts().values() if text), *data["more"].splitlines()]
        return {**values, "kind": data["type"], "options": options}

    def renamed(self) -> dict[str, str]:
        """New texts of options by the old ones; one that was emptied goes."""
        return {old: new for old, new in self._texts().items() if new and new != old}

    def _texts(self) -> dict[str, str]:
        return {old: " ".join(self.cleaned_data[f"option-{place}"].split()) for place, old in enumerate(self.known)}
