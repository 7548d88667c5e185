"""The entries of the configuration."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import ADMIN
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, PaginationSerializer, SentenceSerializer, answer
from knowrithm.api.views import ApiViewSet
from knowrithm.principal import Principal
from tenants import services
from tenants.api.serializers_people import ConfigInput
from tenants.models import SystemConfig
from tenants.selectors import config_for


class ConfigSerializer(serializers.ModelSerializer[SystemConfig]):
    """The value of a sensitive entry is for super admins alone: anybody else is told that there is one."""

    config_value = serializers.SerializerMethodField()
    is_hidden = serializers.SerializerMethodField()

    class Meta:
        model = SystemConfig
        fields = (
            "id", "company_id", "config_key", "config_value", "config_type", "description", "is_sensitive", "is_hidden",
            "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_config_value(self, row: SystemConfig) -> Any:
        return None if self.get_is_hidden(row) else row.config_value

    def get_is_hidden(self, row: SystemConfig) -> bool:
        actor: Principal = self.context["actor"]
        return row.is_sensitive and not actor.is_super_admin


class ConfigViewSet(ApiViewSet):
    """A company's own entries and the platform's; for super admins all of them."""

    needs_company = False
    access = ADMIN

    @extend_schema(
        parameters=[
            OpenApiParameter("company_id", OpenApiTypes.UUID, description="For super admins: one company's alone."),
            *PAGE_PARAMETERS,
        ],
        responses=answer(
            "Configuration",
            config=serializers.DictField(),
            configs=ConfigSerializer(many=True),
            pagination=PaginationSerializer(),
        ),
    )
    def list(self, request: Request) -> Response:
        """`config` maps each key to its value; of two entries with one key the company's counts."""
        rows = config_for(self.principal())
        wanted = CompanyChoice(data={name: value for name, value in request.query_params.items() if value})
        wanted.is_valid(raise_exception=True)
        if company_id := wanted.validated_data.get("company_id"):
            rows = rows.filter(company_id=company_id)
        found, pagination = paginate(request, rows.order_by("-updated_at", "pk"), per_page=100)
        records = ConfigSerializer(found, many=True, context={"actor": self.principal()}).data
        platform_first = sorted(records, key=lambda record: (record["company_id"] is not None, record["updated_at"]))
        values = {record["config_key"]: record["config_value"] for record in platform_first}
        return Response({**listing(["configs", "config_entries"], records, pagination), "config": values})

    @extend_schema(request=ConfigInput, responses=ConfigSerializer)
    def update(self, request: Request) -> Response:
        """Makes or changes an entry. A sensitive value is stored encrypted and shown to super admins alone."""
        row = services.set_config(actor=self.principal(), **self.validated(ConfigInput, request))
        record = ConfigSerializer(row, context={"actor": self.principal()}).data
        return Response(single("config", record, message="Saved.", success=True))

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, config_id: uuid.UUID) -> Response:
        """Removes an entry of the company; a super admin's may be any."""
        key = services.remove_config(actor=self.principal(), config_id=config_id)
        return Response({"message": f"{key} was removed.", "config_key": key})


class CompanyChoice(serializers.Serializer[Any]):
    company_id = serializers.UUIDField(required=False)
