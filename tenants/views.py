"""Pages before the dashboard, and the pages about a person's account and keys."""

from __future__ import annotations

import uuid
from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.http import require_POST

from knowrithm.api.permissions import PUBLIC, declare
from knowrithm.api.throttling import check_rate, check_sign_in, client_address
from tenants import services
from tenants.browser import SESSION_KEY
from tenants.forms import ApiKeyForm, EmailChangeForm, LoginForm, PasswordForm, ProfileForm, SignupForm
from tenants.models import Company
from tenants.pages import PageRequest, company_page, errors_as_messages, errors_in, is_our_page, post_data
from tenants.selectors import api_keys_for, offers_single_sign_on, open_sessions, with_waiting_uses
from tenants.sign_in import continue_sign_in, finish_sign_in, keep_signed_in


@declare(PUBLIC)
def landing(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("home")
    return render(request, "tenants/landing.html")


@declare(PUBLIC)
def signup(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("home")
    form = SignupForm(post_data(request))
    if form.is_valid():
        check_rate("register", client_address(request))
        with errors_in(form):
            finish_sign_in(request, services.register_company(**form.cleaned_data), is_new=True)
            return redirect("home")
    return render(request, "tenants/signup.html", {"form": form})


@declare(PUBLIC)
def login(request: HttpRequest) -> HttpResponse:
    wanted = request.POST.get("next") or request.GET.get("next", "")
    next_url = wanted if is_our_page(request, wanted) else ""
    if request.user.is_authenticated:
        return redirect(next_url or "home")
    form = LoginForm(post_data(request))
    if form.is_valid():
        check_sign_in(request, form.cleaned_data["email"])
        with errors_in(form):
            user = services.verify_password(**form.cleaned_data, allows_archived=True)
            return continue_sign_in(request, user, next_url=next_url or resolve_url("home"))
    return render(request, "tenants/login.html", {"form": form, "next": next_url, "has_sso": offers_single_sign_on()})


@company_page
def api_keys(request: PageRequest) -> HttpResponse:
    """The secret of a new key is in the answer to the form and nowhere else: hence no redirect."""
    actor = services.principal_of(request.user)
    company = cast(Company, request.user.company)  # company_page has let nobody else through
    form, created = ApiKeyForm(post_data(request), actor=actor, company=company), None
    if form.is_valid():
        with errors_in(form):
            made = services.create_api_key(actor=actor, **form.cleaned_data)
            form, created = (
                ApiKeyForm(actor=actor, company=company),
                {"api_key": made.row.key, "api_secret": made.secret},
            )
    context = {
        "keys": with_waiting_uses(company.id, api_keys_for(actor)),
        "form": form,
        "created": created,
        "is_admin": actor.is_admin,
    }
    return render(request, "tenants/api_keys.html", context)


@require_POST
@company_page
def revoke_api_key(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    key = services.revoke_api_key(actor=services.principal_of(request.user), api_key_id=pk)
    messages.success(request, f"The key “{key.name}” was revoked.")
    return redirect("api-keys")


@company_page
def account(request: PageRequest) -> HttpResponse:
    sent = request.POST.get("form")
    profile = ProfileForm(request.POST if sent == "profile" else None, user=request.user)
    password = PasswordForm(request.POST if sent == "password" else None)
    address = EmailChangeForm(request.POST if sent == "email" else None)
    if profile.is_valid():
        services.update_profile(
            actor=services.principal_of(request.user), user=request.user, changes=profile.cleaned_data
        )
        messages.success(request, "Your profile was saved.")
        return redirect("account")
    if password.is_valid() and _change_password(request, password):
        return redirect("account")
    if address.is_valid() and _change_email(request, address):
        return redirect("account")
    context = {
        "profile_form": profile,
        "password_form": password,
        "email_form": address,
        "sessions": open_sessions(request.user),
        "this_session": request.session.get(SESSION_KEY),
    }
    return render(request, "tenants/account.html", context)


def _change_password(request: PageRequest, form: PasswordForm) -> bool:
    with errors_in(form):
        services.principal_of(request.user).must_be_oneself()
        check_sign_in(request, request.user.email)
        services.change_password(
            actor=services.principal_of(request.user), user=request.user,
            current=form.cleaned_data["current_password"], new=form.cleaned_data["new_password"],
            keep_session_id=request.session.get(SESSION_KEY),
        )  # fmt: skip
        keep_signed_in(request, request.user)
        messages.success(request, "Your password was changed. You were signed out everywhere else.")
    return form.is_valid()


def _change_email(request: PageRequest, form: EmailChangeForm) -> bool:
    email = form.cleaned_data["email"]
    with errors_in(form):
        check_rate("mail", client_address(request))
        check_sign_in(request, request.user.email)
        services.change_email(actor=services.principal_of(request.user), user=request.user, **form.cleaned_data)
        if request.user.pending_email:
            messages.success(request, f"Open the link that we mail to {email}; then it is your address.")
        else:
            messages.success(request, f"{email} stays your address.")
    return form.is_valid()


@require_POST
@company_page
def revoke_session(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    with errors_as_messages(request):
        services.end_session(actor=services.principal_of(request.user), session_id=pk)
        messages.success(request, "That device was signed out.")
    return redirect("account")


@require_POST
@company_page
def revoke_other_sessions(request: PageRequest) -> HttpResponse:
    services.end_other_sessions(
        actor=services.principal_of(request.user),
        user=request.user,
        keep_session_id=request.session.get(SESSION_KEY),
    )
    messages.success(request, "You were signed out everywhere else.")
    return redirect("account")
