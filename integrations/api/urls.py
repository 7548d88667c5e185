from __future__ import annotations

from django.urls import path

from integrations.api.webhooks import WebhookViewSet

urlpatterns = [
    path("webhook", WebhookViewSet.as_view({"get": "list", "post": "create"})),
    path("webhook/events", WebhookViewSet.as_view({"get": "events"})),
    path("webhook/delivery/<uuid:delivery_id>", WebhookViewSet.as_view({"get": "delivery"})),
    path("webhook/delivery/<uuid:delivery_id>/resend", WebhookViewSet.as_view({"post": "resend"})),
    path(
        "webhook/<uuid:webhook_id>",
        WebhookViewSet.as_view({"get": "retrieve", "put": "update", "patch": "update", "delete": "destroy"}),
    ),
    path("webhook/<uuid:webhook_id>/rotate", WebhookViewSet.as_view({"post": "rotate"})),
    path("webhook/<uuid:webhook_id>/test", WebhookViewSet.as_view({"post": "test"})),
    path("webhook/<uuid:webhook_id>/deliveries", WebhookViewSet.as_view({"get": "deliveries"})),
]
