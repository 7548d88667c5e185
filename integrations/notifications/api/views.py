"""A person's own notifications. API keys are nobody's reader."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.notifications import services
from integrations.notifications.enums import Kind
from integrations.notifications.models import Notification
from integrations.notifications.selectors import Wish, get_notification, notifications_of, wishes_of
from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import SIGNED_IN
from knowrithm.api.responses import listing
from knowrithm.api.schema import PAGE_PARAMETERS, SentenceSerializer, answer, page
from knowrithm.api.serializers import RecordSerializer
from knowrithm.api.views import ApiViewSet


class NotificationSerializer(RecordSerializer[Notification]):
    class Meta:
        model = Notification
        fields = ("id", "kind", "text", "path", "read_at", "created_at")
        read_only_fields = fields


class WishSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(Kind.choices)
    in_app = serializers.BooleanField()
    mail = serializers.BooleanField()


class PreferencesInput(serializers.Serializer[Any]):
    preferences = serializers.ListField(child=WishSerializer(), min_length=1, max_length=len(Kind))


def _records(wishes: list[Wish]) -> Any:
    return WishSerializer(wishes, many=True).data


class NotificationViewSet(ApiViewSet):
    access = SIGNED_IN

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, OpenApiParameter("unread", bool, description="Only those not read yet.")],
        responses=page("NotificationPage", "notifications", NotificationSerializer(many=True)),
    )
    def list(self, request: Request) -> Response:
        """Your own, newest first."""
        rows = notifications_of(self.principal())
        if request.query_params.get("unread", "").lower() == "true":
            rows = rows.filter(read_at=None)
        found, pagination = paginate(request, rows, per_page=20)
        return Response(listing(["notifications"], NotificationSerializer(found, many=True).data, pagination))

    @extend_schema(operation_id="notification_read_all", request=None, responses=SentenceSerializer)
    def read_all(self, request: Request) -> Response:
        count = services.mark_read(actor=self.principal())
        return Response({"message": "Read.", "count": count})

    @extend_schema(request=None, responses=SentenceSerializer)
    def read(self, request: Request, notification_id: uuid.UUID) -> Response:
        actor = self.principal()
        services.mark_read(actor=actor, notification_id=get_notification(actor, notification_id).pk)
        return Response({"message": "Read.", "notification_id": notification_id})

    @extend_schema(responses=answer("NotificationPreferences", preferences=WishSerializer(many=True)))
    def preferences(self, request: Request) -> Response:
        """How you hear of each kind."""
        return Response(listing(["preferences"], _records(wishes_of(self.principal().id))))

    @extend_schema(
        request=PreferencesInput, responses=answer("NotificationPreferencesSet", preferences=WishSerializer(many=True))
    )
    def set_preferences(self, request: Request) -> Response:
        """A kind that is not named stays as it is."""
        given = self.validated(PreferencesInput, request)["preferences"]
        wishes = {Kind(wish["kind"]): (wish["in_app"], wish["mail"]) for wish in given}
        return Response(
            listing(["preferences"], _records(services.set_preferences(actor=self.principal(), wishes=wishes)))
        )
