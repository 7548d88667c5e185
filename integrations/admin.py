"""What super admins see of a company's webhooks in Django admin: the rows of a company's schema, to read."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django_tenants.utils import tenant_context

from integrations.models import Webhook, WebhookDelivery
from tenants.models import Company, User

PER_PAGE = 50
PARTS = {"webhooks": "Webhooks", "deliveries": "Deliveries"}
HEADERS = {
    "webhooks": ["Name", "Address", "State", "Events", "Failures", "Failing since", "Last delivered"],
    "deliveries": ["Webhook", "Event", "Status", "Attempts", "Code", "Cause", "Made", "Ended"],
}


def webhooks_of_company(request: HttpRequest, company_id: uuid.UUID) -> HttpResponse:
    """Nothing can be changed here, and neither secrets nor payloads are shown."""
    if not (isinstance(request.user, User) and request.user.is_superuser):
        raise Http404
    company = Company.objects.filter(pk=company_id, is_ready=True).first()
    if company is None:
        raise Http404("There is no such company.")
    part = request.GET.get("part", "webhooks")
    part = part if part in PARTS else "webhooks"
    with tenant_context(company):
        page = Paginator(_rows(part), PER_PAGE).get_page(request.GET.get("page"))
        rows = [_cells(row) for row in page.object_list]
    context = {
        **admin.site.each_context(request),
        "title": f"Webhooks of {company.name}",
        "parts": [(name, label, name == part) for name, label in PARTS.items()],
        "page_obj": page,
        "headers": HEADERS[part],
        "rows": rows,
    }
    return TemplateResponse(request, "admin/knowledge_of_company.html", context)


def _rows(part: str) -> QuerySet[Any]:
    if part == "deliveries":
        return WebhookDelivery.objects.select_related("webhook").defer("payload").order_by("-created_at")
    return Webhook.objects.live()


def _cells(row: Webhook | WebhookDelivery) -> list[Any]:
    if isinstance(row, WebhookDelivery):
        return [
            row.webhook.name, row.event_type, row.get_status_display(), row.attempts, row.status_code, row.error,
            row.created_at, row.finished_at,
        ]  # fmt: skip
    return [
        row.name, row.url, row.state, ", ".join(row.event_types) or "all", row.failures, row.failing_since,
        row.last_delivered_at,
    ]  # fmt: skip
