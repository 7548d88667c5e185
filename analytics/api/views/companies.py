"""A company's own statistics and system metrics; a super admin names the company."""

from __future__ import annotations

import uuid
from typing import Any

from django_tenants.utils import tenant_context
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from analytics import services
from analytics.api.serializers import CompanyIdQuery, DaysQuery
from analytics.api.views.base import QueryViewSet
from analytics.selectors.companies import company_by_id, lead_statistics, related_data
from analytics.selectors.health import metrics_of
from knowrithm.api.permissions import ADMIN, READ, SUPER_ADMIN, WRITE
from knowrithm.api.responses import single, task_fields
from knowrithm.api.schema import TaskAcceptedSerializer, answer
from knowrithm.api.throttling import limit
from knowrithm.errors import InvalidInputError, NotFoundError
from knowrithm.principal import Role
from tenants.models import Company

StatisticsAnswer = answer(
    "CompanyStatistics", success=serializers.BooleanField(), statistics=serializers.DictField()
)  # fmt: skip


class _OfACompany(QueryViewSet):
    needs_company = False

    def company(self, company_id: uuid.UUID | None) -> Company | None:
        """The caller's own company, or for a super admin the one with this id; None when they name none.

        Raises `NotFoundError` for any other company's id.
        """
        principal = self.principal()
        if principal.role == Role.SUPER_ADMIN and principal.company is None:
            found = company_by_id(company_id) if company_id else None
            if found is not None and not found.is_ready:
                raise NotFoundError("There is no such company.")
            return found
        if company_id not in (None, principal.company_id):
            raise NotFoundError("There is no such company.")
        own: Any = principal.tenant
        return own  # type: ignore[no-any-return]  # the row behind the protocol


class StatisticsViewSet(_OfACompany):
    access = {"own": READ, "retrieve": READ, "related_data": SUPER_ADMIN}

    @extend_schema(
        operation_id="company_own_statistics_retrieve",  # or it would be that of the address with an id
        parameters=[DaysQuery, CompanyIdQuery],
        responses=StatisticsAnswer,
    )
    def own(self, request: Request) -> Response:
        """Of the caller's company; a super admin names one."""
        company = self.company(self.query(CompanyIdQuery, request)["company_id"])
        if company is None:
            raise InvalidInputError("Name the company.", fields={"company_id": ["A super admin must name a company."]})
        return self._statistics(request, company)

    @extend_schema(parameters=[DaysQuery], responses=StatisticsAnswer)
    def retrieve(self, request: Request, company_id: uuid.UUID) -> Response:
        company = self.company(company_id)
        assert company is not None  # noqa: S101  # an id was given
        return self._statistics(request, company)

    def _statistics(self, request: Request, company: Company) -> Response:
        days = self.query(DaysQuery, request)["days"]
        with tenant_context(company):
            statistics = lead_statistics(days=days)
        return Response(single("statistics", statistics, success=True))

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def related_data(self, request: Request, company_id: uuid.UUID) -> Response:
        company = self.company(company_id)
        assert company is not None  # noqa: S101  # an id was given
        with tenant_context(company):
            counts = related_data(company)
        return Response(single("related_data", counts, company_id=company.pk, company_name=company.name))


class MetricViewSet(_OfACompany):
    access = {"retrieve": ADMIN, "retrieve_any": SUPER_ADMIN, "create": WRITE}

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("metrics", per="credential")()] if self.action == "create" else []

    @extend_schema(parameters=[CompanyIdQuery], responses=OpenApiTypes.OBJECT)
    def retrieve(self, request: Request) -> Response:
        """The readings of the last 24 hours; a super admin who names no company sees the platform's."""
        company = self.company(self.query(CompanyIdQuery, request)["company_id"])
        return Response(metrics_of(company.pk if company else None))

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def retrieve_any(self, request: Request, company_id: uuid.UUID) -> Response:
        return Response(metrics_of(company_by_id(company_id).pk))

    @extend_schema(
        parameters=[CompanyIdQuery],
        request=None,
        responses={
            202: TaskAcceptedSerializer,
            200: answer(
                "MetricsCollected", message=serializers.CharField(), metrics_collected=serializers.IntegerField()
            ),
        },
    )
    def create(self, request: Request) -> Response:
        """Have the metrics read now: 202 with a task; 200 for a super admin who names no company (the platform's)."""
        company = self.company(self.query(CompanyIdQuery, request)["company_id"])
        if company is None:
            count = services.collect_platform_metrics(actor=self.principal())
            return Response({"message": "System metrics were collected.", "metrics_collected": count})
        with tenant_context(company):
            task_id = services.request_metrics(actor=self.principal())
        body = {"status": "accepted", **task_fields(task_id), "message": "The metrics are being collected."}
        return Response(body, status=202)
