from __future__ import annotations

import uuid

from django.db.models import QuerySet

from integrations.models import Webhook, WebhookDelivery
from knowrithm.db.compiled import CompiledQuery
from knowrithm.errors import NotFoundError

_ACTIVE: CompiledQuery[Webhook] = CompiledQuery(
    lambda: Webhook.objects.live().filter(is_active=True).only("event_types", "agent_ids")
)


def active_webhooks() -> list[Webhook]:
    """With what they want to be told of, and no more: every turn asks."""
    return _ACTIVE[:]


def get_webhook(webhook_id: uuid.UUID) -> Webhook:
    webhook: Webhook | None = Webhook.objects.live().filter(pk=webhook_id).first()
    if webhook is None:
        raise NotFoundError("There is no such webhook.")
    return webhook


def deliveries_list(webhook: Webhook, *, status: str = "", event: str = "") -> QuerySet[WebhookDelivery]:
    """Newest first, without their payloads. Unknown values find nothing."""
    rows = WebhookDelivery.objects.filter(webhook=webhook).defer("payload")
    if status:
        rows = rows.filter(status=status)
    if event:
        rows = rows.filter(event_type=event)
    return rows.order_by("-created_at", "pk")


def get_delivery(delivery_id: uuid.UUID) -> WebhookDelivery:
    rows = WebhookDelivery.objects.select_related("webhook").filter(webhook__archived_at=None)
    delivery = rows.filter(pk=delivery_id).first()
    if delivery is None:
        raise NotFoundError("There is no such delivery.")
    return delivery
