"""Companies."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from knowrithm.api.permissions import PUBLIC, READ
from knowrithm.api.responses import single
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from tenants import services
from tenants.api.serializers import (
    CompanyInput,
    CompanySerializer,
)
from tenants.models import Company


class CompanyViewSet(ApiViewSet):
    access = {"create": PUBLIC, "retrieve": READ}

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("register")()] if self.action == "create" else []

    @extend_schema(request=CompanyInput, responses={201: CompanySerializer})
    def create(self, request: Request) -> Response:
        company = services.create_company(**self.validated(CompanyInput, request))
        return Response(single("company", CompanySerializer(company).data, message="Company created."), status=201)

    @extend_schema(responses=CompanySerializer)
    def retrieve(self, request: Request) -> Response:
        """The caller's own company."""
        company = Company.objects.get(pk=self.principal().company_id)
        record = CompanySerializer(company).data
        return Response(single("company", record, companies=[record], data=[record]))
