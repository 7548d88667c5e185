from __future__ import annotations

import json
import uuid
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from integrations import selectors, services
from integrations.enums import WEBHOOK_STATES, DeliveryStatus, EventType
from integrations.models import Webhook, WebhookDelivery
from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import ADMIN
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, SentenceSerializer, answer, page
from knowrithm.api.serializers import RecordSerializer
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet

DELIVERY_PARAMETERS = [
    OpenApiParameter("status", str, enum=DeliveryStatus.values),
    OpenApiParameter("event", str),
]


class WebhookSerializer(RecordSerializer[Webhook]):
    """Without its secret, which is in the answer to its making and rotating alone."""

    state = serializers.ChoiceField(WEBHOOK_STATES)
    overlap_ends_at = serializers.DateTimeField(allow_null=True)

    class Meta:
        model = Webhook
        fields: tuple[str, ...] = (
            "id", *services.FIELDS, "state", "failures", "failing_since", "held_until", "disabled_at",
            "last_delivered_at", "rotated_at", "overlap_ends_at", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields: tuple[str, ...] = fields


class NewSecretSerializer(WebhookSerializer):
    secret = serializers.CharField(help_text="Shown this once.")

    class Meta(WebhookSerializer.Meta):
        fields = (*WebhookSerializer.Meta.fields, "secret")
        read_only_fields: tuple[str, ...] = fields


class WebhookInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120)
    url = serializers.CharField(max_length=2000)
    is_active = serializers.BooleanField(required=False)
    event_types = serializers.ListField(
        child=serializers.CharField(max_length=60), required=False, max_length=100, help_text="None: all events."
    )
    agent_ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=1000, help_text="None: all agents."
    )


class WebhookUpdateInput(WebhookInput):
    name = serializers.CharField(max_length=120, required=False)
    url = serializers.CharField(max_length=2000, required=False)


class WebhookRotationInput(serializers.Serializer[Any]):
    overlap_hours = serializers.IntegerField(
        default=24, min_value=0, max_value=services.MAX_OVERLAP_HOURS, help_text="How long both secrets sign."
    )


class AttemptSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    status_code = serializers.IntegerField(allow_null=True)
    error = serializers.CharField()
    seconds = serializers.FloatField()


class WebhookDeliverySerializer(RecordSerializer[WebhookDelivery]):
    webhook_id = serializers.UUIDField()
    answer = serializers.CharField(help_text="The first bytes of the last answer.")
    history = AttemptSerializer(many=True)

    class Meta:
        model = WebhookDelivery
        fields: tuple[str, ...] = (
            "id", "webhook_id", "event_id", "event_type", "agent_id", "occurred_at", "is_test", "status", "attempts",
            "due_at", "finished_at", "status_code", "answer", "error", "history", "created_at",
        )  # fmt: skip
        read_only_fields: tuple[str, ...] = fields


class WholeDeliverySerializer(WebhookDeliverySerializer):
    payload = serializers.SerializerMethodField(help_text="The `data` that is sent.")

    class Meta(WebhookDeliverySerializer.Meta):
        fields = (*WebhookDeliverySerializer.Meta.fields, "payload")
        read_only_fields: tuple[str, ...] = fields

    def get_payload(self, row: WebhookDelivery) -> dict[str, Any]:
        payload: dict[str, Any] = json.loads(row.payload)
        return payload


class EventTypeSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    description = serializers.CharField()


WebhookAnswer = answer("WebhookAnswer", webhook=WebhookSerializer())
NewSecretAnswer = answer("WebhookSecretAnswer", webhook=NewSecretSerializer(), secret=serializers.CharField())
DeliveryAnswer = answer("WebhookDeliveryAnswer", delivery=WholeDeliverySerializer())


