"""Public pages that mailed links open. A GET changes nothing: mail scanners follow links."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_POST

from knowrithm.api.permissions import PUBLIC, declare
from knowrithm.api.throttling import check_mail, check_rate, client_address
from tenants import services
from tenants.exceptions import InvalidLinkError
from tenants.forms_accounts import AcceptForm, EmailForm, ResetForm
from tenants.models import User
from tenants.pages import errors_as_messages, errors_in, post_data, query_text, way_back
from tenants.sign_in import finish_sign_in


def link_page(view: Callable[[HttpRequest, str], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A page whose address holds a token: not kept by any cache, not told to other sites."""

    @declare(PUBLIC)
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        token = request.POST.get("token", "") if request.method == "POST" else query_text(request, "token")
        response = view(request, token[:200])
        add_never_cache_headers(response)
        response["Referrer-Policy"] = "same-origin"  # and not "no-referrer": then browsers send no Origin with forms
        return response

    return guarded


@link_page
def verify_email(request: HttpRequest, token: str) -> HttpResponse:
    is_over = not token
    if request.method == "POST" and token:
        with errors_as_messages(request):
            check_rate("login", client_address(request))
            try:
                services.verify_email(token=token)
            except InvalidLinkError:
                is_over = True
            else:
                messages.success(request, "Your e-mail address is confirmed.")
                return redirect("home" if request.user.is_authenticated else "login")
    return render(request, "tenants/verify_email.html", {"token": token, "is_over": is_over, "form": EmailForm()})


@declare(PUBLIC)
@require_POST
def send_verification(request: HttpRequest) -> HttpResponse:
    """To the signed-in person's own address, or to one that a stranger typed. It says the same to all strangers."""
    own = request.user.email if isinstance(request.user, User) else ""
    form = EmailForm({"email": own} if own else request.POST)
    if not form.is_valid():
        return render(request, "tenants/verify_email.html", {"is_over": True, "form": form})
    email = form.cleaned_data["email"]
    with errors_as_messages(request):
        _count_mail(request, email)
        services.request_verification(email=email)
        messages.success(
            request,
            f"A mail is on its way to {own}."
            if own
            else "If this address waits to be confirmed, a mail is on its way.",
        )
    return way_back(request, "home") if own else redirect("login")


@declare(PUBLIC)
def forgot_password(request: HttpRequest) -> HttpResponse:
    """The answer to a known address and to an unknown one is the same."""
    form, is_sent = EmailForm(post_data(request)), False
    if form.is_valid():
        email = form.cleaned_data["email"]
        with errors_in(form):
            _count_mail(request, email)
            services.request_password_reset(email=email)
            is_sent = True
    return render(request, "tenants/password_forgot.html", {"form": form, "is_sent": is_sent})


def _count_mail(request: HttpRequest, email: str) -> None:
    check_rate("mail", client_address(request))
    check_mail(email)


@link_page
def reset_password(request: HttpRequest, token: str) -> HttpResponse:
    form = ResetForm(post_data(request))
    try:
        user = services.person_of_reset_link(token=token)
        if form.is_valid():
            with errors_in(form):
                check_rate("login", client_address(request))
                services.reset_password(token=token, password=form.cleaned_data["password"])
            if form.is_valid():
                messages.success(request, "Your password was changed. Log in with the new one.")
                return redirect("login")
    except InvalidLinkError:
        return render(request, "tenants/password_reset.html", {"is_over": True})
    return render(request, "tenants/password_reset.html", {"form": form, "token": token, "person": user})


@link_page
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    form = AcceptForm(post_data(request))
    try:
        invited = services.invitation_of_link(token=token)
        if form.is_valid():
            with errors_in(form):
                check_rate("login", client_address(request))
                finish_sign_in(request, services.accept_invitation(token=token, **form.cleaned_data), is_new=True)
                return redirect("home")
    except InvalidLinkError:
        return render(request, "tenants/invitation.html", {"is_over": True})
    return render(request, "tenants/invitation.html", {"form": form, "token": token, "invitation": invited})
