"""What super admins see of a company's webhooks in Django admin: neither secrets nor payloads."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse

from integrations.models import Webhook, WebhookDelivery
from tenants.company_rows import Part, rows_of_company


def _webhook(row: Webhook) -> list[Any]:
    return [
        row.name, row.url, row.state, ", ".join(row.event_types) or "all", row.failures, row.failing_since,
        row.last_delivered_at,
    ]  # fmt: skip


def _delivery(row: WebhookDelivery) -> list[Any]:
    return [
        row.webhook.name, row.event_type, row.get_status_display(), row.attempts, row.status_code, row.error,
        row.created_at, row.finished_at,
    ]  # fmt: skip


PARTS = {
    "webhooks": Part(
        "Webhooks",
        ["Name", "Address", "State", "Events", "Failures", "Failing since", "Last delivered"],
        Webhook.objects.live,
        _webhook,
    ),
    "deliveries": Part(
        "Deliveries",
        ["Webhook", "Event", "Status", "Attempts", "Code", "Cause", "Made", "Ended"],
        lambda: WebhookDelivery.objects.select_related("webhook").defer("payload").order_by("-created_at"),
        _delivery,
    ),
}


def webhooks_of_company(request: HttpRequest, company_id: uuid.UUID) -> HttpResponse:
    return rows_of_company(request, company_id, title="Webhooks", parts=PARTS)
