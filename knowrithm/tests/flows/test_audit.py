"""The audit log against the whole platform: the contract's scenario 18, through the published client."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from knowrithm_py.dataclass.error import KnowrithmAPIError

from knowrithm.embedded.__main__ import DEFAULT_SUPER_ADMIN
from knowrithm.embedded.credentials import platform_secrets
from knowrithm.tests.platform import FLOW, PASSWORD, Owner, Platform, bearer

pytestmark = FLOW


def events(owner: Owner, **filters: Any) -> list[str]:
    return [row["event_type"] for row in owner.client.admin.get_audit_logs(**filters)["logs"]]


def test_what_was_done_is_in_the_log_and_filters_narrow_it(owner: Owner) -> None:
    person = {"username": "max", "password": PASSWORD, "first_name": "Max", "last_name": "Weak"}
    made = owner.client.auth.create_user({"email": "max@audit.example", **person})["user"]
    agent_id = owner.create_agent("Audited")
    owner.client.agents.update_agent(agent_id, {"name": "Audited again"})

    # A worker adds its own rows about the mails that it has sent.
    found = [row for row in owner.client.admin.get_audit_logs(limit=5)["logs"] if "_mailed" not in row["event_type"]]
    assert [row["event_type"] for row in found][:3] == ["agent.updated", "agent.created", "user.created"]
    newest, _, created = found[:3]
    assert newest["changes"] == {"name": ["Audited", "Audited again"]}
    assert (created["entity_id"], created["company_id"]) == (made["id"], owner.company_id)

    assert events(owner, entity_type="agent", limit=1, offset=1) == ["agent.created"]
    assert events(owner, event_type="user.created", limit=1) == ["user.created"]
    assert set(events(owner, entity_type="agent")) == {"agent.created", "agent.updated"}
    assert {row["risk_level"] for row in owner.client.admin.get_audit_logs(risk_level="medium")["logs"]} == {"medium"}
    with pytest.raises(KnowrithmAPIError) as caught:
        owner.client.admin.get_audit_logs(risk_level="awful")
    assert caught.value.status_code == 400


def test_what_governs_people_is_in_the_log(platform: Platform) -> None:
    """The events of the scenarios 15 to 17 are the newest five, each with who did it to whom."""
    owner = platform.found_company()
    admin, login = owner.client.admin, platform.client().auth.login
    password = platform_secrets(platform.data_dir / "secrets.env")["SUPER_ADMIN_PASSWORD"]
    sa = bearer(login(DEFAULT_SUPER_ADMIN, password)["access_token"])
    people = []
    for name in ("suspended", "promoted"):
        person = {"username": name, "password": PASSWORD, "first_name": name.capitalize(), "last_name": "Person"}
        people.append(owner.client.auth.create_user({"email": f"{name}@{owner.email[6:]}", **person})["user"])
    suspended, promoted = people
    admin.force_password_reset(suspended["id"])
    platform.mailed_to(suspended["email"], "/password/reset")

    admin.update_user_status(suspended["id"], "suspended", reason="Left")
    admin.update_user_role(promoted["id"], "admin", headers=sa)
    admin.impersonate_user(promoted["id"], headers=sa)
    admin.upsert_system_configuration("greeting", {"a": 1}, is_sensitive=True)

    logs = [row for row in admin.get_audit_logs(limit=5)["logs"] if not row["event_type"].endswith("_mailed")]
    assert [row["event_type"] for row in logs][:4] == [
        "config.updated",
        "user.impersonation_started",
        "user.role_changed",
        "user.status_changed",
    ]
    config, acting, role, status = logs[:4]
    assert "1" not in str(config["changes"])
    assert (acting["entity_id"], role["entity_id"]) == (promoted["id"], promoted["id"])
    assert role["changes"] == {"role": ["user", "admin"]}
    assert (status["entity_id"], status["changes"]["status"]) == (suspended["id"], ["active", "suspended"])
    assert events(owner, event_type="user.password_reset_forced") == ["user.password_reset_forced"]
    assert sorted(set(events(owner, entity_type="config"))) == ["config.updated"]
    assert {row["risk_level"] for row in admin.get_audit_logs(risk_level="high")["logs"]} == {"high"}


def test_a_key_without_admin_is_refused(owner: Owner) -> None:
    key = owner.client.api_keys.create_api_key({"name": "reader", "scopes": ["read"]}, headers=owner.jwt)
    reader = owner.platform.client(key["api_key"], key["api_secret"])
    with pytest.raises(KnowrithmAPIError) as caught:
        reader.admin.get_audit_logs()
    assert caught.value.status_code == 403


def test_the_download_streams(owner: Owner) -> None:
    answer = owner.platform.get("/api/v1/audit-log/export?entity_type=api_key", headers=owner.headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["event_type"].split(".")[0] for row in rows} == {"api_key"}
    assert answer.headers.get("Transfer-Encoding") == "chunked"
