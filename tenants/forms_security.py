from __future__ import annotations

import re

from django import forms

from knowrithm.principal import Role
from tenants.enums import COMPANY_ROLE_CHOICES


class CodeForm(forms.Form):
    otp = forms.CharField(
        label="Code",
        max_length=40,
        widget=forms.TextInput({"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}),
    )


class DisableForm(forms.Form):
    password = forms.CharField(
        label="Password",
        max_length=200,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
    )
    otp = forms.CharField(
        label="Code",
        max_length=40,
        help_text="Of your authenticator app, or a recovery code.",
        widget=forms.TextInput({"autocomplete": "one-time-code"}),
    )


class CompanySignInForm(forms.Form):
    email = forms.EmailField(label="E-mail address", widget=forms.EmailInput({"autocomplete": "email"}))


class PolicyForm(forms.Form):
    is_required = forms.BooleanField(
        label="Everybody needs two-factor sign-in",
        required=False,
        help_text="Who has not set it up can do nothing else first. Apps signed in as them are signed out at once.",
    )


class SingleSignOnForm(forms.Form):
    issuer = forms.URLField(
        label="Issuer",
        max_length=200,
        assume_scheme="https",
        help_text="As the provider states it, such as https://login.example.com.",
    )
    client_id = forms.CharField(label="Client id", max_length=300)
    client_secret = forms.CharField(
        label="Client secret",
        max_length=500,
        required=False,
        widget=forms.PasswordInput({"autocomplete": "off"}),
        help_text="Stored encrypted and never shown again. Empty keeps the stored one.",
    )
    email_domains = forms.CharField(
        label="E-mail domains",
        max_length=2000,
        help_text="Whose people sign in here, such as example.com. You need a confirmed address at each of them.",
    )
    default_role = forms.ChoiceField(label="Role of new people", choices=COMPANY_ROLE_CHOICES, initial=Role.USER)
    is_enabled = forms.BooleanField(label="Single sign-on is on", required=False)
    creates_users = forms.BooleanField(
        label="Create an account at a person's first sign-in",
        required=False,
        help_text="Otherwise an admin creates the account before.",
    )
    confirms_addresses = forms.BooleanField(
        label="The provider confirms all addresses of these domains",
        required=False,
        help_text="Needed for Entra ID, which does not say of each address whether it is confirmed. Switch it on only "
        "if your provider's admins alone give out addresses of these domains.",
    )
    requires_sso = forms.BooleanField(
        label="People can no longer use a password",
        required=False,
        help_text="Admins still can, so that a broken provider does not lock you out.",
    )

    def clean_email_domains(self) -> list[str]:
        return [part for part in re.split(r"[,;\s]+", self.cleaned_data["email_domains"]) if part]
