"""The page of one API key: changing and rotating it."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from tenants import services
from tenants.forms import ApiKeyChangeForm, RotationForm
from tenants.models import ApiKey, Company
from tenants.pages import PageRequest, company_page, errors_in, post_data
from tenants.selectors import get_api_key


@company_page
def api_key(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    actor = services.principal_of(request.user)
    key = get_api_key(actor, pk)
    company = cast(Company, request.user.company)  # company_page has let nobody else through
    form = ApiKeyChangeForm(post_data(request), company=company, initial=ApiKeyChangeForm.values_of(key))
    if form.is_valid():
        with errors_in(form):
            services.update_api_key(actor=actor, api_key_id=pk, changes=form.cleaned_data)
            messages.success(request, "The key was changed.")
            return redirect("api-key", pk)
    return _page(request, key, form=form)


@require_POST
@company_page
def rotate(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The new secret is in this answer and nowhere else: hence no redirect."""
    actor = services.principal_of(request.user)
    key, rotation, created = get_api_key(actor, pk), RotationForm(request.POST), None
    if rotation.is_valid():
        with errors_in(rotation):
            made = services.rotate_api_key(actor=actor, api_key_id=pk, **rotation.cleaned_data)
            key, created = made.row, {"api_key": made.row.key, "api_secret": made.secret}
    return _page(request, key, rotation=rotation, created=created)


def _page(request: PageRequest, key: ApiKey, **context: Any) -> HttpResponse:
    company = cast(Company, request.user.company)
    context.setdefault("form", ApiKeyChangeForm(company=company, initial=ApiKeyChangeForm.values_of(key)))
    context.setdefault("rotation", RotationForm())
    is_admin = services.principal_of(request.user).is_admin
    return render(request, "tenants/api_key.html", {"key": key, "is_admin": is_admin, **context})
