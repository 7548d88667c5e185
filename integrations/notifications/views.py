"""The dashboard's pages about notifications, and the one by which a mail is the last of its kind."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from django_tenants.utils import tenant_context

from integrations.notifications import services
from integrations.notifications.enums import Kind
from integrations.notifications.links import Subscription, read_link
from integrations.notifications.selectors import get_notification, notifications_of, wishes_of
from knowrithm.api.permissions import PUBLIC, declare
from tenants.models import Company
from tenants.pages import PageRequest, company_page, page_of, way_back
from tenants.services import principal_of

PER_PAGE = 30


@company_page
def notification_list(request: PageRequest) -> HttpResponse:
    actor = principal_of(request.user)
    context = {
        "page_obj": page_of(request, notifications_of(actor), per_page=PER_PAGE),
        "wishes": wishes_of(actor.id),
    }
    return render(request, "notifications/list.html", context)


@require_POST
@company_page
def open_notification(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """It is read now, and its page is shown."""
    actor = principal_of(request.user)
    found = get_notification(actor, pk)
    services.mark_read(actor=actor, notification_id=pk)
    return redirect(found.path)


@require_POST
@company_page
def read_all(request: PageRequest) -> HttpResponse:
    services.mark_read(actor=principal_of(request.user))
    return way_back(request, "notifications")


@require_POST
@company_page
def preferences(request: PageRequest) -> HttpResponse:
    wishes = {kind: (f"{kind}-in_app" in request.POST, f"{kind}-mail" in request.POST) for kind in Kind}
    services.set_preferences(actor=principal_of(request.user), wishes=wishes)
    messages.success(request, "Saved.")
    return redirect("notifications")


@csrf_exempt  # a mail program sends it in one click (RFC 8058), without a page of ours before; the link is the proof
@declare(PUBLIC)
def unsubscribe(request: HttpRequest) -> HttpResponse:
    """GET asks, as programs that look into mails open links; POST does it."""
    token = request.GET.get("token", "")
    link = read_link(token)
    company = Company.objects.filter(schema_name=link.schema).first() if link else None
    if link is None or company is None or not company.is_usable:
        return render(request, "notifications/unsubscribe.html", {"is_gone": True}, status=404)
    if request.method == "POST":
        _unsubscribe(company, link)
    context = {"kind": link.kind.label, "is_done": request.method == "POST", "token": token}
    return render(request, "notifications/unsubscribe.html", context)


def _unsubscribe(company: Company, link: Subscription) -> None:
    with tenant_context(company):
        services.unsubscribe(user_id=link.user_id, kind=link.kind)
