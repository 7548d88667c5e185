"""The company's own settings, its end, and its logo. Further settings stand beside them in the same frame."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from knowrithm.api.permissions import PUBLIC, declare
from tenants import services
from tenants.browser import archived_admin
from tenants.forms import CompanyForm
from tenants.logo import read_logo
from tenants.models import RESTORE_PERIOD, Company, User
from tenants.pages import PageRequest, admin_page, errors_as_messages, errors_in

A_YEAR = 365 * 24 * 3600


@admin_page
def company(request: PageRequest) -> HttpResponse:
    own = _company_of(request.user)
    data: Any = (request.POST, request.FILES) if request.method == "POST" else ()
    form = CompanyForm(*data, company=own)
    if form.is_valid():
        with errors_in(form):
            services.update_company(actor=services.principal_of(request.user), company=own, changes=form.changes())
            messages.success(request, "The changes were saved.")
            return redirect("company")
    context = {"tab": "company", "form": form, "company": own, "restore_days": RESTORE_PERIOD.days}
    return render(request, "tenants/company.html", context)


@require_POST
@admin_page
def archive(request: PageRequest) -> HttpResponse:
    services.archive_company(actor=services.principal_of(request.user), company=_company_of(request.user))
    return redirect("company-archived")


@declare(PUBLIC)
def archived(request: HttpRequest) -> HttpResponse:
    """The one page of an archived company, for its admins."""
    user = archived_admin(request)
    if user is None:
        return redirect("home")
    own = _company_of(user)
    if request.method == "POST":
        with errors_as_messages(request):
            services.restore_company(actor=services.principal_of(user), company=own)
            messages.success(request, f"“{own.name}” was restored.")
            return redirect("home")
    response = render(request, "tenants/company_archived.html", {"company": own, "person": user})
    response["Cache-Control"] = "no-store"
    return response


@declare(PUBLIC)
@require_safe
def logo(request: HttpRequest, company_id: uuid.UUID, digest: str) -> HttpResponse:
    """Public: it stands on the widget and on pages of others. Its address changes with the picture."""
    found = Company.objects.filter(pk=company_id, logo_digest=digest).exclude(logo_digest="").first()
    content = read_logo(found) if found is not None and found.is_usable else None
    if content is None:
        raise Http404("There is no such logo.")
    response = HttpResponse(content, content_type="image/png")
    response["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _company_of(user: User) -> Company:
    assert user.company is not None  # noqa: S101  # `admin_page` and `archived_admin` have seen to it
    return user.company
