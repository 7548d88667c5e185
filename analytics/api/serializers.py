from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.fields import empty

from agents.enums import AgentStatus
from analytics.enums import MetricType
from analytics.selectors.periods import Period
from analytics.selectors.usage import METRICS, RANGES
from documents.enums import DocumentStatus, DocumentType
from knowrithm.principal import Role
from tenants.api.serializers import CompanyInput
from tenants.audit.api import MomentField
from tenants.audit.models import RiskLevel
from tenants.enums import COMPANY_ROLE_CHOICES, ROLE_CHOICES, UserStatus

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LONGEST = {"hour": timedelta(days=31)}  # of one answer; other intervals:
LONGEST_OTHERWISE = timedelta(days=1100)


class _Text(serializers.CharField):
    """A filter; empty and absent are the same."""

    def __init__(self, max_length: int = 200) -> None:
        super().__init__(max_length=max_length, required=False, allow_blank=True, default="")


class _Choice(serializers.ChoiceField):
    def __init__(self, choices: Any, **options: Any) -> None:
        super().__init__(choices=choices, required=False, **{"allow_blank": True, "default": "", **options})


class _Flag(serializers.BooleanField):
    def __init__(self) -> None:
        super().__init__(required=False, allow_null=True, default=None)


class _Id(serializers.UUIDField):
    def __init__(self) -> None:
        super().__init__(required=False, allow_null=True, default=None)


class _Moment(serializers.DateTimeField):
    """A time in ISO 8601, or a day, which means its beginning. Without an offset it is UTC."""

    def __init__(self) -> None:
        super().__init__(required=False, input_formats=["iso-8601", "%Y-%m-%d"], default_timezone=UTC)


# --- Lists --------------------------------------------------------------------------------------------------------


class UserQuery(serializers.Serializer[Any]):
    role = _Choice(ROLE_CHOICES)
    status = _Choice(UserStatus.choices)
    search = _Text()
    include_deleted = _Flag()


class AnyUserQuery(UserQuery):
    company_id = _Id()


class CompanyQuery(serializers.Serializer[Any]):
    search = _Text()
    is_active = _Flag()
    is_verified = _Flag()


class AgentQuery(serializers.Serializer[Any]):
    status = _Choice(AgentStatus.choices)
    search = _Text()


class DocumentQuery(serializers.Serializer[Any]):
    status = _Choice(DocumentStatus.choices)
    document_type = _Choice(DocumentType.choices)
    search = _Text()


# --- Changes ------------------------------------------------------------------------------------------------------


class _Switch(serializers.BooleanField):
    """One that a form (multipart, for the logo) does not hold was not given: it is not off."""

    default_empty_html = empty


class NewCompany(CompanyInput):
    email = serializers.EmailField(max_length=254, required=False, default="")
    is_active = _Switch(required=False)
    is_verified = _Switch(required=False)


class UserChanges(serializers.Serializer[Any]):
    email = serializers.EmailField(required=False)
    username = serializers.CharField(max_length=150, required=False)
    first_name = serializers.CharField(max_length=100, required=False, allow_blank=True)
    last_name = serializers.CharField(max_length=100, required=False, allow_blank=True)
    role = serializers.ChoiceField(choices=ROLE_CHOICES, required=False)
    status = serializers.ChoiceField(choices=UserStatus.choices, required=False)
    email_verified = serializers.BooleanField(required=False)


class NewUser(serializers.Serializer[Any]):
    email = serializers.EmailField()
    username = serializers.CharField(min_length=3, max_length=50)
    password = serializers.CharField(min_length=8, max_length=200, trim_whitespace=False)
    first_name = serializers.CharField(max_length=100)
    last_name = serializers.CharField(max_length=100)
    role = serializers.ChoiceField(choices=COMPANY_ROLE_CHOICES, required=False, default=Role.USER.value)


class AgentChanges(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200, required=False)
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True)
    status = serializers.ChoiceField(choices=AgentStatus.choices, required=False)
    model_name = serializers.CharField(max_length=120, required=False)
    temperature = serializers.FloatField(min_value=0, max_value=2, required=False)
    max_tokens = serializers.IntegerField(min_value=1, max_value=1_000_000, required=False)
    is_active = serializers.BooleanField(required=False)


# --- Reports ------------------------------------------------------------------------------------------------------


