"""The page where admins invite people."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from knowrithm.api.throttling import check_rate
from knowrithm.errors import ServiceError
from knowrithm.principal import Principal
from tenants import services
from tenants.forms_accounts import InviteForm
from tenants.pages import PageRequest, company_page, errors_as_messages, page_of, post_data
from tenants.selectors import invitations_of


def _admin(request: PageRequest) -> Principal:
    actor = services.principal_of(request.user)
    if not actor.is_admin:
        raise PermissionDenied
    return actor


@company_page
def invitations(request: PageRequest) -> HttpResponse:
    actor = _admin(request)
    form = InviteForm(post_data(request))
    if form.is_valid():
        sent, refused, faults = 0, [], []
        for email in form.cleaned_data["emails"]:
            try:
                check_rate("invitation", str(actor.company_id))
                services.invite_user(actor=actor, email=email, role=form.cleaned_data["role"])
                sent += 1
            except ServiceError as error:
                refused.append(email)
                faults.append(str(error) if email in str(error) else f"{email}: {error}")
        if sent:
            messages.success(
                request, "The invitation is on its way." if sent == 1 else f"{sent} invitations are on their way."
            )
        if not refused:
            return redirect("invitations")
        form = form.keep(refused, faults)
    page = page_of(request, invitations_of(actor), per_page=20)
    return render(request, "tenants/invitations.html", {"page_obj": page, "form": form})


@require_POST
@company_page
def resend(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    actor = _admin(request)
    with errors_as_messages(request):
        check_rate("invitation", str(actor.company_id))
        sent = services.resend_invitation(actor=actor, invitation_id=pk)
        messages.success(request, f"The invitation of {sent.email} is on its way again.")
    return redirect("invitations")


@require_POST
@company_page
def revoke(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    with errors_as_messages(request):
        revoked = services.revoke_invitation(actor=_admin(request), invitation_id=pk)
        messages.success(request, f"The invitation of {revoked.email} was revoked.")
    return redirect("invitations")