class WebhookViewSet(ApiViewSet):
    """Addresses of the company's own that are told what happens, and the log of what was sent to them."""

    access = ADMIN

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("chat", per="credential")()] if self.action in {"test", "resend"} else []

    @extend_schema(request=WebhookInput, responses={201: NewSecretAnswer})
    def create(self, request: Request) -> Response:
        """The answer holds the secret, which is never shown again."""
        fields = self.validated(WebhookInput, request)
        return self._with_secret(services.create_webhook(actor=self.principal(), fields=fields), status=201)

    @extend_schema(parameters=PAGE_PARAMETERS, responses=page("WebhookPage", "webhooks", WebhookSerializer(many=True)))
    def list(self, request: Request) -> Response:
        rows, pagination = paginate(request, Webhook.objects.live(), per_page=20)
        return Response(listing(["webhooks"], WebhookSerializer(rows, many=True).data, pagination))

    @extend_schema(responses=answer("WebhookEvents", events=EventTypeSerializer(many=True)))
    def events(self, request: Request) -> Response:
        """What a webhook can be told of."""
        records = [{"name": event.value, "description": event.label} for event in EventType]
        return Response(listing(["events"], records))

    @extend_schema(responses=WebhookAnswer)
    def retrieve(self, request: Request, webhook_id: uuid.UUID) -> Response:
        return self._answer(selectors.get_webhook(webhook_id))

    @extend_schema(request=WebhookUpdateInput, responses=WebhookAnswer)
    def update(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """What is not sent stays; each of the lists is replaced as a whole."""
        fields = self.validated(WebhookUpdateInput, request)
        return self._answer(services.update_webhook(actor=self.principal(), webhook_id=webhook_id, fields=fields))

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, webhook_id: uuid.UUID) -> Response:
        services.delete_webhook(actor=self.principal(), webhook_id=webhook_id)
        return Response({"message": "Webhook deleted.", "webhook_id": webhook_id})

    @extend_schema(request=WebhookRotationInput, responses=NewSecretAnswer)
    def rotate(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """A new secret, which is never shown again. The one before signs too for a while."""
        data = self.validated(WebhookRotationInput, request)
        return self._with_secret(services.rotate_secret(actor=self.principal(), webhook_id=webhook_id, **data))

    @extend_schema(request=None, responses={202: DeliveryAnswer})
    def test(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """Send a test event, once. How it went is in its delivery a moment later."""
        delivery = services.send_test(actor=self.principal(), webhook_id=webhook_id)
        return self._delivery(delivery, status=202)

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, *DELIVERY_PARAMETERS],
        responses=page("WebhookDeliveryPage", "deliveries", WebhookDeliverySerializer(many=True)),
    )
    def deliveries(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """Newest first, kept for 30 days after their end."""
        query = request.query_params
        rows, pagination = paginate(
            request,
            selectors.deliveries_list(
                selectors.get_webhook(webhook_id), status=query.get("status", ""), event=query.get("event", "")
            ),
            per_page=20,
        )
        return Response(listing(["deliveries"], WebhookDeliverySerializer(rows, many=True).data, pagination))

    @extend_schema(responses=DeliveryAnswer)
    def delivery(self, request: Request, delivery_id: uuid.UUID) -> Response:
        return self._delivery(selectors.get_delivery(delivery_id))

    @extend_schema(request=None, responses={202: DeliveryAnswer})
    def resend(self, request: Request, delivery_id: uuid.UUID) -> Response:
        """The same event in a new delivery; one that still waits is tried at once instead."""
        delivery = services.resend_delivery(actor=self.principal(), delivery_id=delivery_id)
        return self._delivery(delivery, status=202)

    def _answer(self, webhook: Webhook, **options: Any) -> Response:
        return Response(single("webhook", WebhookSerializer(webhook).data), **options)

    def _with_secret(self, made: services.NewSecret, **options: Any) -> Response:
        record = {**WebhookSerializer(made.webhook).data, "secret": made.secret}
        return Response(single("webhook", record), **options)

    def _delivery(self, delivery: WebhookDelivery, **options: Any) -> Response:
        return Response(single("delivery", WholeDeliverySerializer(delivery).data), **options)