class PeriodQuery(serializers.Serializer[Any]):
    """From `start` to `end`. `validated_data["period"]` is the Period."""

    DAYS = 30  # back from the end, when no start is given
    start = _Moment()
    end = _Moment()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        now = timezone.now()
        end = min(attrs.pop("end", now), now + timedelta(days=1))
        if end < EARLIEST + timedelta(days=366):
            raise serializers.ValidationError({"end": ["Choose a later time."]})
        start = attrs.pop("start", end - timedelta(days=self.DAYS))
        if start >= end:
            raise serializers.ValidationError({"start": ["The start must be before the end, and not in the future."]})
        interval = attrs.pop("interval", "day")
        longest = LONGEST.get(interval, LONGEST_OTHERWISE)
        if end - start > longest:
            raise serializers.ValidationError({"start": [f"At most {longest.days} days can be asked for at once."]})
        return {**attrs, "period": Period(start, end, interval)}


class DateRangeQuery(PeriodQuery):
    """The same in the words of the published clients; an end that is a day includes that day."""

    start = None  # type: ignore[assignment]  # so a serializer takes out a field of its parent
    end = None  # type: ignore[assignment]  # as above
    start_date = MomentField(source="start", required=False)
    end_date = MomentField(source="end", is_end=True, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            return super().validate(attrs)
        except serializers.ValidationError as error:
            faults: Any = error.detail  # by field: it is this class's parent that raises it
            raise serializers.ValidationError({f"{name}_date": why for name, why in faults.items()}) from None


class SeriesQuery(PeriodQuery):
    interval = _Choice(["day", "week", "month"], default="day", allow_blank=False)
    company_id = _Id()


class ActivityTrendQuery(PeriodQuery):
    interval = _Choice(["hour", "day", "week"], default="day", allow_blank=False)
    company_id = _Id()
    event_type = _Text(80)
    event_category = _Text(80)
    risk_level = _Choice(RiskLevel.choices)


class AgentTrendQuery(SeriesQuery):
    agent_id = _Id()
    min_conversations = serializers.IntegerField(min_value=0, max_value=10**9, required=False, default=1)


class ChangeQuery(PeriodQuery):
    DAYS = 7
    entity_type = _Text(40)
    event_category = _Text(80)
    company_id = _Id()
    risk_level = _Choice(RiskLevel.choices)
    user_id = _Id()
    group_by = _Choice(["entity", "category", "risk_level", "user", "company"])


class PerformanceQuery(PeriodQuery):
    sort_by = _Choice(METRICS, default="users", allow_blank=False)
    limit = serializers.IntegerField(min_value=1, max_value=100, required=False, default=10)
    is_active = _Flag()
    is_verified = _Flag()


class ComparisonQuery(PeriodQuery):
    compare_by = _Choice(["companies", "time_periods"], default="companies", allow_blank=False)
    company_ids = _Text(4000)
    metrics = _Text()

    def validate_company_ids(self, value: str) -> list[Any]:
        return [serializers.UUIDField().run_validation(part.strip()) for part in value.split(",") if part.strip()]

    def validate_metrics(self, value: str) -> list[str]:
        names = [part.strip() for part in value.split(",") if part.strip()]
        if unknown := [name for name in names if name not in METRICS]:
            raise serializers.ValidationError(f"{unknown[0]} is not one of {', '.join(METRICS)}.")
        return names


class ConversationQuery(SeriesQuery):
    agent_id = _Id()
    status = _Choice(["active", "archived", "deleted"])


class DocumentReportQuery(SeriesQuery):
    document_type = _Choice(DocumentType.choices)
    status = _Choice(DocumentStatus.choices)


class RetentionQuery(serializers.Serializer[Any]):
    cohort_period = _Choice(["week", "month"], default="month", allow_blank=False)
    cohort_count = serializers.IntegerField(min_value=1, max_value=12, required=False, default=6)
    company_id = _Id()


class HealthQuery(PeriodQuery):
    DAYS = 1
    metric_name = _Text(60)
    metric_type = _Choice(MetricType.choices)


class EngagementQuery(PeriodQuery):
    company_id = _Id()
    role = _Choice(ROLE_CHOICES)
    min_activity = serializers.IntegerField(min_value=0, max_value=10**9, required=False, default=0)


class GrowthQuery(SeriesQuery):
    DAYS = 90
    role = _Choice(ROLE_CHOICES)
    status = _Choice(UserStatus.choices)
    group_by = _Choice(["company", "role", "status"])


class AgentMetricQuery(serializers.Serializer[Any]):
    by = _Choice(["type", "model"], default="model", allow_blank=False)
    company_id = _Id()


class CompanyMetricQuery(PeriodQuery):
    DAYS = 180
    interval = _Choice(["week", "month"], default="month", allow_blank=False)


class RangeQuery(serializers.Serializer[Any]):
    range = _Choice(list(RANGES), default="30d", allow_blank=False)


class StorageQuery(RangeQuery):
    company_id = _Id()


class DaysQuery(serializers.Serializer[Any]):
    days = serializers.IntegerField(min_value=1, max_value=3650, required=False, default=30)


class CompanyIdQuery(serializers.Serializer[Any]):
    company_id = _Id()
