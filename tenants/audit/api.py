"""The audit log through the API, in the words of each published client."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from knowrithm.api.pagination import MAX_PER_PAGE, slice_of
from knowrithm.api.permissions import ADMIN
from knowrithm.api.responses import listing
from knowrithm.api.schema import PAGE_PARAMETERS, page
from knowrithm.api.views import ApiViewSet
from knowrithm.db.schema import schema_name
from knowrithm.errors import NotFoundError
from knowrithm.principal import CompanyRow
from tenants.audit.export import audit_download
from tenants.audit.models import AuditEvent, RiskLevel
from tenants.audit.selectors import AuditFilter, audit_events, moment_from
from tenants.audit.sentences import sentence
from tenants.audit.services import log_of
from tenants.models import Company


@extend_schema_field(OpenApiTypes.STR)
class MomentField(serializers.Field[datetime, str, str, Any]):
    """A day or a moment. Given as a day, an end is that day's end."""

    def __init__(self, *, is_end: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.is_end = is_end

    def to_internal_value(self, data: str) -> datetime:
        moment = moment_from(str(data), is_end=self.is_end)
        if moment is None:
            raise serializers.ValidationError("Give a day such as 2026-01-31, or a moment in ISO 8601.")
        return moment


class AuditQuery(serializers.Serializer[Any]):
    entity_type = serializers.CharField(max_length=40, required=False)
    event_type = serializers.CharField(max_length=80, required=False)
    action = serializers.CharField(max_length=80, required=False)
    risk_level = serializers.ChoiceField(choices=RiskLevel.choices, required=False)
    user_id = serializers.UUIDField(required=False)
    search = serializers.CharField(max_length=200, required=False)
    start_date = MomentField(source="start", required=False)
    end_date = MomentField(source="before", is_end=True, required=False)
    company_id = serializers.UUIDField(required=False)
    limit = serializers.IntegerField(min_value=1, required=False)
    offset = serializers.IntegerField(min_value=0, max_value=10**9, required=False)
    page = serializers.IntegerField(min_value=1, max_value=10**7, required=False)
    per_page = serializers.IntegerField(min_value=1, required=False)


class AuditEventSerializer(serializers.ModelSerializer[AuditEvent]):
    timestamp = serializers.DateTimeField(source="created_at")
    action = serializers.CharField(source="event_type")
    event_category = serializers.CharField(source="entity_type")
    category = serializers.CharField(source="entity_type")
    entity = serializers.CharField(source="entity_label")
    description = serializers.SerializerMethodField()
    message = serializers.SerializerMethodField(method_name="get_description")
    username = serializers.CharField(source="actor_label")
    user_role = serializers.CharField(source="actor_role")
    impersonator = serializers.CharField(source="impersonator_label")
    company_id = serializers.SerializerMethodField()

    class Meta:
        model = AuditEvent
        fields = (
            "id", "position", "created_at", "timestamp", "event_type", "action", "event_category", "category",
            "entity_type", "entity_id", "entity", "description", "message", "risk_level", "changes", "user_id",
            "username", "user_role", "actor_kind", "actor_id", "impersonator_id", "impersonator", "company_id",
            "ip_address", "user_agent", "request_id", "digest",
        )  # fmt: skip
        read_only_fields = fields

    def get_description(self, event: AuditEvent) -> str:
        return sentence(event)

    def get_company_id(self, event: AuditEvent) -> uuid.UUID | None:
        company: CompanyRow | None = self.context["company"]
        return company.id if company else None


FILTERS = [
    OpenApiParameter("entity_type", str),
    OpenApiParameter("event_type", str, description="Such as `agent.updated`."),
    OpenApiParameter("action", str, description="An event's name, or the part after its dot."),
    OpenApiParameter("risk_level", str, enum=RiskLevel.values),
    OpenApiParameter("user_id", uuid.UUID),
    OpenApiParameter("search", str, description="Words of the actor, the entity or the event."),
    OpenApiParameter("start_date", str, description="A day or a moment in ISO 8601."),
    OpenApiParameter("end_date", str, description="A day (its end is meant) or a moment."),
    OpenApiParameter("company_id", uuid.UUID, description="For super admins: this company's log, not the platform's."),
]


class AuditLogViewSet(ApiViewSet):
    """Who did what. A super admin sees the platform's own log, or with `company_id` a company's."""

    needs_company = False
    access = ADMIN

    def _asked(self, request: Request) -> tuple[dict[str, Any], CompanyRow | None]:
        given = {name: value for name, value in request.query_params.items() if value}
        query = AuditQuery(data=given)
        query.is_valid(raise_exception=True)
        asked: dict[str, Any] = query.validated_data
        return asked, self._company(asked.pop("company_id", None))

    def _company(self, wanted: uuid.UUID | None) -> CompanyRow | None:
        own = self.principal().company
        if wanted is None or (own is not None and own.id == wanted):
            return own
        company = Company.objects.filter(pk=wanted, is_ready=True).first() if own is None else None
        if company is None:
            raise NotFoundError("There is no such company.")
        found: CompanyRow = company
        return found

    @extend_schema(
        parameters=[*FILTERS, *PAGE_PARAMETERS, OpenApiParameter("limit", int), OpenApiParameter("offset", int)],
        responses=page("AuditLogPage", "logs", AuditEventSerializer(many=True)),
    )
    def list(self, request: Request) -> Response:
        """Newest first; by `limit` and `offset`, or by `page` and `per_page`."""
        asked, company = self._asked(request)
        size = min(asked.pop("per_page", None) or asked.get("limit") or 50, MAX_PER_PAGE)
        start = asked.pop("offset", None)
        start = (asked.pop("page", 1) - 1) * size if start is None else start
        asked = {name: value for name, value in asked.items() if name not in {"limit", "page"}}
        with log_of(company):
            found, pagination = slice_of(audit_events(AuditFilter(**asked)), start=start, size=size)
        records = AuditEventSerializer(found, many=True, context={"company": company}).data
        body = listing(["logs", "audit_logs"], records, pagination | {"limit": size, "offset": start})
        return Response({**body, "limit": size, "offset": start})

    @extend_schema(parameters=FILTERS, responses={(200, "text/csv"): OpenApiTypes.STR})
    def export(self, request: Request) -> Any:
        """The same rows, all of them, as CSV."""
        asked, company = self._asked(request)
        wanted = AuditFilter(
            **{name: value for name, value in asked.items() if name not in {"limit", "offset", "page", "per_page"}}
        )
        with log_of(company):
            schema = schema_name()
        return audit_download(request._request, schema=schema, wanted=wanted)
