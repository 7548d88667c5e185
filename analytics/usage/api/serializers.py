from __future__ import annotations

from typing import Any

from rest_framework import serializers


class PeriodQuery(serializers.Serializer[Any]):
    days = serializers.IntegerField(min_value=1, max_value=366, default=30)


class RankedQuery(PeriodQuery):
    limit = serializers.IntegerField(min_value=1, max_value=100, default=10)


class TrendQuery(PeriodQuery):
    granularity = serializers.ChoiceField(choices=["daily", "hourly"], default="daily")


class _Rates(serializers.Serializer[Any]):
    total_requests = serializers.IntegerField()
    success_rate = serializers.FloatField(help_text="In percent.")


class _TimedRates(_Rates):
    avg_response_time = serializers.FloatField(help_text="In milliseconds.")


class KeyCounts(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    active = serializers.IntegerField()
    revoked = serializers.IntegerField()
    expired = serializers.IntegerField()


class OverviewUsage(_Rates):
    avg_response_time_ms = serializers.FloatField()


class Overview(serializers.Serializer[Any]):
    period_days = serializers.IntegerField()
    api_keys = KeyCounts()
    usage = OverviewUsage()


class TrendPoint(_TimedRates):
    period = serializers.DateTimeField()


class Trends(serializers.Serializer[Any]):
    granularity = serializers.CharField()
    period_days = serializers.IntegerField()
    trends = TrendPoint(many=True)


class RankedEndpoint(_TimedRates):
    endpoint = serializers.CharField()
    method = serializers.CharField()


class TopEndpoints(serializers.Serializer[Any]):
    period_days = serializers.IntegerField()
    endpoints = RankedEndpoint(many=True)


class _KeyName(serializers.Serializer[Any]):
    name = serializers.CharField()
    key_prefix = serializers.CharField()


class KeyFigures(_KeyName, _TimedRates):
    api_key_id = serializers.UUIDField()
    status = serializers.CharField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class KeyPerformance(serializers.Serializer[Any]):
    period_days = serializers.IntegerField()
    api_keys = KeyFigures(many=True)


class StatusCount(serializers.Serializer[Any]):
    status_code = serializers.IntegerField()
    count = serializers.IntegerField()


class ErrorEndpoint(serializers.Serializer[Any]):
    endpoint = serializers.CharField()
    method = serializers.CharField()
    error_count = serializers.IntegerField()


class ErrorAnalysis(serializers.Serializer[Any]):
    period_days = serializers.IntegerField()
    status_code_breakdown = StatusCount(many=True)
    top_error_endpoints = ErrorEndpoint(many=True)


class KeyPeaks(_KeyName):
    api_key_id = serializers.UUIDField()
    hourly_limit = serializers.IntegerField()
    hourly_requests = serializers.IntegerField(help_text="Of the busiest hour.")
    hourly_usage_pct = serializers.FloatField()
    daily_limit = serializers.IntegerField()
    daily_requests = serializers.IntegerField(help_text="Of the busiest day.")
    daily_usage_pct = serializers.FloatField()


class RateLimitAnalysis(serializers.Serializer[Any]):
    period_days = serializers.IntegerField()
    high_usage_api_keys = KeyPeaks(many=True)


class DetailedKey(_KeyName):
    id = serializers.UUIDField()
    scopes = serializers.ListField(child=serializers.CharField())
    status = serializers.CharField()


class DayFigures(_Rates):
    date = serializers.DateField()


class EndpointFigures(_TimedRates):
    endpoint = serializers.CharField(help_text="Verb and route.")


class DetailedUsage(serializers.Serializer[Any]):
    period_days = serializers.IntegerField()
    api_key = DetailedKey()
    daily_breakdown = DayFigures(many=True)
    endpoint_breakdown = EndpointFigures(many=True)
    total_logs = serializers.IntegerField()
