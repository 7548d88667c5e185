from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.html import format_html

from knowrithm.principal import Principal, Resource, Role, Scope
from tenants import ocr_languages
from tenants.models import ApiKey, Company, User
from tenants.passwords import MAX_LENGTH, RULES
from tenants.time_zones import zone_choices

SCOPE_LABELS = {
    Scope.READ: "Read: see agents, documents and conversations",
    Scope.WRITE: "Write: create, change and archive, and chat",
    Scope.UPDATE: "Update: change what is there",
    Scope.DELETE: "Delete: archive and delete",
    Scope.ADMIN: "Admin: people and model settings too",
    Scope.FULL_ACCESS: "Full access: everything the company may do",
}
LIFETIMES = [("", "Never"), (30, "In 30 days"), (90, "In 90 days"), (180, "In 180 days"), (365, "In a year")]

OVERLAPS = [(0, "No longer: it stops at once"), (1, "An hour"), (24, "A day"), (72, "Three days"), (168, "A week")]


def email_field() -> forms.EmailField:
    return forms.EmailField(label="E-mail address", widget=forms.EmailInput({"autocomplete": "email"}))


def password_field(label: str, *, autocomplete: str, help_text: str = "") -> forms.CharField:
    widget = forms.PasswordInput({"autocomplete": autocomplete})
    return forms.CharField(label=label, max_length=MAX_LENGTH, strip=False, widget=widget, help_text=help_text)


def new_password_field(label: str = "Password") -> forms.CharField:
    return password_field(label, autocomplete="new-password", help_text=RULES)


def person_name_field(label: str, autocomplete: str) -> forms.CharField:
    return forms.CharField(label=label, max_length=100, widget=forms.TextInput({"autocomplete": autocomplete}))


class LoginForm(forms.Form):
    email = email_field()
    password = password_field("Password", autocomplete="current-password")


class SignupForm(forms.Form):
    company_name = forms.CharField(
        label="Company", max_length=200, widget=forms.TextInput({"autocomplete": "organization", "autofocus": True})
    )
    first_name = person_name_field("First name", "given-name")
    last_name = person_name_field("Last name", "family-name")
    email = email_field()
    password = new_password_field()
    accepts_terms = forms.BooleanField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if settings.TERMS_URL:
            link = '<a href="{}" target="_blank" rel="noopener">terms of use</a>'
            self.fields["accepts_terms"].label = format_html("I accept the " + link, settings.TERMS_URL)
        else:
            del self.fields["accepts_terms"]  # there is nothing to accept


class NamesForm(forms.Form):
    first_name = person_name_field("First name", "off")
    last_name = person_name_field("Last name", "off")


class EmailChangeForm(forms.Form):
    email = forms.EmailField(
        label="New e-mail address",
        max_length=254,
        widget=forms.EmailInput({"autocomplete": "email"}),
        help_text="A link to confirm it is mailed there. Until you open it your present address stays.",
    )
    password = password_field("Current password", autocomplete="current-password")


class NewPersonForm(forms.Form):
    first_name = person_name_field("First name", "off")
    last_name = person_name_field("Last name", "off")
    email = forms.EmailField(label="E-mail address", widget=forms.EmailInput({"autocomplete": "off"}))
    username = forms.CharField(label="User name", min_length=3, max_length=50)
    role = forms.ChoiceField(
        label="Role", choices=[(role.value, role.value.capitalize()) for role in (Role.USER, Role.ADMIN)]
    )
    password = password_field(
        "First password", autocomplete="new-password", help_text=f"{RULES} Tell it to the person in a safe way."
    )


