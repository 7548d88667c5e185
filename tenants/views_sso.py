"""Signing in through a company's own provider, and the page where its admins configure how people sign in."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from csp.decorators import csp_update
from django.conf import settings
from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from knowrithm.api.permissions import PUBLIC, declare
from knowrithm.api.throttling import check_rate, client_address
from knowrithm.errors import ServiceError
from tenants import services
from tenants.forms_security import CompanySignInForm, PolicyForm, SingleSignOnForm
from tenants.pages import PageRequest, admin_page, errors_as_messages, errors_in, is_our_page, post_data
from tenants.selectors import single_sign_on_for
from tenants.sign_in import finish_sign_in

PENDING = "pending_sso"
# Browsers apply form-action to where a form is redirected too, and this one leads to the company's provider.
PROVIDERS = ["https:"] if settings.SECURE else ["https:", "http:"]


@declare(PUBLIC)
@never_cache
@csp_update({"form-action": PROVIDERS})
def sso_login(request: HttpRequest) -> HttpResponse:
    wanted = request.POST.get("next") or request.GET.get("next", "")
    next_url = wanted if is_our_page(request, wanted) else ""
    if request.user.is_authenticated:
        return redirect(next_url or "home")
    form = CompanySignInForm(post_data(request))
    if form.is_valid():
        with errors_in(form):
            check_rate("login", client_address(request))
            begun = services.begin_single_sign_on(email=form.cleaned_data["email"])
            if begun is not None:
                url, pending = begun
                request.session[PENDING] = {"flow": asdict(pending), "next": next_url}
                return redirect(url)
            form.add_error("email", "There is no company sign-in for this address. Log in with your password.")
    return render(request, "tenants/sso_login.html", {"form": form, "next": next_url})


@declare(PUBLIC)
@never_cache
def sso_callback(request: HttpRequest) -> HttpResponse:
    """Where the provider sends the browser back to. What the session kept is good for one answer."""
    kept = request.session.pop(PENDING, None)
    try:
        check_rate("login", client_address(request))
        user = services.finish_single_sign_on(
            pending=services.PendingSignOn(**kept["flow"]) if kept else None, answer=request.GET.dict()
        )
    except ServiceError as error:
        context = {"form": CompanySignInForm(), "problem": str(error)}
        return render(request, "tenants/sso_login.html", context, status=error.status)
    finish_sign_in(request, user, by_sso=True)
    return redirect((kept or {}).get("next") or "home")


@admin_page
def security(request: PageRequest) -> HttpResponse:
    """How a company's people sign in."""
    actor = services.principal_of(request.user)
    company = request.user.company
    assert company is not None  # noqa: S101  # admin_page
    row = single_sign_on_for(actor)
    sent = request.POST.get("form")
    if sent in ("test", "remove"):
        with errors_as_messages(request):
            if sent == "test":
                check_rate("login", client_address(request))
                messages.success(request, services.check_single_sign_on(actor=actor))
            else:
                services.remove_single_sign_on(actor=actor)
                messages.success(request, "Single sign-on was removed.")
        return redirect("security")
    policy = PolicyForm(
        request.POST if sent == "policy" else None, initial={"is_required": company.requires_two_factor}
    )
    sso = SingleSignOnForm(request.POST if sent == "sso" else None, initial=_initial(row, company.requires_sso))
    if policy.is_valid():
        with errors_as_messages(request):
            services.set_two_factor_requirement(actor=actor, **policy.cleaned_data)
            messages.success(request, "Saved.")
        return redirect("security")
    if sso.is_valid() and _save(request, sso):
        return redirect("security")
    context = {
        "tab": "security",
        "policy_form": policy,
        "sso_form": sso,
        "sso": row,
        "redirect_uri": services.redirect_uri(),
    }
    return render(request, "tenants/security.html", context)


def _save(request: PageRequest, form: Form) -> bool:
    with errors_in(form):
        services.save_single_sign_on(actor=services.principal_of(request.user), **form.cleaned_data)
        messages.success(request, "Single sign-on was saved. Test it before you tell your people.")
    return form.is_valid()


def _initial(row: Any, requires_sso: bool) -> dict[str, Any]:
    if row is None:
        return {}
    names = ("issuer", "client_id", "default_role", "is_enabled", "creates_users", "confirms_addresses")
    domains = ", ".join(row.email_domains.values_list("domain", flat=True))
    return {**{name: getattr(row, name) for name in names}, "email_domains": domains, "requires_sso": requires_sso}
