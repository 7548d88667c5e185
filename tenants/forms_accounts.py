"""Forms behind mailed links, and the one that invites people."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from tenants.enums import INVITED_ROLES
from tenants.forms import email_field, new_password_field, password_field, person_name_field

INVITED_AT_ONCE = 50


class EmailForm(forms.Form):
    email = email_field()


class ResetForm(forms.Form):
    password = new_password_field("New password")
    password_again = password_field("New password again", autocomplete="new-password")

    def clean_password_again(self) -> str:
        again: str = self.cleaned_data["password_again"]
        if again != self.cleaned_data.get("password", again):
            raise ValidationError("The two passwords differ.")
        return again


class AcceptForm(forms.Form):
    first_name = person_name_field("First name", "given-name")
    last_name = person_name_field("Last name", "family-name")
    password = new_password_field()


class InviteForm(forms.Form):
    emails = forms.CharField(
        label="E-mail addresses",
        max_length=20_000,
        widget=forms.Textarea({"rows": 4, "autocomplete": "off", "spellcheck": "false"}),
        help_text=f"One or several, by line or comma. At most {INVITED_AT_ONCE} at once.",
    )
    role = forms.ChoiceField(
        label="Role",
        choices=INVITED_ROLES,
        initial="user",
        help_text="Admins may also invite people and change the company's settings.",
    )

    def clean_emails(self) -> list[str]:
        addresses = list(
            dict.fromkeys(part.lower() for part in re.split(r"[\s,;]+", self.cleaned_data["emails"]) if part)
        )
        if not addresses:
            raise ValidationError("Give at least one e-mail address.")
        if len(addresses) > INVITED_AT_ONCE:
            raise ValidationError(f"Invite at most {INVITED_AT_ONCE} people at once.")
        wrong = [address for address in addresses if not _is_email(address)]
        if wrong:
            raise ValidationError([f"{address} is no e-mail address." for address in wrong])
        return addresses

    def keep(self, addresses: list[str], faults: list[str]) -> InviteForm:
        """The form again with what could not be invited, and why."""
        data: dict[str, Any] = {"emails": "\n".join(addresses), "role": self.cleaned_data["role"]}
        again = InviteForm(data)
        again.is_valid()
        again.add_error("emails", list(faults))
        return again


def _is_email(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 254