class ApiKeyChangeForm(forms.Form):
    """What of a key can be changed later. `permissions` is `{}` unless `is_narrowed`, as the service takes it."""

    name = forms.CharField(label="Name", max_length=100, help_text="What will use it.")
    allowed_networks = forms.CharField(
        label="Allowed addresses",
        required=False,
        max_length=4000,
        widget=forms.Textarea({"rows": 3, "spellcheck": "false"}),
        help_text="One address or network a line, such as 203.0.113.7 or 2001:db8::/32. Empty means any.",
    )
    rate_limit_per_hour = forms.IntegerField(label="Calls an hour", min_value=1)
    rate_limit_per_day = forms.IntegerField(label="Calls a day", min_value=1)
    is_narrowed = forms.BooleanField(
        label="Only for parts of the API",
        required=False,
        help_text="What is not ticked below is closed to the key, whatever its scopes say.",
    )
    permissions = forms.MultipleChoiceField(
        label="Parts of the API",
        required=False,
        choices=[(f"{part}:{scope}", f"{part}: {scope}") for part in Resource for scope in Scope],
    )

    def __init__(self, data: Any = None, *, company: Company, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        for name, most in zip(("rate_limit_per_hour", "rate_limit_per_day"), company.api_key_maximum, strict=True):
            field = self.fields[name]
            field.help_text = f"At most {most:,}."
            field.initial = min(getattr(ApiKey(), name), most)

    def clean_allowed_networks(self) -> list[str]:
        text: str = self.cleaned_data["allowed_networks"]
        return text.replace(",", " ").split()

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = self.cleaned_data
        ticked, rights = values.get("permissions", []), dict[str, list[str]]()
        if values.pop("is_narrowed"):
            for part, _, scope in (value.partition(":") for value in ticked):
                rights.setdefault(part, []).append(scope)
            if not rights:
                self.add_error("permissions", "Tick what the key may do, or let it do all that its scopes allow.")
        return {**values, "permissions": rights}

    def grid(self) -> list[tuple[str, list[tuple[str, str, bool]]]]:
        """Of each part of the API its scopes: name, value and whether it is ticked."""
        ticked = set(self["permissions"].value() or ())
        return [
            (part, [(one.replace("_", " "), value := f"{part}:{one}", value in ticked) for one in Scope])
            for part in Resource
        ]

    @staticmethod
    def values_of(key: ApiKey) -> dict[str, Any]:
        names = ("name", "rate_limit_per_hour", "rate_limit_per_day")
        return {
            **{name: getattr(key, name) for name in names},
            "allowed_networks": "\n".join(key.allowed_networks),
            "is_narrowed": bool(key.permissions),
            "permissions": [f"{part}:{scope}" for part, scopes in key.narrowed_to for scope in scopes],
        }


class ApiKeyForm(ApiKeyChangeForm):
    scopes = forms.MultipleChoiceField(label="Scopes", widget=forms.CheckboxSelectMultiple)
    expires_in_days = forms.TypedChoiceField(
        label="Expires", choices=LIFETIMES, coerce=int, empty_value=None, required=False
    )

    field_order = ("name", "scopes", "expires_in_days")

    def __init__(self, data: Any = None, *, actor: Principal, company: Company) -> None:
        super().__init__(data, company=company, initial={"scopes": [Scope.READ, Scope.WRITE]})
        for name in ("rate_limit_per_hour", "rate_limit_per_day"):
            self.fields[name].required = False  # the usual limit
        offered = [(scope.value, text) for scope, text in SCOPE_LABELS.items() if actor.is_admin or actor.has(scope)]
        self.fields["scopes"].choices = offered  # type: ignore[attr-defined]  # a MultipleChoiceField, declared above


class RotationForm(forms.Form):
    overlap_hours = forms.TypedChoiceField(
        label="The old secret works for", choices=OVERLAPS, coerce=int, initial=24,
        help_text="Put the new secret into your software meanwhile.",
    )  # fmt: skip


class CompanyForm(forms.Form):
    name = forms.CharField(label="Name", max_length=200, widget=forms.TextInput({"autocomplete": "organization"}))
    email = forms.EmailField(label="E-mail address", max_length=254)
    phone = forms.CharField(
        label="Phone", max_length=40, required=False, widget=forms.TextInput({"type": "tel", "autocomplete": "tel"})
    )
    website = forms.URLField(label="Website", max_length=200, required=False, assume_scheme="https")
    industry = forms.CharField(label="Industry", max_length=100, required=False)
    ocr_languages = forms.MultipleChoiceField(
        label="Languages of scanned pages",
        widget=forms.CheckboxSelectMultiple,
        help_text="Text recognition tries all of them, so choose only those that your scans are in. "
        "A language that is missing here has to be installed by the operator of this server. "
        "Documents that have been read already stay as they are.",
    )
    logo = forms.FileField(
        label="Logo",
        required=False,
        allow_empty_file=True,  # refused where every other bad picture is
        widget=forms.FileInput({"accept": "image/png,image/jpeg,image/webp,image/gif"}),
        help_text="A PNG, JPEG, WebP or GIF picture of at most 2 MB and 4096 pixels a side.",
    )
    remove_logo = forms.BooleanField(label="Remove the logo", required=False)

    def __init__(self, data: Any = None, files: Any = None, *, company: Company) -> None:
        own = ("name", "email", "phone", "website", "industry", "ocr_languages")
        super().__init__(data, files, initial={name: getattr(company, name) for name in own})
        offered = dict.fromkeys((*company.ocr_languages, *ocr_languages.installed()))
        self.fields["ocr_languages"].choices = [(name, ocr_languages.label(name)) for name in offered]  # type: ignore[attr-defined]  # a MultipleChoiceField
        if not company.logo:
            del self.fields["remove_logo"]

    def changes(self) -> dict[str, Any]:
        """What `tenants.services.update_company` takes. A new picture wins over the wish to have none."""
        changes = dict(self.cleaned_data)
        removes = changes.pop("remove_logo", False)
        picture = changes.pop("logo")
        if picture is not None or removes:
            changes["logo"] = picture if picture is not None else ""
        return changes


class ProfileForm(forms.Form):
    first_name = person_name_field("First name", "given-name")
    last_name = person_name_field("Last name", "family-name")
    timezone = forms.ChoiceField(label="Time zone", help_text="The dates and times of your pages are in it.")

    def __init__(self, data: Any = None, *, user: User) -> None:
        super().__init__(data, initial={name: getattr(user, name) for name in self.base_fields})
        self.fields["timezone"].choices = zone_choices()  # type: ignore[attr-defined]  # as above


class PasswordForm(forms.Form):
    current_password = password_field("Current password", autocomplete="current-password")
    new_password = new_password_field("New password")
    new_password_again = password_field("New password again", autocomplete="new-password")

    def clean_new_password_again(self) -> str:
        again: str = self.cleaned_data["new_password_again"]
        if again != self.cleaned_data.get("new_password", again):
            raise ValidationError("The two new passwords differ.")
        return again
