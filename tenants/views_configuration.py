"""The dashboard's page of the configuration, for a company's admins."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from tenants import services
from tenants.models import SystemConfig
from tenants.pages import PageRequest, admin_page, as_uuid, errors_in, page_of, post_data, query_text
from tenants.selectors import config_for
from tenants.services.configuration import KEY, KEY_RULE

PER_PAGE = 50


class EntryForm(forms.Form):
    config_key = forms.RegexField(
        KEY, label="Key", max_length=100, error_messages={"invalid": KEY_RULE},
        widget=forms.TextInput({"spellcheck": "false", "autocomplete": "off"}),
    )  # fmt: skip
    config_value = forms.CharField(
        label="Value",
        widget=forms.Textarea({"rows": 4, "spellcheck": "false"}),
        help_text="A number, true or false, a text, or JSON.",
    )
    description = forms.CharField(label="Description", max_length=500, required=False)
    is_sensitive = forms.BooleanField(
        label="Sensitive",
        required=False,
        help_text="Only super admins see the value again. It stays hidden here, and in the API.",
    )

    def clean_config_value(self) -> Any:
        """What is no JSON that can be stored and shown is a text as it stands."""
        text: str = self.cleaned_data["config_value"]
        try:
            value = json.loads(text, parse_constant=_refuse)
            json.dumps(value, ensure_ascii=False).encode()  # halves of characters are no text
        except (ValueError, RecursionError):
            return text
        return text if "\\u0000" in text else value


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are no JSON


@admin_page
def configuration(request: PageRequest) -> HttpResponse:
    """`?change=` names the entry that the form begins with."""
    actor = services.principal_of(request.user)
    rows = config_for(actor).order_by("config_key", "company")
    wanted = as_uuid(query_text(request, "change"))
    chosen = rows.filter(pk=wanted, company=actor.company_id).first() if wanted else None
    form = EntryForm(post_data(request), initial=_initial(chosen) if chosen else None)
    if form.is_valid():
        with errors_in(form):
            services.set_config(actor=actor, **form.cleaned_data)
            messages.success(request, f"“{form.cleaned_data['config_key']}” was saved.")
            return redirect("configuration")
    page_obj = page_of(request, rows, per_page=PER_PAGE)
    context = {
        "tab": "configuration",
        "page_obj": page_obj,
        "entries": [(entry, "" if entry.is_sensitive else _as_text(entry.config_value)) for entry in page_obj],
        "form": form,
        "is_change": chosen is not None,
    }
    return render(request, "tenants/configuration.html", context)


def _initial(entry: SystemConfig) -> dict[str, Any]:
    return {
        "config_key": entry.config_key,
        "config_value": "" if entry.is_sensitive else _as_text(entry.config_value),
        "description": entry.description,
        "is_sensitive": entry.is_sensitive,
    }


def _as_text(value: Any) -> str:
    """As the form takes it: a text that looks like other JSON in its quotes."""
    if isinstance(value, str) and not _looks_like_json(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _looks_like_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


@require_POST
@admin_page
def remove(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    key = services.remove_config(actor=services.principal_of(request.user), config_id=pk)
    messages.success(request, f"“{key}” was removed.")
    return redirect("configuration")
