from __future__ import annotations

from typing import Any

from django_tenants.utils import tenant_context
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from agents.selectors import company_of_agent, get_agent
from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import PUBLIC, READ
from knowrithm.api.responses import listing
from knowrithm.api.schema import PAGE_PARAMETERS, answer
from knowrithm.api.serializers import RecordSerializer
from knowrithm.api.throttling import client_address, limit
from knowrithm.api.views import ApiViewSet
from leads import services
from leads.models import Lead


class LeadSerializer(RecordSerializer[Lead]):
    full_name = serializers.CharField()
    email = serializers.EmailField()
    is_active = serializers.SerializerMethodField()

    class Meta:
        model = Lead
        fields = (
            "id", "agent_id", "first_name", "last_name", "full_name", "email", "phone", "source", "notes", "status",
            "consent_marketing", "consent_data_processing", "is_active", "last_activity", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_is_active(self, lead: Lead) -> bool:
        return not lead.is_archived


class LeadInput(serializers.Serializer[Any]):
    agent_id = serializers.UUIDField()
    first_name = serializers.CharField(max_length=100)
    last_name = serializers.CharField(max_length=100)
    email = serializers.EmailField(max_length=254)
    phone = serializers.CharField(max_length=40, required=False, allow_blank=True, allow_null=True)
    source = serializers.CharField(max_length=100, required=False, allow_blank=True)  # type: ignore[assignment]  # DRF's name
    notes = serializers.CharField(max_length=5000, required=False, allow_blank=True)
    consent_marketing = serializers.BooleanField(required=False)
    consent_data_processing = serializers.BooleanField(required=False)


SHOWN = ("agent_id", "first_name", "last_name", "email", "phone")


class LeadViewSet(ApiViewSet):
    access = {"register": PUBLIC, "of_company": READ}

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("lead")()] if self.action == "register" else []

    @extend_schema(
        request=LeadInput,
        responses={
            201: answer(
                "LeadRegistered",
                success=serializers.BooleanField(),
                message=serializers.CharField(),
                lead=LeadSerializer(),
                access_token=serializers.CharField(),
                refresh_token=serializers.CharField(),
            )
        },
    )
    def register(self, request: Request) -> Response:
        """A visitor says who they are and may then talk to the agent. Answers the same when repeated."""
        data = self.validated(LeadInput, request)
        data["phone"] = data.get("phone") or ""
        sent = dict(data)
        company = company_of_agent(data["agent_id"])
        with tenant_context(company):
            registered = services.register_lead(
                agent=get_agent(data.pop("agent_id")),
                company_id=company.id,
                ip_address=client_address(request),
                user_agent=request.headers.get("User-Agent", "")[:300],
                **data,
            )
        tokens = registered.tokens
        return Response(
            {
                "success": True,
                "message": "Welcome.",
                # What was sent, never what was known: anybody can type somebody else's address.
                "lead": {"id": registered.lead.id, **{name: sent[name] for name in SHOWN}},
                "access_token": tokens.access,
                "refresh_token": tokens.refresh,
                "token_type": "Bearer",
                "expires_in": tokens.expires_in,
            },
            status=201,
        )

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, OpenApiParameter("status", str), OpenApiParameter("search", str)],
        responses=answer("LeadPage", leads=LeadSerializer(many=True)),
    )
    def of_company(self, request: Request) -> Response:
        rows = Lead.objects.live()
        if status := request.query_params.get("status", ""):
            rows = rows.filter(status=status)
        rows = rows.matching(request.query_params.get("search", ""))
        leads, pagination = paginate(request, rows, per_page=20)
        records = LeadSerializer(leads, many=True).data
        body = listing(["leads"], records, pagination)
        return Response({**body, "success": True, "data": {"leads": records, "pagination": pagination}})
