"""Calls of API keys: counted in Redis, stored once, and told at any moment as they were."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from analytics.usage import rollups, selectors
from analytics.usage.models import StoredBatch, UsageHour
from conftest import Character, key_client, page_client
from knowrithm.db.redis import impatient_redis
from tenants import key_use
from tenants.models import ApiKey, User
from tenants.services import create_api_key

pytestmark = pytest.mark.usefixtures("empty_redis")
REPORTS = (
    "overview",
    "usage-trends",
    "top-endpoints",
    "api-key-performance",
    "error-analysis",
    "rate-limit-analysis",
)


@pytest.fixture
def empty_redis(acme: Character, globex: Character) -> Iterator[None]:
    """The tests roll the database back; what they counted in Redis stays."""

    def forget() -> None:
        for who in (acme, globex):
            impatient_redis().delete(key_use._open(who.company.id), key_use._closed(who.company.id))
            impatient_redis().srem(key_use.COMPANIES, str(who.company.id))

    forget()
    yield
    forget()


@pytest.fixture
def key(acme: Character) -> ApiKey:
    return create_api_key(actor=acme.principal, name="robot", scopes=["read", "admin"]).row


def count(key: ApiKey, times: int = 1, *, status: int = 200, endpoint: str = "/api/v1/agent", ms: float = 10) -> None:
    use = key_use.KeyUse(key.company_id, key.id)
    for _ in range(times):
        key_use.count_use(use, method="GET", endpoint=endpoint, status=status, milliseconds=ms)


def total(key: ApiKey) -> int:
    return selectors.total_usage(key.company_id, days=1, key_id=key.id).requests


def report(client: APIClient, path: str, **query: Any) -> Any:
    answer = client.get(f"/api/v1/{path}", query)
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (list(body), body["success"]) == (["success", "data"], True)
    return body["data"]


# --- Counting and storing -----------------------------------------------------------------------------------------


def test_a_call_is_counted_under_its_route_and_holds_no_id(acme: Character) -> None:
    client = key_client(acme, "read")
    agent = client.get(f"/v1/agent/by-name/{acme.agent.name}?secret=hunter2")
    missing = client.get(f"/api/api/v1/document/{uuid.uuid4()}")
    assert (agent.status_code, missing.status_code) == (200, 404)

    [batch] = key_use.waiting(acme.company.id)
    assert sorted((row.method, row.endpoint, row.status, row.count) for row in batch.rows) == [
        ("GET", "/api/v1/agent/by-name/{name}", 200, 1),
        ("GET", "/api/v1/document/{document_id}", 404, 1),
    ]
    stored = str(impatient_redis().hgetall(key_use._open(acme.company.id)))
    assert "hunter2" not in stored


def test_made_up_verbs_do_not_fill_the_table(acme: Character) -> None:
    client = key_client(acme, "read")
    for number in range(3):
        client.generic(f"MADEUP{number}", "/api/v1/agent")
    [batch] = key_use.waiting(acme.company.id)
    assert [(row.method, row.status, row.count) for row in batch.rows] == [("OTHER", 405, 3)]


def test_what_is_not_a_key_s_call_is_not_counted(acme: Character, acme_api: APIClient, anonymous: APIClient) -> None:
    acme_api.get("/api/v1/agent")
    anonymous.get("/api/v1/agent")
    anonymous.get("/api/v1/agent", HTTP_X_API_KEY="ak_no", HTTP_X_API_SECRET="sk_no")
    assert key_use.waiting(acme.company.id) == []


def test_storing_moves_every_call_once(key: ApiKey) -> None:
    count(key, 3, ms=10)
    count(key, 1, status=500, ms=30)
    rollups.store_waiting()
    count(key, 2, ms=50)
    rollups.store_waiting()
    rollups.store_waiting()

    rows = UsageHour.objects.filter(api_key=key).order_by("status")
    assert [(row.status, row.count, row.total_ms, row.max_ms) for row in rows] == [(200, 5, 130, 50), (500, 1, 30, 30)]
    assert key_use.waiting(key.company_id) == []
    assert key.company_id not in key_use.companies_with_batches()
    key.refresh_from_db()
    assert key.usage_count == 6
    assert key.last_used_at is not None
    assert timezone.now() - key.last_used_at < timedelta(minutes=1)


def test_a_worker_that_dies_before_the_commit_loses_nothing(key: ApiKey, monkeypatch: pytest.MonkeyPatch) -> None:
    count(key, 4)

    def die(**_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(rollups, "add_key_uses", die)
        with pytest.raises(KeyboardInterrupt):
            rollups.store_company(key.company_id)
    assert UsageHour.objects.filter(api_key=key).count() == 0
    assert total(key) == 4
    count(key, 1)
    assert total(key) == 5
    rollups.store_waiting()
    assert total(key) == sum(UsageHour.objects.filter(api_key=key).values_list("count", flat=True)) == 5


def test_a_worker_that_dies_after_the_commit_doubles_nothing(key: ApiKey, monkeypatch: pytest.MonkeyPatch) -> None:
    count(key, 4)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(key_use, "finish_batch", die)
        with pytest.raises(KeyboardInterrupt):
            rollups.store_company(key.company_id)
    count(key, 1)
    assert total(key) == 5  # the batch is in both places, and is told once
    rollups.store_waiting()
    assert total(key) == sum(UsageHour.objects.filter(api_key=key).values_list("count", flat=True)) == 5
    key.refresh_from_db()
    assert key.usage_count == 5


def test_calls_are_counted_while_batches_are_taken(key: ApiKey) -> None:
    """Threads count, and this one takes: what it takes and what is left is what was counted."""
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(count, key, 50) for _ in range(8)]
        while not all(one.done() for one in running):
            rollups.store_company(key.company_id)
    rollups.store_company(key.company_id)
    assert total(key) == UsageHour.objects.get(api_key=key).count == 400


def test_a_batch_of_a_purged_key_does_not_block_the_others(key: ApiKey, acme: Character) -> None:
    gone = create_api_key(actor=acme.principal, name="gone").row
    count(gone, 2)
    count(key, 1)
    ApiKey.objects.filter(pk=gone.pk).delete()
    rollups.store_waiting()
    assert list(UsageHour.objects.values_list("api_key", "count")) == [(key.id, 1)]


def test_a_key_of_another_company_in_a_batch_is_left_out(key: ApiKey, globex: Character) -> None:
    count(key)
    [batch] = key_use.waiting(key.company_id)
    rollups.store_batch(globex.company.id, batch)
    assert UsageHour.objects.count() == 0


def test_figures_are_kept_for_ninety_days(key: ApiKey) -> None:
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    common = {"company_id": key.company_id, "api_key": key, "endpoint": "/", "method": "GET", "status": 200}
    for days in (89, 91):
        UsageHour.objects.create(**common, hour=now - timedelta(days=days), count=1, total_ms=1, max_ms=1)
    rollups.purge_old()
    assert [row.hour for row in UsageHour.objects.all()] == [now - timedelta(days=89)]


def test_ids_of_batches_are_forgotten_after_a_day(db: None) -> None:
    old = StoredBatch.objects.create(stored_at=timezone.now() - timedelta(days=2))
    new = StoredBatch.objects.create()
    rollups.store_waiting()
    assert list(StoredBatch.objects.filter(pk__in=[old.pk, new.pk])) == [new]


# --- Reports ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [False, True], ids=["waiting", "stored"])
def test_the_seven_reports(acme: Character, acme_api: APIClient, key: ApiKey, stored: bool) -> None:
    create_api_key(actor=acme.principal, name="idle")
    count(key, 6, ms=10)
    count(key, 2, status=404, endpoint="/api/v1/document/{document_id}", ms=30)
    count(key, 1, status=429, ms=0)
    if stored:
        rollups.store_waiting()
    today = datetime.now(UTC).date().isoformat()
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    prefix = key.key_prefix

    overview = report(acme_api, "overview", days=7)
    assert overview == {
        "period_days": 7,
        "api_keys": {"total": 2, "active": 2, "revoked": 0, "expired": 0},
        "usage": {"total_requests": 9, "success_rate": 66.67, "avg_response_time_ms": 13.33},
    }
    figures = {"total_requests": 9, "success_rate": 66.67, "avg_response_time": 13.33}
    assert report(acme_api, "usage-trends") == {
        "period_days": 30,
        "granularity": "daily",
        "trends": [{"period": f"{today}T00:00:00Z", **figures}],
    }
    [point] = report(acme_api, "usage-trends", granularity="hourly")["trends"]
    assert datetime.fromisoformat(point["period"]) == hour
    assert report(acme_api, "top-endpoints", limit=1) == {
        "period_days": 30,
        "endpoints": [
            {
                "endpoint": "/api/v1/agent",
                "method": "GET",
                "total_requests": 7,
                "success_rate": 85.71,
                "avg_response_time": 8.57,
            }
        ],
    }
    performance = report(acme_api, "api-key-performance")["api_keys"]
    assert [(row["name"], row["total_requests"]) for row in performance] == [("robot", 9), ("idle", 0)]
    assert performance[0] == {
        "api_key_id": str(key.id),
        "name": "robot",
        "key_prefix": prefix,
        "status": "active",
        **figures,
        "last_used_at": performance[0]["last_used_at"],
        "created_at": performance[0]["created_at"],
    }
    assert report(acme_api, "error-analysis") == {
        "period_days": 30,
        "status_code_breakdown": [{"status_code": 404, "count": 2}, {"status_code": 429, "count": 1}],
        "top_error_endpoints": [
            {"endpoint": "/api/v1/document/{document_id}", "method": "GET", "error_count": 2},
            {"endpoint": "/api/v1/agent", "method": "GET", "error_count": 1},
        ],
    }
    assert report(acme_api, "rate-limit-analysis") == {
        "period_days": 30,
        "high_usage_api_keys": [
            {
                "api_key_id": str(key.id),
                "name": "robot",
                "key_prefix": prefix,
                "hourly_limit": 1000,
                "hourly_requests": 8,
                "hourly_usage_pct": 0.8,
                "daily_limit": 10000,
                "daily_requests": 8,
                "daily_usage_pct": 0.08,
            }
        ],
    }
    assert report(acme_api, f"detailed-usage/{key.id}", days=3) == {
        "period_days": 3,
        "api_key": {
            "id": str(key.id),
            "name": "robot",
            "key_prefix": prefix,
            "scopes": ["read", "admin"],
            "status": "active",
        },
        "daily_breakdown": [{"date": today, "total_requests": 9, "success_rate": 66.67}],
        "endpoint_breakdown": [
            {
                "endpoint": "GET /api/v1/agent",
                "total_requests": 7,
                "success_rate": 85.71,
                "avg_response_time": 8.57,
            },
            {
                "endpoint": "GET /api/v1/document/{document_id}",
                "total_requests": 2,
                "success_rate": 0.0,
                "avg_response_time": 30.0,
            },
        ],
        "total_logs": 9,
    }


def test_a_report_of_nothing_is_whole(acme_api: APIClient, key: ApiKey) -> None:
    assert report(acme_api, "overview")["usage"] == {
        "total_requests": 0,
        "success_rate": 0.0,
        "avg_response_time_ms": 0.0,
    }
    assert report(acme_api, "usage-trends")["trends"] == []
    assert report(acme_api, f"detailed-usage/{key.id}")["total_logs"] == 0


def test_the_period_begins_with_its_first_day(acme_api: APIClient, key: ApiKey) -> None:
    midnight = datetime.combine(selectors.first_day(1), datetime.min.time(), UTC)
    common = {"company_id": key.company_id, "api_key": key, "endpoint": "/", "method": "GET", "status": 200}
    for hours in (0, 1, 25):
        UsageHour.objects.create(**common, hour=midnight - timedelta(hours=hours), count=1, total_ms=1, max_ms=1)
    totals = [report(acme_api, "overview", days=days)["usage"]["total_requests"] for days in (1, 2, 3)]
    assert totals == [1, 2, 3]


@pytest.mark.parametrize("path", [*REPORTS, "detailed-usage/{key}"])
@pytest.mark.parametrize(
    "query", [{"days": "0"}, {"days": "-3"}, {"days": "many"}, {"days": "9" * 30}, {"days": "1.5"}]
)
def test_a_period_that_is_none_is_refused(acme_api: APIClient, key: ApiKey, path: str, query: dict[str, str]) -> None:
    answer = acme_api.get(f"/api/v1/{path.format(key=key.id)}", query)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["days"])


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [("top-endpoints", "limit", "0"), ("top-endpoints", "limit", "x"), ("usage-trends", "granularity", "yearly")],
)
def test_other_bad_options_are_refused(acme_api: APIClient, path: str, field: str, value: str) -> None:
    answer = acme_api.get(f"/api/v1/{path}", {field: value})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


@pytest.mark.parametrize(
    ("scopes", "status"),
    [(["read"], 403), (["admin"], 403), (["read", "write"], 403), (["read", "admin"], 200), (["full_access"], 200)],
)
def test_a_key_needs_both_read_and_admin(acme: Character, scopes: list[str], status: int) -> None:
    client = key_client(acme, *scopes)
    assert {client.get(f"/api/v1/{path}").status_code for path in REPORTS} == {status}


def test_people_need_to_be_admins(acme: Character) -> None:
    colleague = User.objects.create(company=acme.company, email="bob@acme.example", username="bob", role="user")
    who = Character(acme.company, colleague, acme.agent)
    assert page_client(who).get("/api-usage").status_code == 403
    assert page_client(who).get("/api-usage/sparklines").status_code == 200


def test_companies_see_their_own_calls_only(
    acme: Character, acme_api: APIClient, globex: Character, globex_api: APIClient, key: ApiKey
) -> None:
    count(key, 3)
    other = create_api_key(actor=globex.principal, name="globex robot").row
    count(other, 5)
    for _ in range(2):  # waiting, then stored
        assert report(acme_api, "overview")["usage"]["total_requests"] == 3
        assert report(globex_api, "overview")["usage"]["total_requests"] == 5
        assert globex_api.get(f"/api/v1/detailed-usage/{key.id}").status_code == 404
        assert "robot" not in str(report(acme_api, "rate-limit-analysis")).replace("'name': 'robot'", "")
        rollups.store_waiting()


def test_a_key_sees_its_calls_at_once(acme: Character) -> None:
    client = key_client(acme, "read", "admin")
    for _ in range(5):
        client.get("/api/v1/agent")
    key = ApiKey.objects.get(name="test", company=acme.company)
    assert report(client, f"detailed-usage/{key.id}")["total_logs"] == 5
    assert client.get("/api/v1/auth/validate").json()["api_key_info"]["usage_count"] == 6
    rollups.store_waiting()
    assert client.get("/api/v1/auth/validate").json()["api_key_info"]["usage_count"] == 7


# --- Pages and queries --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [0, 2])
def test_reports_ask_the_same_few_questions(
    acme: Character, key: ApiKey, others: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    keys = [key, *(create_api_key(actor=acme.principal, name=f"n{number}").row for number in range(others))]
    for number, one in enumerate(keys):
        count(one)
        count(one, status=400 + number, endpoint=f"/api/v1/e{number}")
    rollups.store_waiting()
    with django_assert_num_queries(1):
        selectors.usage_by(acme.company.id, "key_id", "hour", "endpoint", days=30)
    with django_assert_num_queries(2):
        selectors.peaks(acme.company.id, days=30)
    client = page_client(acme)
    with django_assert_num_queries(10):
        assert client.get("/api-usage").status_code == 200


def test_the_page_shows_the_figures(acme_client: Client, key: ApiKey) -> None:
    count(key, 1200, ms=1)
    count(key, 3, status=404, endpoint="/api/v1/document/{document_id}")
    text = acme_client.get("/api-usage?days=7").content.decode()
    assert "1,203" in text
    assert "GET /api/v1/document/{document_id}" in text
    assert '<option value="7" selected>' in text
    assert text.count("<rect") == 2  # one bar, and its failed part
    assert "style=" not in text
    only = acme_client.get(f"/api-usage?key={key.id}")
    assert (only.status_code, only.context["key"]) == (200, key)


def test_the_page_of_no_calls_says_what_to_do(acme_client: Client) -> None:
    for query in ("", "?days=x&key=x", "?days=90&key="):
        assert "No calls in this period" in acme_client.get(f"/api-usage{query}").content.decode()


def test_sparklines_are_of_the_keys_one_sees(acme_client: Client, globex_client: Client, key: ApiKey) -> None:
    count(key, 4)
    mine = acme_client.get("/api-usage/sparklines").content.decode()
    assert f'id="spark-{key.id}" hx-swap-oob="true"><svg' in mine
    assert "4 calls in the last 14 days" in mine
    assert str(key.id) not in globex_client.get("/api-usage/sparklines").content.decode()
