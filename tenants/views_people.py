"""The dashboard's pages about the company's people, for its admins; and the end of acting as one of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from knowrithm.api.permissions import SIGNED_IN, declare
from knowrithm.principal import Role
from tenants import services
from tenants.browser import stop_acting
from tenants.enums import UserStatus
from tenants.forms import NamesForm, NewPersonForm
from tenants.models import User
from tenants.pages import (
    PageRequest,
    admin_page,
    errors_as_messages,
    errors_in,
    page_of,
    post_data,
    query_text,
    way_back,
)
from tenants.selectors import get_person, matching_people, open_sessions, people_for, provider_identity_of

PER_PAGE = 25
ROLES = [(role.value, role.value.capitalize()) for role in (Role.USER, Role.ADMIN)]


@admin_page
def people(request: PageRequest) -> HttpResponse:
    actor, form = services.principal_of(request.user), NewPersonForm(post_data(request))
    if form.is_valid():
        with errors_in(form):
            made = services.create_user(actor=actor, **form.cleaned_data)
            messages.success(request, f"{made} can sign in now.")
            return redirect("people")
    filters = _filters(request)
    rows = matching_people(people_for(actor), {**filters, "sort_by": "created_at"})
    context = {
        "page_obj": page_of(request, rows, per_page=PER_PAGE),
        "form": form,
        "roles": ROLES,
        "status_choices": [(status, status.label.capitalize()) for status in UserStatus],
        "is_filtered": bool(filters),
    }
    return render(request, "tenants/people.html", context)


def _filters(request: HttpRequest) -> dict[str, Any]:
    """What of the query string means something; the rest is as if it were not there."""
    filters: dict[str, Any] = {}
    if search := query_text(request, "q"):
        filters["search"] = search
    if (status := query_text(request, "status")) in UserStatus.values:
        filters["status"] = status
    if (role := query_text(request, "role")) in dict(ROLES):
        filters["role"] = role
    for name, parameter in (("locked", "locked"), ("only_deleted", "archived")):
        if request.GET.get(parameter):
            filters[name] = True
    return filters


@admin_page
def person(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    actor = services.principal_of(request.user)
    found = get_person(actor, pk)
    names = NamesForm(post_data(request), initial={"first_name": found.first_name, "last_name": found.last_name})
    if names.is_valid():
        with errors_in(names):
            changed = services.update_user(actor=actor, user_id=pk, changes=names.cleaned_data)
            messages.success(request, f"The name is {changed} now.")
            return redirect("person", pk)
    keys = found.api_keys.filter(revoked_at=None)
    context = {
        "person": found,
        "names_form": names,
        "sessions": open_sessions(found),
        "keys": keys,
        "roles": ROLES,
        "identity": provider_identity_of(found),
    }
    return render(request, "tenants/person.html", context)


@require_POST
@admin_page
def change_status(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    actor, status = services.principal_of(request.user), request.POST.get("status", "")
    get_person(actor, pk)
    if status in {UserStatus.ACTIVE, UserStatus.SUSPENDED}:
        with errors_as_messages(request):
            changed = services.change_user_status(actor=actor, user_id=pk, status=status, reason=_reason(request))
            messages.success(request, _told(changed))
    return way_back(request, "people")


def _told(changed: User) -> str:
    if changed.is_active:
        return f"{changed} can sign in again."
    return f"{changed} is suspended: signed out everywhere, and their API keys are refused."


@require_POST
@admin_page
def archive(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    actor = services.principal_of(request.user)
    get_person(actor, pk)
    with errors_as_messages(request):
        archived = services.archive_user(actor=actor, user_id=pk, reason=_reason(request))
        messages.success(request, f"{archived} is archived and signed out everywhere.")
    return way_back(request, "people")


@require_POST
@admin_page
def change_role(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    actor, role = services.principal_of(request.user), request.POST.get("role", "")
    get_person(actor, pk)
    if role in dict(ROLES):
        with errors_as_messages(request):
            changed = services.change_user_role(actor=actor, user_id=pk, role=role, reason=_reason(request))
            messages.success(request, f"{changed} has the role {changed.role} now.")
    return way_back(request, "people")


@require_POST
@admin_page
def unlock(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, services.unlock_user, "is unlocked.")


@require_POST
@admin_page
def force_password_reset(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, services.force_password_reset, "is signed out and gets a mail to choose a new password.")


@require_POST
@admin_page
def reset_two_factor(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = get_person(services.principal_of(request.user), pk)
    with errors_as_messages(request):
        services.reset_two_factor(actor=services.principal_of(request.user), user_id=found.pk)
        messages.success(request, f"{found} is signed out and has no second factor any more.")
    return way_back(request, "people")


@require_POST
@admin_page
def unlink(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = get_person(services.principal_of(request.user), pk)
    with errors_as_messages(request):
        services.unlink_single_sign_on(actor=services.principal_of(request.user), user_id=found.pk)
        messages.success(request, f"{found} is linked anew at the next sign-in through your provider.")
    return way_back(request, "people")


def _act(request: PageRequest, pk: uuid.UUID, service: Callable[..., User], told: str) -> HttpResponse:
    actor = services.principal_of(request.user)
    found = get_person(actor, pk)
    with errors_as_messages(request):
        service(actor=actor, user=found)
        messages.success(request, f"{found} {told}")
    return way_back(request, "people")


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").replace("\0", "").strip()[:300]


@declare(SIGNED_IN)
@require_POST
def stop(request: HttpRequest) -> HttpResponse:
    """The super admin is back in the admin, at the person as whom they acted."""
    ended = stop_acting(request)
    if ended is None:
        return redirect("home")
    messages.success(request, f"You act as {ended.user.email} no more.")
    return redirect(reverse("admin:tenants_user_change", args=[ended.user_id]))
