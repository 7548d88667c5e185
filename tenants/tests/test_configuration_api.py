"""Configuration: whose entries one sees and writes, and that sensitive values stay where they belong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.utils import timezone
from django_tenants.utils import schema_context
from rest_framework.test import APIClient

from conftest import Character, key_client, super_admin_in_browser
from tenants.audit.models import AuditEvent
from tenants.audit.services import log_of
from tenants.models import Company, SystemConfig, User
from tenants.services import configuration
from tenants.tests.test_people_api import API, UNKNOWN, add, client_of, events, root, root_api

__all__ = ["root", "root_api"]  # fixtures
SECRET = "s3cret-5f21"


def put(client: APIClient, key: str, value: Any, **fields: Any) -> Any:
    return client.patch(f"{API}/config", {"config_key": key, "config_value": value, **fields})


def seen(client: APIClient, query: str = "") -> dict[str, Any]:
    values: dict[str, Any] = client.get(f"{API}/config{query}").json()["config"]
    return values


def test_a_sensitive_value_is_for_super_admins_alone(acme: Character, acme_api: APIClient, root_api: APIClient) -> None:
    made = put(acme_api, "smtp", {"password": SECRET}, is_sensitive=True, description="Mail")
    assert (made.status_code, made.json()["config_value"], made.json()["is_hidden"]) == (200, None, True)
    for client in (acme_api, key_client(acme, "admin")):
        body = client.get(f"{API}/config").json()
        assert body["config"] == {"smtp": None}
        [entry] = body["configs"]
        assert (entry["config_value"], entry["is_hidden"], entry["is_sensitive"], entry["description"]) == (
            None,
            True,
            True,
            "Mail",
        )
        assert SECRET not in json.dumps(body)
    assert seen(root_api) == seen(root_api, f"?company_id={acme.company.id}") == {"smtp": {"password": SECRET}}
    with connection.cursor() as cursor:
        cursor.execute("SELECT encrypted_value FROM tenants_systemconfig")
        assert SECRET not in cursor.fetchone()[0]


def test_a_sensitive_value_is_in_no_log(acme: Character, acme_api: APIClient, caplog: pytest.LogCaptureFixture) -> None:
    put(acme_api, "token", "clear-at-first")
    put(acme_api, "token", SECRET, is_sensitive=True)
    put(acme_api, "token", f"{SECRET}-2")  # stays sensitive
    put(acme_api, "token", "clear again", is_sensitive=False)
    rows = events(acme.company, "config.updated")
    assert SECRET not in json.dumps([row.changes for row in rows]) + caplog.text
    assert [row.changes["config_value"] for row in rows] == [
        [None, "clear-at-first"],
        ["[redacted]", "[redacted]"],
        ["[redacted]", "[redacted]"],
        ["[redacted]", "clear again"],
    ]
    assert [row.risk_level for row in rows] == ["medium", "high", "high", "medium"]
    assert seen(acme_api) == {"token": "clear again"}


def test_a_company_sees_its_own_and_what_the_platform_shows(
    acme_api: APIClient, globex: Character, globex_api: APIClient, root_api: APIClient
) -> None:
    put(acme_api, "colour", "green")
    put(globex_api, "colour", "blue")
    put(root_api, "colour", "grey")
    put(root_api, "limit", 5)
    put(root_api, "root.key", SECRET, is_sensitive=True)
    assert seen(acme_api) == {"colour": "green", "limit": 5}
    assert seen(globex_api) == {"colour": "blue", "limit": 5}
    assert seen(globex_api, f"?company_id={globex.company.id}") == {"colour": "blue"}
    everything = root_api.get(f"{API}/config").json()["configs"]
    assert sorted((entry["config_key"], str(entry["config_value"])) for entry in everything) == [
        ("colour", "blue"),
        ("colour", "green"),
        ("colour", "grey"),
        ("limit", "5"),
        ("root.key", SECRET),
    ]
    put(root_api, "colour", "red", company_id=str(globex.company.id))
    assert seen(globex_api)["colour"] == "red"
    with schema_context("public"):
        platform = AuditEvent.objects.filter(event_type="config.updated").count()
    assert (platform, len(events(globex.company, "config.updated"))) == (3, 2)


def test_who_may(acme: Character, globex: Character, acme_api: APIClient, root_api: APIClient) -> None:
    ann = client_of(add(acme, "ann"))
    for client in (ann, key_client(acme, "read", "write")):
        assert (client.get(f"{API}/config").status_code, put(client, "k", 1).status_code) == (403, 403)
    assert put(acme_api, "k", 1, company_id=str(globex.company.id)).status_code == 404
    assert put(root_api, "k", 1, company_id=UNKNOWN).status_code == 404
    assert not SystemConfig.objects.exists()


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "", "text", [], [1, {"a": None}], {}, {"a": {"b": [1]}}, "😀"])
def test_any_json_comes_back_as_it_went_in(acme_api: APIClient, value: Any) -> None:
    assert put(acme_api, "k", value).json()["config_value"] == value
    assert seen(acme_api) == {"k": value}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"config_value": 1}, "config_key"),
        ({"config_key": "k"}, "config_value"),
        ({"config_key": "", "config_value": 1}, "config_key"),
        ({"config_key": "a b", "config_value": 1}, "config_key"),
        ({"config_key": "é", "config_value": 1}, "config_key"),
        ({"config_key": "k" * 101, "config_value": 1}, "config_key"),
        ({"config_key": ["k"], "config_value": 1}, "config_key"),
        ({"config_key": "k", "config_value": "x" * 70_000}, "config_value"),
        ({"config_key": "k", "config_value": 1, "is_sensitive": "perhaps"}, "is_sensitive"),
        ({"config_key": "k", "config_value": 1, "company_id": "acme"}, "company_id"),
        ({"config_key": "k", "config_value": 1, "description": "x" * 501}, "description"),
    ],
)
def test_bad_input_is_refused_by_its_name(acme_api: APIClient, body: dict[str, Any], field: str) -> None:
    answer = acme_api.patch(f"{API}/config", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_a_company_cannot_store_without_end(acme_api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "MAX_ENTRIES", 2)
    assert [put(acme_api, key, 1).status_code for key in ("a", "b", "c", "a")] == [200, 200, 409, 200]


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_costs_the_same_for_one_and_three(
    acme_api: APIClient, count: int, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        put(acme_api, f"k{number}", number)
    with django_assert_num_queries(3):  # session with its people and company, search path, the entries
        assert len(acme_api.get(f"{API}/config").json()["configs"]) == count


def test_the_admin_writes_through_the_service(acme: Character, root: User) -> None:
    client = super_admin_in_browser(root)
    form = {"company": str(acme.company.id), "config_key": "k", "value": '{"a": 1}', "is_sensitive": "on"}
    assert client.post("/admin/tenants/systemconfig/add/", form).status_code == 302
    row = SystemConfig.objects.get()
    assert (row.company_id, row.config_value, row.is_sensitive) == (acme.company.id, {"a": 1}, True)
    path = f"/admin/tenants/systemconfig/{row.pk}/change/"
    assert "&quot;a&quot;: 1" in client.get(path).content.decode()
    assert client.post(path, {"value": "[2]", "config_type": "list"}).status_code == 302
    row.refresh_from_db()
    assert (row.config_value, row.is_sensitive, SystemConfig.objects.count()) == ([2], False, 1)
    assert [event.actor_label for event in events(acme.company, "config.updated")] == ["root@example.org"] * 2


def test_a_sensitive_value_of_the_admin_is_in_no_log(acme: Character, root: User) -> None:
    client = super_admin_in_browser(root)
    form = {"company": str(acme.company.id), "config_key": "smtp", "value": json.dumps(SECRET), "is_sensitive": "on"}
    client.post("/admin/tenants/systemconfig/add/", form)
    row = SystemConfig.objects.get()
    client.post(
        f"/admin/tenants/systemconfig/{row.pk}/change/", {"value": json.dumps(SECRET * 2), "is_sensitive": "on"}
    )
    assert row.encrypted_value != SystemConfig.objects.get().encrypted_value
    told = list(LogEntry.objects.values_list("object_repr", "change_message"))
    for owner in (acme.company, None):
        with log_of(owner):
            told += AuditEvent.objects.values_list("event_type", "changes")
    assert SECRET not in str(told)
    assert [event.event_type for event in events(acme.company, "config")] == ["config.updated"] * 2


def test_what_the_service_refuses_is_said_in_the_admin(
    acme: Character, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = super_admin_in_browser(root)
    monkeypatch.setattr(configuration, "MAX_ENTRIES", 1)
    Company.objects.filter(pk=acme.company.pk).update(archived_at=timezone.now())
    path = "/admin/tenants/systemconfig/add/"
    said = []
    for company, key, value in (
        (str(acme.company.pk), "a", "1"),  # archived
        ("", "b", json.dumps("x" * 70_000)),
        ("", "c", "1"),
        ("", "d", "1"),  # one too many
    ):
        answer = client.post(path, {"company": company, "config_key": key, "value": value}, follow=True)
        said.append((answer.status_code, str(next(iter(answer.context["messages"])))))
    assert said[2][1].startswith("The configuration entry")
    assert [said[0], said[1], said[3]] == [
        (200, "There is no such company."),
        (200, "The value is too long: at most 65536 characters of JSON."),
        (200, "There are 1 entries already, which is the most."),
    ]
    assert [row.config_key for row in SystemConfig.objects.all()] == ["c"]
