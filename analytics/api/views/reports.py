"""The console's reports and snapshots. Each answers with the time at which it was drawn."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api import serializers as queries
from analytics.api.views.base import ConsoleViewSet
from analytics.rollups import fresh_companies
from analytics.selectors import activity, content, health, people, usage


def _report(body: dict[str, Any]) -> Response:
    return Response({**body, "timestamp": timezone.now()})


class ReportConsole(ConsoleViewSet):
    @extend_schema(parameters=[queries.ActivityTrendQuery], responses=OpenApiTypes.OBJECT)
    def activity_trends(self, request: Request) -> Response:
        query = self.query(queries.ActivityTrendQuery, request)
        return _report(activity.activity_trends(query.pop("period"), query))

    @extend_schema(parameters=[queries.AgentTrendQuery], responses=OpenApiTypes.OBJECT)
    def agent_performance_trends(self, request: Request) -> Response:
        query = self.query(queries.AgentTrendQuery, request)
        return _report(content.agent_performance_trends(query.pop("period"), query))

    @extend_schema(parameters=[queries.ChangeQuery], responses=OpenApiTypes.OBJECT)
    def change_tracking(self, request: Request) -> Response:
        query = self.query(queries.ChangeQuery, request)
        return _report(activity.change_tracking(query.pop("period"), query))

    @extend_schema(parameters=[queries.PerformanceQuery], responses=OpenApiTypes.OBJECT)
    def company_performance(self, request: Request) -> Response:
        query = self.query(queries.PerformanceQuery, request)
        return _report(usage.company_performance(query.pop("period"), fresh_companies(), query))

    @extend_schema(parameters=[queries.ComparisonQuery], responses=OpenApiTypes.OBJECT)
    def comparative(self, request: Request) -> Response:
        query = self.query(queries.ComparisonQuery, request)
        return _report(usage.comparative(query.pop("period"), fresh_companies(), query))

    @extend_schema(parameters=[queries.ConversationQuery], responses=OpenApiTypes.OBJECT)
    def conversations(self, request: Request) -> Response:
        query = self.query(queries.ConversationQuery, request)
        return _report(content.conversation_report(query.pop("period"), query))

    @extend_schema(parameters=[queries.DocumentReportQuery], responses=OpenApiTypes.OBJECT)
    def documents(self, request: Request) -> Response:
        query = self.query(queries.DocumentReportQuery, request)
        return _report(content.document_report(query.pop("period"), query))

    @extend_schema(parameters=[queries.RetentionQuery], responses=OpenApiTypes.OBJECT)
    def retention(self, request: Request) -> Response:
        return _report(people.retention(**self.query(queries.RetentionQuery, request)))

    @extend_schema(parameters=[queries.HealthQuery], responses=OpenApiTypes.OBJECT)
    def system_health(self, request: Request) -> Response:
        query = self.query(queries.HealthQuery, request)
        return _report(health.system_health(query.pop("period"), **query))

    @extend_schema(parameters=[queries.SeriesQuery], responses=OpenApiTypes.OBJECT)
    def usage_metrics(self, request: Request) -> Response:
        query = self.query(queries.SeriesQuery, request)
        fresh_companies()
        return _report(usage.usage_metrics(query["period"], query["company_id"]))

    @extend_schema(parameters=[queries.EngagementQuery], responses=OpenApiTypes.OBJECT)
    def user_engagement(self, request: Request) -> Response:
        query = self.query(queries.EngagementQuery, request)
        return _report(people.user_engagement(query.pop("period"), query))

    @extend_schema(parameters=[queries.GrowthQuery], responses=OpenApiTypes.OBJECT)
    def user_growth(self, request: Request) -> Response:
        query = self.query(queries.GrowthQuery, request)
        return _report(people.user_growth(query.pop("period"), query))


class SnapshotConsole(ConsoleViewSet):
    @extend_schema(parameters=[queries.AgentMetricQuery], responses=OpenApiTypes.OBJECT)
    def agents(self, request: Request) -> Response:
        return _report(content.agent_metrics(**self.query(queries.AgentMetricQuery, request)))

    @extend_schema(parameters=[queries.CompanyMetricQuery], responses=OpenApiTypes.OBJECT)
    def companies(self, request: Request) -> Response:
        return _report(usage.company_growth(self.query(queries.CompanyMetricQuery, request)["period"]))

    @extend_schema(parameters=[queries.RangeQuery], responses=OpenApiTypes.OBJECT)
    def overview(self, request: Request) -> Response:
        query = self.query(queries.RangeQuery, request)
        fresh_companies()
        return _report(usage.overview(query["range"]))

    @extend_schema(parameters=[queries.StorageQuery], responses=OpenApiTypes.OBJECT)
    def storage(self, request: Request) -> Response:
        query = self.query(queries.StorageQuery, request)
        fresh_companies()
        return _report(usage.storage(query["range"], query["company_id"]))
