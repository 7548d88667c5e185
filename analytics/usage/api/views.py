"""The figures of API keys, for admins and for keys that may read and administer."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any, TypeVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.usage import selectors
from analytics.usage.api import serializers as shapes
from analytics.usage.selectors import Figures
from knowrithm.api.permissions import READ_AND_ADMIN
from knowrithm.api.schema import answer
from knowrithm.api.views import ApiViewSet

Action = TypeVar("Action", bound=Callable[..., Response])


def _document(
    name: str, query: type[shapes.PeriodQuery], data: serializers.Serializer[Any]
) -> Callable[[Action], Action]:
    described = answer(name, success=serializers.BooleanField(), data=data)
    return extend_schema(parameters=[query], responses=described)


def _timed(figures: Figures) -> dict[str, Any]:
    return {**_rated(figures), "avg_response_time": figures.average_ms}


def _rated(figures: Figures) -> dict[str, Any]:
    return {"total_requests": figures.requests, "success_rate": figures.success_rate}


class KeyAnalyticsViewSet(ApiViewSet):
    access = READ_AND_ADMIN

    def _query(self, kind: type[shapes.PeriodQuery]) -> dict[str, Any]:
        bound = kind(data=self.request.query_params)
        bound.is_valid(raise_exception=True)
        data: dict[str, Any] = bound.validated_data
        return data

    def _answer(self, days: int, **data: Any) -> Response:
        return Response({"success": True, "data": {"period_days": days, **data}})

    @_document("KeyOverview", shapes.PeriodQuery, shapes.Overview())
    def overview(self, request: Request) -> Response:
        days, company_id = self._query(shapes.PeriodQuery)["days"], self.principal().company_id
        total = selectors.total_usage(company_id, days=days)
        usage = {**_rated(total), "avg_response_time_ms": total.average_ms}
        return self._answer(days, api_keys=selectors.count_keys(company_id), usage=usage)

    @_document("KeyTrends", shapes.TrendQuery, shapes.Trends())
    def trends(self, request: Request) -> Response:
        """Only days or hours with calls."""
        query = self._query(shapes.TrendQuery)
        days, is_daily = query["days"], query["granularity"] == "daily"
        found = selectors.usage_by(self.principal().company_id, "day" if is_daily else "hour", days=days)
        trends = [
            {"period": datetime.combine(moment, time(), UTC) if is_daily else moment, **_timed(figures)}
            for (moment,), figures in sorted(found.items())
        ]
        return self._answer(days, granularity=query["granularity"], trends=trends)

    @_document("KeyTopEndpoints", shapes.RankedQuery, shapes.TopEndpoints())
    def top_endpoints(self, request: Request) -> Response:
        query = self._query(shapes.RankedQuery)
        found = selectors.usage_by(self.principal().company_id, "endpoint", "method", days=query["days"])
        endpoints = [
            {"endpoint": endpoint, "method": method, **_timed(figures)}
            for (endpoint, method), figures in selectors.busiest(found, query["limit"])
        ]
        return self._answer(query["days"], endpoints=endpoints)

    @_document("KeyPerformances", shapes.RankedQuery, shapes.KeyPerformance())
    def performance(self, request: Request) -> Response:
        """The busiest keys first; those without calls in the period last."""
        query, company_id = self._query(shapes.RankedQuery), self.principal().company_id
        found = selectors.usage_by(company_id, "key_id", days=query["days"])
        keys = selectors.keys_of(company_id)
        every = {(key_id,): found.get((key_id,), Figures()) for key_id in keys}
        rows = [
            {
                "api_key_id": key_id,
                "name": keys[key_id].name,
                "key_prefix": keys[key_id].key_prefix,
                "status": keys[key_id].status,
                **_timed(figures),
                "last_used_at": keys[key_id].last_used_at,
                "created_at": keys[key_id].created_at,
            }
            for (key_id,), figures in selectors.busiest(every, query["limit"])
        ]
        return self._answer(query["days"], api_keys=rows)

    @_document("KeyErrors", shapes.RankedQuery, shapes.ErrorAnalysis())
    def errors(self, request: Request) -> Response:
        """How calls ended, errors only, and where."""
        query, company_id = self._query(shapes.RankedQuery), self.principal().company_id
        statuses = selectors.usage_by(company_id, "status", days=query["days"])
        endpoints = selectors.usage_by(company_id, "endpoint", "method", days=query["days"])
        return self._answer(
            query["days"],
            status_code_breakdown=[
                {"status_code": status, "count": figures.errors}
                for (status,), figures in selectors.most_errors(statuses, len(statuses))
            ],
            top_error_endpoints=[
                {"endpoint": endpoint, "method": method, "error_count": figures.errors}
                for (endpoint, method), figures in selectors.most_errors(endpoints, query["limit"])
            ],
        )

    @_document("KeyRateLimits", shapes.RankedQuery, shapes.RateLimitAnalysis())
    def rate_limits(self, request: Request) -> Response:
        """The busiest hour and day of each key beside its limits, the nearest to a limit first."""
        query = self._query(shapes.RankedQuery)
        rows = [
            {
                "api_key_id": peak.key.id,
                "name": peak.key.name,
                "key_prefix": peak.key.key_prefix,
                "hourly_limit": peak.key.limits[0],
                "hourly_requests": peak.hourly,
                "hourly_usage_pct": peak.hourly_percent,
                "daily_limit": peak.key.limits[1],
                "daily_requests": peak.daily,
                "daily_usage_pct": peak.daily_percent,
            }
            for peak in selectors.peaks(self.principal().company_id, days=query["days"])[: query["limit"]]
        ]
        return self._answer(query["days"], high_usage_api_keys=rows)

    @_document("KeyDetails", shapes.PeriodQuery, shapes.DetailedUsage())
    def detailed(self, request: Request, api_key_id: uuid.UUID) -> Response:
        days, company_id = self._query(shapes.PeriodQuery)["days"], self.principal().company_id
        key = selectors.key_of(company_id, api_key_id)
        daily = selectors.usage_by(company_id, "day", days=days, key_id=key.id)
        endpoints = selectors.usage_by(company_id, "method", "endpoint", days=days, key_id=key.id)
        return self._answer(
            days,
            api_key={
                "id": key.id,
                "name": key.name,
                "key_prefix": key.key_prefix,
                "scopes": key.scopes,
                "status": key.status,
            },
            daily_breakdown=[{"date": day, **_rated(figures)} for (day,), figures in sorted(daily.items())],
            endpoint_breakdown=[
                {"endpoint": f"{method} {endpoint}", **_timed(figures)}
                for (method, endpoint), figures in selectors.busiest(endpoints, len(endpoints))
            ],
            total_logs=sum(figures.requests for figures in endpoints.values()),
        )
