"""The fields that a company defines for its leads."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents.enums import FieldKind
from agents.models import LeadField
from agents.selectors import lead_fields
from knowrithm.api.permissions import ADMIN, READ
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import answer
from knowrithm.api.serializers import RecordSerializer
from knowrithm.api.views import ApiViewSet
from leads import selectors, services

MOST_SENT = 1000  # options; how many there may be is the service's to say


class LeadFieldSerializer(RecordSerializer[LeadField]):
    type = serializers.ChoiceField(FieldKind.choices, source="kind")
    options = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = LeadField
        fields = (
            "id", "name", "key", "type", "options", "description", "is_required", "position", "archived_at",
            "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields


class LeadFieldInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    key = serializers.CharField(
        max_length=40,
        required=False,
        help_text="By which values are sent and shown; without it one is made from the name.",
    )
    type = serializers.ChoiceField(FieldKind.choices, source="kind")
    options = serializers.ListField(
        child=serializers.CharField(max_length=1000), max_length=MOST_SENT, required=False, help_text="Of a choice."
    )
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)
    is_required = serializers.BooleanField(required=False, help_text="In the dashboard's form of a lead.")


class LeadFieldChanges(LeadFieldInput):
    name = serializers.CharField(max_length=80, required=False)
    type = serializers.ChoiceField(FieldKind.choices, source="kind", required=False)
    renamed_options = serializers.DictField(
        child=serializers.CharField(max_length=1000),
        required=False,
        help_text="New texts of options by the old ones. The leads that have them get the new texts.",
    )


class LeadFieldOrder(serializers.Serializer[Any]):
    field_ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MOST_SENT)


FieldAnswer = answer("LeadFieldAnswer", lead_field=LeadFieldSerializer())
FieldList = answer("LeadFieldList", lead_fields=LeadFieldSerializer(many=True))


class LeadFieldViewSet(ApiViewSet):
    access = {
        "list": READ,
        "create": ADMIN,
        "reorder": ADMIN,
        "retrieve": READ,
        "update": ADMIN,
        "destroy": ADMIN,
        "restore": ADMIN,
    }

    @extend_schema(parameters=[OpenApiParameter("archived", bool)], responses=FieldList)
    def list(self, request: Request) -> Response:
        """All of them in their order; with `archived=true` those that were archived."""
        is_archived = request.query_params.get("archived", "").lower() in {"true", "1"}
        return Response(_listed(selectors.archived_lead_fields() if is_archived else lead_fields()))

    @extend_schema(request=LeadFieldInput, responses={201: FieldAnswer})
    def create(self, request: Request) -> Response:
        field = services.create_lead_field(actor=self.principal(), **self.validated(LeadFieldInput, request))
        return Response(_record(field), status=201)

    @extend_schema(request=LeadFieldOrder, responses=FieldList)
    def reorder(self, request: Request) -> Response:
        """In the order of `field_ids`; those that are not named follow."""
        ids = self.validated(LeadFieldOrder, request)["field_ids"]
        return Response(_listed(services.reorder_lead_fields(actor=self.principal(), field_ids=ids)))

    @extend_schema(responses=FieldAnswer)
    def retrieve(self, request: Request, field_id: uuid.UUID) -> Response:
        return Response(_record(selectors.get_lead_field(field_id, include_archived=True)))

    @extend_schema(request=LeadFieldChanges, responses=FieldAnswer)
    def update(self, request: Request, field_id: uuid.UUID) -> Response:
        """What is not sent stays. Once leads have values, key and type stay (409, `LEAD_FIELD_IN_USE`), and so does an
        option that some lead has, unless `renamed_options` gives it another text.
        """
        changes = self.validated(LeadFieldChanges, request)
        field = selectors.get_lead_field(field_id)
        return Response(_record(services.update_lead_field(actor=self.principal(), field=field, changes=changes)))

    @extend_schema(responses=FieldAnswer)
    def destroy(self, request: Request, field_id: uuid.UUID) -> Response:
        """Archives it: it is shown and taken nowhere any more, and what leads have in it stays."""
        field = selectors.get_lead_field(field_id)
        return Response(_record(services.archive_lead_field(actor=self.principal(), field=field)))

    @extend_schema(request=None, responses=FieldAnswer)
    def restore(self, request: Request, field_id: uuid.UUID) -> Response:
        field = selectors.get_lead_field(field_id, include_archived=True)
        return Response(_record(services.restore_lead_field(actor=self.principal(), field=field)))


def _record(field: LeadField) -> dict[str, Any]:
    return single("lead_field", LeadFieldSerializer(field).data)


def _listed(fields: list[LeadField]) -> dict[str, Any]:
    return listing(["lead_fields", "fields"], LeadFieldSerializer(fields, many=True).data)
