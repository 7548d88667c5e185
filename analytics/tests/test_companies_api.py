"""A company's own statistics and metrics."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from analytics import metrics, tasks
from analytics.models import SystemMetric
from analytics.tests.test_console_api import add_conversation, add_document, ok
from conftest import Character, key_client
from knowrithm.db.redis import sync_redis
from leads.enums import LeadStatus
from leads.models import Lead

STATISTICS = "/api/v1/company/statistics"


def add_lead(owner: Character, status: str, days: int = 0) -> None:
    with tenant_context(owner.company):
        Lead.objects.create(
            agent=owner.agent, first_name="Eve", email=f"{uuid.uuid4().hex}@example.org", status=status,
            created_at=timezone.now() - timedelta(days=days),
        )  # fmt: skip


def test_statistics_are_those_of_the_callers_company(
    acme: Character, globex: Character, acme_api: APIClient, super_admin_api: APIClient
) -> None:
    for status in (LeadStatus.NEW, LeadStatus.QUALIFIED, LeadStatus.CONVERTED):
        add_lead(acme, status)
    add_lead(acme, LeadStatus.QUALIFIED, days=10)
    add_lead(globex, LeadStatus.CONVERTED)
    add_conversation(acme)
    expected = {
        "total_leads": 3, "qualified_leads": 2, "conversion_rate": 33.33, "active_conversations": 1, "period_days": 7,
    }  # fmt: skip

    body = ok(acme_api.get(STATISTICS, {"days": 7}))

    assert body == {**expected, "statistics": expected, "success": True}
    assert ok(acme_api.get(STATISTICS))["total_leads"] == 4
    own = f"/api/v1/company/{acme.company.pk}/statistics"
    assert ok(key_client(acme, "read").get(own, {"days": 7})) == body
    assert acme_api.get(f"/api/v1/company/{globex.company.pk}/statistics").status_code == 404
    assert acme_api.get(f"/api/v1/company/{uuid.uuid4()}/statistics").status_code == 404
    assert ok(super_admin_api.get(own, {"days": 7})) == body
    assert ok(super_admin_api.get(STATISTICS, {"company_id": str(globex.company.pk)}))["conversion_rate"] == 100.0
    assert super_admin_api.get(STATISTICS).status_code == 400
    assert acme_api.get(STATISTICS, {"days": "many"}).json()["errors"].keys() == {"days"}


def test_related_data_is_counted_for_super_admins(
    acme: Character, globex: Character, acme_api: APIClient, super_admin_api: APIClient
) -> None:
    add_document(acme, "a.txt")
    add_lead(acme, LeadStatus.NEW)
    url = f"/api/v1/company/{acme.company.pk}/related-data"
    assert ok(super_admin_api.get(url))["related_data"] == {
        "agents": 1, "leads": 1, "documents": 1, "users": 1, "conversations": 0, "connections": 0,
    }  # fmt: skip
    assert acme_api.get(url).status_code == 403
    assert super_admin_api.get(f"/api/v1/company/{uuid.uuid4()}/related-data").status_code == 404


# --- System metrics -----------------------------------------------------------------------------------------------


def latest(name: str, **company: Any) -> float:
    return SystemMetric.objects.filter(name=name, **company).latest("timestamp").value


def test_a_company_is_read_in_its_own_schema(acme: Character, globex: Character) -> None:
    add_document(acme, "a.txt", 100)
    add_document(globex, "b.txt", 900)
    tasks.collect_company.run(acme.company.schema_name)
    assert (latest("documents", company=acme.company), latest("storage_bytes", company=acme.company)) == (1, 100)
    assert not SystemMetric.objects.exclude(company=acme.company).exists()


def test_a_reading_that_has_not_changed_is_stored_once_an_hour(acme: Character) -> None:
    def count() -> int:
        with tenant_context(acme.company):
            metrics.collect_company(acme.company)
        return SystemMetric.objects.filter(name="documents").count()

    assert [count(), count()] == [1, 1]
    add_document(acme, "a.txt")
    assert count() == 2
    SystemMetric.objects.update(timestamp=timezone.now() - timedelta(hours=1))
    assert count() == 3
    with tenant_context(acme.company):
        metrics.collect_company(acme.company, is_asked=True)
    assert SystemMetric.objects.filter(name="documents").count() == 4


def test_the_platform_is_read_over_all_companies(acme: Character, globex: Character) -> None:
    add_document(acme, "a.txt", 100, "pending")
    add_document(globex, "b.txt", 900, "failed")
    sync_redis().delete("slow")
    sync_redis().rpush("slow", "message")
    metrics.collect_platform()
    sync_redis().delete("slow")
    names = ("documents_waiting", "documents_failed_24h", "storage_bytes", "queue_depth_slow", "companies")
    assert [latest(name, company=None) for name in names] == [1, 1, 1000, 1, 2]
    assert latest("database_size_bytes") > 0


def test_old_readings_are_removed(acme: Character) -> None:
    for days in (29, 31):
        SystemMetric.objects.create(name="x", value=days, timestamp=timezone.now() - timedelta(days=days))
    assert metrics.prune() == 1
    assert SystemMetric.objects.get().value == 29


@pytest.mark.parametrize("path", ["admin/system-metric", "admin/metrics", "system/metrics", "metrics"])
def test_metrics_of_a_company_are_for_its_admins(
    path: str, acme: Character, globex: Character, acme_api: APIClient, super_admin_api: APIClient
) -> None:
    for company, value in ((acme.company, 1), (globex.company, 2), (None, 3)):
        SystemMetric.objects.create(company=company, name="documents", value=value, labels={"unit": "files"})
    SystemMetric.objects.create(company=acme.company, name="old", value=1, timestamp=timezone.now() - timedelta(days=2))
    url = f"/api/v1/{path}"

    body = ok(acme_api.get(url))

    assert body["generated_at"]
    assert {name: [(row["value"], row["labels"]) for row in rows] for name, rows in body["metrics"].items()} == {
        "documents": [(1.0, {"unit": "files"})]
    }
    assert ok(key_client(acme, "admin").get(url))["metrics"] == body["metrics"]
    assert key_client(acme, "read", "write").get(url).status_code == 403
    assert acme_api.get(url, {"company_id": str(globex.company.pk)}).status_code == 404
    assert ok(super_admin_api.get(url))["metrics"]["documents"][0]["value"] == 3
    assert ok(super_admin_api.get(url, {"company_id": str(globex.company.pk)}))["metrics"]["documents"][0]["value"] == 2
    any_company = f"/api/v1/super-admin/company/{acme.company.pk}/system-metric"
    assert ok(super_admin_api.get(any_company))["metrics"] == body["metrics"]
    assert acme_api.get(any_company).status_code == 403


def test_metrics_are_collected_on_demand(acme: Character, acme_api: APIClient, super_admin_api: APIClient) -> None:
    body = ok(acme_api.post("/api/v1/system-metric"), 202)
    assert body["status_url"] == f"/api/v1/tasks/{body['task_id']}/status"
    tasks.collect_requested.run(acme.company.schema_name, body["task_id"])
    status = ok(acme_api.get(body["status_url"]))
    assert (status["status"], status["result"]["metrics_collected"]) == ("completed", 12)
    assert "documents" in ok(acme_api.get("/api/v1/metrics"))["metrics"]
    assert key_client(acme, "read").post("/api/v1/system-metric").status_code == 403
    assert ok(super_admin_api.post("/api/v1/system-metric"))["metrics_collected"] > 10
    asked = super_admin_api.post(f"/api/v1/system-metric?company_id={acme.company.pk}")
    assert ok(asked, 202)["status"] == "accepted"
