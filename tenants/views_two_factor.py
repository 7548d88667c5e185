"""The second step of signing in, and the page where a person sets it up."""

from __future__ import annotations

import uuid

import segno
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from knowrithm.api.permissions import ONESELF, PUBLIC, declare
from knowrithm.api.throttling import check_rate, check_sign_in, client_address
from tenants import services
from tenants.browser import SESSION_KEY
from tenants.forms_security import CodeForm, DisableForm
from tenants.models import User
from tenants.pages import check_page, errors_as_messages, errors_in, post_data
from tenants.selectors import two_factor_begun
from tenants.sign_in import PENDING, finish_sign_in, keep_signed_in, pending_user


@declare(PUBLIC)
@never_cache
def login_code(request: HttpRequest) -> HttpResponse:
    user = pending_user(request)
    if user is None:
        return redirect("login")
    form = CodeForm(post_data(request))
    if form.is_valid():
        with errors_in(form):
            check_rate("login", client_address(request))
            services.verify_second_factor(user=user, otp=form.cleaned_data["otp"])
            next_url = request.session[PENDING]["next"]
            finish_sign_in(request, user)
            return redirect(next_url)
    return render(request, "tenants/login_code.html", {"form": form, "email": user.email})


@declare(ONESELF)
@never_cache
@login_required
def two_factor(request: HttpRequest) -> HttpResponse:
    """For everybody who is signed in, super admins and people kept out of all other pages too."""
    assert isinstance(request.user, User)  # noqa: S101  # login_required
    check_page(ONESELF, request.user)
    here = request.session.get(SESSION_KEY)
    actor = services.principal_of(request.user, session_id=uuid.UUID(here) if here else None)
    sent = request.POST.get("form")
    if sent == "begin":
        with errors_as_messages(request):
            services.begin_two_factor(actor=actor)
        return redirect("two-factor")
    confirm, renew = (
        CodeForm(request.POST if sent == name else None, auto_id=f"id_{name}_%s") for name in ("confirm", "renew")
    )
    disable = DisableForm(request.POST if sent == "disable" else None)
    if not request.user.has_usable_password():  # came through single sign-on and never had one
        del disable.fields["password"]
    codes: list[str] = []
    if confirm.is_valid():
        with errors_in(confirm):
            codes = services.confirm_two_factor(actor=actor, **confirm.cleaned_data)
            keep_signed_in(request, request.user)
    if renew.is_valid():
        with errors_in(renew):
            codes = services.renew_recovery_codes(actor=actor, **renew.cleaned_data)
    if disable.is_valid() and _disable(request, disable):
        return redirect("two-factor")
    forms = {"confirm_form": confirm, "renew_form": renew, "disable_form": disable}
    return render(request, "tenants/two_factor.html", {**_state(request.user), **forms, "codes": codes})


def _disable(request: HttpRequest, form: Form) -> bool:
    assert isinstance(request.user, User)  # noqa: S101
    with errors_in(form):
        check_sign_in(request, request.user.email)
        data = {"password": "", **form.cleaned_data}
        services.disable_two_factor(actor=services.principal_of(request.user), **data)
        keep_signed_in(request, request.user)
        messages.success(request, "Two-factor sign-in is off.")
    return form.is_valid()


def _state(user: User) -> dict[str, object]:
    begun = None if user.two_factor_enabled else two_factor_begun(user)
    set_up = services.set_up_of(user, begun) if begun else None
    # Attributes only, no style: the pages' policy forbids it. White below it, also in the dark.
    picture = segno.make(set_up.address, error="m").svg_inline(omitsize=True, light="#fff") if set_up else ""
    return {
        "set_up": set_up,
        "qr_code": picture,
        "is_required": user.company is None or user.company.requires_two_factor,
        "codes_left": services.recovery_codes_left(user),
        "way_on": "admin:index" if user.company is None else "account",
    }
