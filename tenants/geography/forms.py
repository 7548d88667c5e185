from __future__ import annotations

import uuid
from typing import Any

from django import forms

from tenants.geography.selectors import countries, states_of


def _line(label: str, limit: int, autocomplete: str, **options: Any) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=limit, widget=forms.TextInput({"autocomplete": autocomplete}), **options
    )


class AddressForm(forms.Form):
    """`state` offers those of the chosen country; where none came with the installation, `state_name` asks for it."""

    street_address = _line("Street and number", 255, "street-address")
    country = forms.TypedChoiceField(label="Country", coerce=int)
    state = forms.TypedChoiceField(label="State or region", coerce=int, empty_value=None)
    state_name = _line("State or region", 100, "address-level1")
    city = _line("City", 100, "address-level2")
    postal_code = _line("Postal code", 20, "postal-code", required=False)
    is_primary = forms.BooleanField(label="This is the company's primary address", required=False)

    def __init__(self, data: Any = None, *, company_id: uuid.UUID, country: str = "", is_first: bool = False) -> None:
        super().__init__(data, initial={"country": country, "is_primary": is_first})
        rows = countries(company_id)
        self._offer("country", rows.values_list("pk", "name"), "Choose a country")
        chosen = next((row for row in rows if str(row.pk) == str(self["country"].value())), None)
        states = list(states_of(chosen, company_id)) if chosen else []
        if chosen is not None and all(state.company_id for state in states):
            del self.fields["state"]
        else:
            del self.fields["state_name"]
            choices = [(state.pk, state.name) for state in states]
            self._offer("state", choices, "Choose a state" if chosen else "Choose the country first")

    def _offer(self, name: str, choices: Any, empty: str) -> None:
        self.fields[name].choices = [("", empty), *choices]  # type: ignore[attr-defined]  # a choice field, as declared

    @property
    def state_field(self) -> forms.BoundField:
        return self["state" if "state" in self.fields else "state_name"]

    def address(self) -> dict[str, Any]:
        """What `tenants.geography.services.add_address` takes."""
        data = self.cleaned_data
        return {
            "street_address": data["street_address"],
            "country_id": data["country"],
            "state_id": data.get("state"),
            "state_name": data.get("state_name", ""),
            "city_name": data["city"],
            "postal_code": data["postal_code"],
            "is_primary": data["is_primary"],
        }
