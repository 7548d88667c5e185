"""The console's reports: every number is that of rows which are there, and narrowed by its filters."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from analytics import rollups
from analytics.api.urls import REPORTS, SNAPSHOTS
from analytics.models import CompanyDaily, SystemMetric
from analytics.tests.test_console_api import ROOT, add_conversation, add_document, ok, rate
from conftest import Character
from conversations.enums import MessageRole, MessageStatus
from conversations.models import Conversation, Message
from documents.enums import DocumentStatus, JobStatus
from documents.models import Document, IngestionJob
from tenants.audit.models import AuditEvent, RiskLevel
from tenants.audit.services import record_event
from tenants.models import User, UserSession

pytestmark = pytest.mark.usefixtures("made_today")

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def report(client: APIClient, name: str, **query: Any) -> dict[str, Any]:
    return ok(client.get(f"{ROOT}/analytics/{name}", query))


def metric(client: APIClient, name: str, **query: Any) -> dict[str, Any]:
    return ok(client.get(f"{ROOT}/metrics/{name}", query))


def days_ago(number: int) -> datetime:
    return timezone.now() - timedelta(days=number)


def move(owner: Character, row: Any, days: int) -> None:
    with tenant_context(owner.company):
        type(row).objects.filter(pk=row.pk).update(created_at=days_ago(days))


# --- Roll-ups -----------------------------------------------------------------------------------------------------


def test_a_day_is_counted_from_the_companys_own_rows(acme: Character, globex: Character) -> None:
    old, new = add_document(acme, "old.txt", 100), add_document(acme, "new.txt", 30, DocumentStatus.FAILED)
    move(acme, old, 1)
    talk = add_conversation(acme)
    with tenant_context(acme.company):
        Message.objects.create(
            conversation=talk, position=1, role=MessageRole.ASSISTANT, input_tokens=5, output_tokens=7
        )
    add_document(globex, "other.txt", 1000)
    today = timezone.now().date()

    yesterday, now = rollups.count_days([acme.company], today - timedelta(days=1), today)

    assert (yesterday.documents, yesterday.documents_processed, yesterday.storage_bytes) == (1, 1, 100)
    assert (yesterday.agents, yesterday.users, yesterday.active_users) == (0, 0, 1)
    counts = {name: getattr(now, name) for name in CompanyDaily.COUNTS}
    assert counts == {
        "users": 1, "agents": 1, "documents": 2, "documents_processed": 1, "storage_bytes": 130,
        "new_users": 1, "new_documents": 1, "new_bytes": 30, "new_conversations": 1, "new_messages": 1, "new_leads": 0,
        "tokens": 12, "active_users": 1,
    }  # fmt: skip
    assert new.pk != old.pk


def test_archived_rows_leave_the_level_but_not_the_flow(acme: Character) -> None:
    document = add_document(acme, "a.txt", 100)
    move(acme, document, 1)
    with tenant_context(acme.company):
        Document.objects.filter(pk=document.pk).update(archived_at=timezone.now())
    today = timezone.now().date()
    yesterday, now = rollups.count_days([acme.company], today - timedelta(days=1), today)
    assert (yesterday.documents, yesterday.new_documents) == (1, 1)
    assert (now.documents, now.new_documents) == (0, 0)


def test_rolling_up_fills_gaps_recounts_unfinished_days_and_changes_nothing_twice(acme: Character) -> None:
    today = timezone.now().date()
    acme.company.created_at = days_ago(3)
    acme.company.save()
    # Counted at noon and then no more: what came in the afternoon is missing.
    noon = datetime.combine(today - timedelta(days=2), datetime.min.time(), tzinfo=UTC) + timedelta(hours=12)
    CompanyDaily.objects.create(company=acme.company, date=today - timedelta(days=2), counted_at=noon)
    finished = CompanyDaily.objects.create(company=acme.company, date=today - timedelta(days=1), agents=77)
    document = add_document(acme, "a.txt")
    move(acme, document, 2)

    assert rollups.roll_up_company(acme.company) == 3
    rows = {row.date: (row.documents, row.agents) for row in CompanyDaily.objects.filter(company=acme.company)}
    assert rows == {
        today - timedelta(days=3): (0, 0),
        today - timedelta(days=2): (1, 0),
        finished.date: (0, 77),  # a day that was counted after its end is history
        today: (1, 1),
    }
    assert rollups.roll_up_company(acme.company) == 1
    assert CompanyDaily.objects.filter(company=acme.company).count() == 4


def test_todays_figures_are_counted_once_a_minute_in_one_statement(
    acme: Character, globex: Character, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(5):  # the search path, companies, fresh rows, the counting, the saving
        assert rollups.fresh_companies() == sorted([acme.company, globex.company], key=lambda one: one.pk)
    with django_assert_num_queries(2):
        rollups.fresh_companies()
    CompanyDaily.objects.update(counted_at=timezone.now() - timedelta(minutes=2))
    add_document(acme, "a.txt")
    rollups.fresh_companies()
    assert dict(CompanyDaily.objects.values_list("company__name", "documents")) == {"Acme": 1, "Globex": 0}


# --- Reports ------------------------------------------------------------------------------------------------------


def test_activity_trends(acme: Character, globex: Character, super_admin_api: APIClient) -> None:
    with tenant_context(acme.company):
        record_event(actor=acme.principal, event_type="agent.updated", entity=acme.agent)
        record_event(actor=acme.principal, event_type="agent.updated", entity=acme.agent, risk_level=RiskLevel.HIGH)
        old = record_event(actor=acme.principal, event_type="agent.created", entity=acme.agent)
        AuditEvent.objects.filter(pk=old.pk).update(created_at=days_ago(40))
    with tenant_context(globex.company):
        record_event(actor=globex.principal, event_type="document.archived", entity_type="document")

    body = report(super_admin_api, "activity-trends")
    assert body["summary"]["total_events"] == 3
    assert body["category_breakdown"] == {"agent": 2, "document": 1}
    assert body["risk_distribution"] == {"low": 2, "medium": 0, "high": 1, "critical": 0}
    assert body["top_events"] == {"agent.updated": 2, "document.archived": 1}
    assert len(body["time_series"]) == 31
    assert body["time_series"][-1]["event_count"] == 3

    def total(**query: Any) -> int:
        return int(report(super_admin_api, "activity-trends", **query)["summary"]["total_events"])

    assert total(company_id=str(acme.company.pk)) == 2
    assert total(event_category="document") == 1
    assert total(event_type="agent.updated", risk_level="high") == 1
    assert total(company_id=UNKNOWN) == 0
    hours = report(super_admin_api, "activity-trends", interval="hour", start=days_ago(1).isoformat())
    assert sum(point["event_count"] for point in hours["time_series"]) == 3


def test_change_tracking(acme: Character, globex: Character, super_admin_api: APIClient) -> None:
    with tenant_context(acme.company):
        record_event(actor=acme.principal, event_type="agent.updated", entity=acme.agent, risk_level=RiskLevel.CRITICAL)
        record_event(actor=acme.principal, event_type="agent.updated", entity=acme.agent)
    with tenant_context(globex.company):
        record_event(actor=None, event_type="lead.created", entity_type="lead", entity_id="1")

    body = report(super_admin_api, "change-tracking", group_by="company")
    summary = {name: value for name, value in body["summary"].items() if name not in {"start", "end"}}
    assert summary == {"total_changes": 3, "high_risk_changes": 1, "unique_entities": 2, "unique_users": 1}
    assert body["breakdown"] == {"Acme": 2, "Globex": 1}
    assert body["category_distribution"] == {"agent": 2, "lead": 1}
    assert [change["event_type"] for change in body["recent_changes"]] == [
        "lead.created",
        "agent.updated",
        "agent.updated",
    ]
    assert report(super_admin_api, "change-tracking", group_by="user")["breakdown"] == {
        "admin@acme.example": 2,
        "nobody signed in": 1,
    }
    narrowed = report(super_admin_api, "change-tracking", user_id=acme.admin.pk, entity_type="agent", risk_level="low")
    assert narrowed["summary"]["total_changes"] == 1


def test_conversations_and_agents(acme: Character, globex: Character, super_admin_api: APIClient) -> None:
    rate(acme, add_conversation(acme, messages=4), 1, -1, None)
    deleted = add_conversation(acme, messages=2)
    with tenant_context(acme.company):
        Conversation.objects.filter(pk=deleted.pk).update(archived_at=timezone.now())
    rate(globex, add_conversation(globex, messages=6), -1)
    old = add_conversation(acme)
    rate(acme, old, -1)
    move(acme, old, 100)

    body = report(super_admin_api, "conversations")
    assert (body["summary"]["total_conversations"], body["summary"]["total_messages"]) == (3, 12)
    assert body["summary"]["avg_conversation_length"] == 4.0
    assert body["status_breakdown"] == {"active": 2, "deleted": 1}
    assert [(one["agent_name"], one["conversation_count"], one["avg_messages"]) for one in body["top_agents"]] == [
        ("Acme helper", 2, 3.0),
        ("Globex helper", 1, 6.0),
    ]
    assert body["time_series"][-1] == {
        "date": timezone.now().date().isoformat(), "conversation_count": 3, "avg_messages_per_conversation": 4.0,
    }  # fmt: skip
    only = report(super_admin_api, "conversations", agent_id=globex.agent.pk, status="active", interval="month")
    assert only["summary"]["total_conversations"] == 1

    trends = report(super_admin_api, "agent-performance-trends", min_conversations=2)
    [agent] = trends["performance_trends"]
    assert (agent["agent_name"], agent["company_id"], agent["total_conversations"], agent["avg_rating"]) == (
        "Acme helper", str(acme.company.pk), 2, 3.0,
    )  # fmt: skip
    assert agent["time_series"] == [
        {"date": timezone.now().date().isoformat(), "conversations": 2, "avg_messages": 3.0}
    ]
    assert trends["summary"]["total_agents"] == 1


def test_documents(acme: Character, globex: Character, super_admin_api: APIClient) -> None:
    done = add_document(acme, "a.txt", 2 * 2**20)
    add_document(globex, "b.txt", 2**20, DocumentStatus.FAILED)
    with tenant_context(acme.company):
        IngestionJob.objects.create(
            document=done, status=JobStatus.COMPLETED, started_at=timezone.now() - timedelta(seconds=9),
            finished_at=timezone.now() - timedelta(seconds=5),
        )  # fmt: skip
    body = report(super_admin_api, "documents")
    assert body["summary"]["total_documents"] == 2
    assert (body["summary"]["processed_documents"], body["summary"]["processing_success_rate"]) == (1, 50.0)
    assert body["summary"]["avg_processing_time_seconds"] == pytest.approx(4, abs=0.01)
    assert body["summary"]["total_storage_bytes"] == 3 * 2**20
    assert body["type_breakdown"] == {"txt": {"count": 2, "total_size_bytes": 3 * 2**20, "total_size_mb": 3.0}}
    assert report(super_admin_api, "documents", status="failed")["summary"]["total_storage_bytes"] == 2**20
    assert report(super_admin_api, "documents", company_id=str(acme.company.pk))["status_breakdown"] == {"processed": 1}
    assert report(super_admin_api, "documents", document_type="pdf")["status_breakdown"] == {}


def test_company_performance_and_comparison(acme: Character, globex: Character, super_admin_api: APIClient) -> None:
    add_document(globex, "b.txt", 2**30)
    add_conversation(acme)
    body = report(super_admin_api, "company-performance", sort_by="storage", limit=1)
    assert [(row["company_name"], row["metrics"]) for row in body["rankings"]] == [
        (
            "Globex",
            {"users": 1, "agents": 1, "documents": 1, "conversations": 0, "storage_bytes": 2**30, "storage_gb": 1.0},
        )
    ]
    summary = body["summary"]
    assert (summary["total_companies"], summary["total_documents"], summary["total_conversations"]) == (2, 1, 1)
    first = report(super_admin_api, "company-performance", sort_by="conversations")["rankings"][0]
    assert first["company_name"] == "Acme"
    assert report(super_admin_api, "company-performance", is_verified="true")["rankings"] == []

    compared = report(super_admin_api, "comparative", company_ids=f"{acme.company.pk}", metrics="conversations,storage")
    assert compared["comparison_data"] == [
        {"company_id": str(acme.company.pk), "company_name": "Acme", "conversations": 1, "storage_bytes": 0}
    ]
    periods = report(super_admin_api, "comparative", compare_by="time_periods", metrics="conversations,documents")
    assert [(row["period"], row["conversations"], row["documents"]) for row in periods["comparison_data"]] == [
        ("previous", 0, 0),
        ("current", 1, 1),
    ]


def test_usage_metrics(acme: Character, globex: Character, super_admin_api: APIClient) -> None:
    today = timezone.now().date()
    CompanyDaily.objects.create(
        company=acme.company, date=today - timedelta(days=40), new_bytes=2**30, new_conversations=5, new_messages=9
    )
    add_document(acme, "a.txt", 2**30)
    add_conversation(globex)
    body = report(super_admin_api, "usage-metrics")
    assert body["storage_trends"][-1] == {
        "date": today.isoformat(), "documents_added": 1, "storage_added_bytes": 2**30, "storage_added_gb": 1.0,
        "cumulative_storage_gb": 2.0,
    }  # fmt: skip
    assert body["conversation_trends"][-1]["cumulative_conversations"] == 6
    assert body["conversation_trends"][0]["cumulative_conversations"] == 5
    assert body["user_trends"][-1] == {"date": today.isoformat(), "new_users": 2, "cumulative_users": 2}
    assert body["summary"]["total_storage_gb"] == 1.0
    other = report(super_admin_api, "usage-metrics", company_id=str(globex.company.pk), interval="week")
    assert (other["summary"]["total_conversations"], other["summary"]["total_users"]) == (1, 1)


def test_user_growth_engagement_and_retention(acme: Character, globex: Character, super_admin_api: APIClient) -> None:
    User.objects.filter(pk=globex.admin.pk).update(created_at=days_ago(200))
    growth = report(super_admin_api, "user-growth", group_by="company", interval="month")
    assert growth["breakdown"] == {"Acme": 1}
    assert (growth["summary"]["total_new_users"], growth["summary"]["growth_rate_percent"]) == (1, 100.0)
    assert growth["time_series"][-1]["cumulative_users"] == 2
    assert report(super_admin_api, "user-growth", role="user")["summary"]["total_new_users"] == 0

    add_document(acme, "a.txt")
    add_conversation(acme)
    with tenant_context(acme.company):
        record_event(actor=acme.principal, event_type="agent.updated", entity=acme.agent)
    engagement = report(super_admin_api, "user-engagement")
    assert [(row["email"], row["metrics"]["engagement_score"]) for row in engagement["engagement_metrics"]] == [
        ("admin@acme.example", 9),
        ("admin@globex.example", 0),
    ]
    assert engagement["score_distribution"] == {"none": 1, "low": 1, "medium": 0, "high": 0}
    assert report(super_admin_api, "user-engagement", min_activity=1)["summary"]["total_users"] == 1

    User.objects.filter(pk=acme.admin.pk).update(created_at=days_ago(31))
    retention = report(super_admin_api, "retention", cohort_period="month", cohort_count=12)
    last = next(row for row in reversed(retention["cohort_analysis"]) if row["cohort_size"])
    assert last["retention_periods"][0] == {"period": 0, "active_users": 0, "retention_rate": 0.0}
    assert last["retention_periods"][-1]["retention_rate"] == 100.0
    assert retention["summary"]["total_users_analyzed"] == 2


def test_system_health(super_admin_api: APIClient, acme: Character) -> None:
    new = report(super_admin_api, "system-health")
    assert (new["health"]["status"], new["metrics"]) == ("warning", {})
    SystemMetric.objects.create(name="load_1m", value=1, timestamp=timezone.now() - timedelta(minutes=16))
    assert report(super_admin_api, "system-health")["health"]["status"] == "critical"
    for value in (1.0, 3.0):
        SystemMetric.objects.create(name="answers_waiting", value=value)
    SystemMetric.objects.create(name="answers_waiting", value=99, company=acme.company)
    body = report(super_admin_api, "system-health")
    assert body["health"] == {"score": 100, "status": "healthy", "warnings": []}
    figures = {name: value for name, value in body["metrics"]["answers_waiting"].items() if name != "time_series"}
    assert figures == {"current": 3.0, "avg": 2.0, "min": 1.0, "max": 3.0, "count": 2}
    SystemMetric.objects.create(name="worker_heartbeat_age_seconds", value=3600)
    body = report(super_admin_api, "system-health", metric_name="answers_waiting", metric_type="counter")
    assert (body["health"]["score"], body["health"]["status"], body["metrics"]) == (50, "warning", {})


# --- Snapshots ----------------------------------------------------------------------------------------------------


def test_overview_storage_companies_and_agents(acme: Character, globex: Character, super_admin_api: APIClient) -> None:
    add_document(acme, "a.txt", 300)
    add_document(globex, "b.txt", 100, DocumentStatus.FAILED)
    week_ago = timezone.now().date() - timedelta(days=7)
    CompanyDaily.objects.create(company=acme.company, date=week_ago, storage_bytes=200, agents=1)
    acme.company.is_verified = True
    acme.company.save()
    UserSession.objects.create(user=acme.admin, refresh_jti="x", expires_at=timezone.now() + timedelta(days=1))

    overview = metric(super_admin_api, "overview", range="7d")
    assert overview["totals"] == {"companies": 2, "agents": 2, "documents_processed": 1, "active_users": 1}
    assert (overview["deltas"]["agents"], overview["online_users"], overview["range"]) == (100.0, 2, "7d")
    storage = metric(super_admin_api, "storage", range="7d")
    assert storage["tiers"] == [{"label": "documents", "unit": "bytes", "value": 400}]
    assert storage["trend_percent"] == 100.0
    assert metric(super_admin_api, "storage", company_id=str(globex.company.pk))["tiers"][0]["value"] == 100
    growth = metric(super_admin_api, "companies")
    assert growth["points"][-1] == {"date": timezone.now().date().replace(day=1).isoformat(), "count": 2}
    assert growth["pending_verifications"] == 1

    talk = add_conversation(acme)
    with tenant_context(acme.company):
        for position, status in enumerate((MessageStatus.COMPLETED, MessageStatus.FAILED)):
            Message.objects.create(
                conversation=talk, position=position, role=MessageRole.ASSISTANT, status=status
            )  # fmt: skip
        Message.objects.filter(status=MessageStatus.COMPLETED).update(user_feedback=1)
    agents = metric(super_admin_api, "agents", by="type")
    assert agents["buckets"] == [{"label": "active", "agent_count": 2, "avg_rating": 5.0, "sla": 50.0}]
    assert metric(super_admin_api, "agents", company_id=str(globex.company.pk))["average_sla"] == 0.0


# --- Every report -------------------------------------------------------------------------------------------------

ALL = [f"analytics/{name}" for name in REPORTS] + [f"metrics/{name}" for name in SNAPSHOTS]
# Two for the search path and the session; four for counting today anew where a report stands on the roll-up.
QUERIES = {
    "analytics/activity-trends": 4,
    "analytics/agent-performance-trends": 4,
    "analytics/change-tracking": 5,
    "analytics/company-performance": 8,
    "analytics/comparative": 8,
    "analytics/conversations": 4,
    "analytics/documents": 4,
    "analytics/retention": 7,
    "analytics/system-health": 5,
    "analytics/usage-metrics": 11,
    "analytics/user-engagement": 6,
    "analytics/user-growth": 5,
    "metrics/agents": 4,
    "metrics/companies": 4,
    "metrics/overview": 13,
    "metrics/storage": 9,
}
BAD = [
    ("analytics/activity-trends", {"start": "yesterday"}),
    ("analytics/activity-trends", {"interval": "minute"}),
    ("analytics/activity-trends", {"interval": "hour", "start": "2020-01-01"}),
    ("analytics/usage-metrics", {"start": "2024-02-01", "end": "2024-01-01"}),
    ("analytics/usage-metrics", {"end": "0001-01-01T00:00:00Z"}),
    ("analytics/usage-metrics", {"start": "9999-12-31T23:59:59-12:00"}),
    ("analytics/usage-metrics", {"start": "1900-01-01"}),
    ("analytics/user-growth", {"company_id": "acme"}),
    ("analytics/company-performance", {"limit": "101"}),
    ("analytics/company-performance", {"sort_by": "name"}),
    ("analytics/comparative", {"metrics": "users,secrets"}),
    ("analytics/comparative", {"company_ids": "1,2"}),
    ("analytics/retention", {"cohort_count": "13"}),
    ("analytics/user-engagement", {"min_activity": "-1"}),
    ("metrics/overview", {"range": "1y"}),
    ("metrics/agents", {"by": "colour"}),
]


@pytest.mark.parametrize(("path", "query"), BAD)
def test_wrong_parameters_are_refused(path: str, query: dict[str, str], super_admin_api: APIClient) -> None:
    answer = super_admin_api.get(f"{ROOT}/{path}", query)
    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"].keys() <= {*query, "start", "end"}


@pytest.mark.parametrize("path", ALL)
def test_a_report_takes_as_many_queries_for_three_companies_as_for_two(
    path: str, acme: Character, globex: Character, super_admin_api: APIClient, django_assert_num_queries: Any
) -> None:
    for is_second in (False, True):
        if is_second:
            ok(super_admin_api.post(f"{ROOT}/companies", {"name": "Third"}), 201)
        CompanyDaily.objects.all().delete()
        with django_assert_num_queries(QUERIES[path]):
            assert ok(super_admin_api.get(f"{ROOT}/{path}"))["timestamp"]


def test_periods_are_cut_into_buckets_in_utc() -> None:
    from analytics.selectors.periods import Period

    period = Period(datetime(2024, 1, 31, 23, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC), "month")
    assert [period.label(bucket) for bucket in period.buckets()] == ["2024-01-01", "2024-02-01"]
    assert period.days == (date(2024, 1, 31), date(2024, 2, 29))
    week = Period(datetime(2024, 1, 3, tzinfo=UTC), datetime(2024, 1, 8, tzinfo=UTC), "week")
    assert [week.label(bucket) for bucket in week.buckets()] == ["2024-01-01"]
