"""System metrics, statistics and the super admin's console on the whole platform: the contract's scenario 19."""

from __future__ import annotations

from typing import Any

import pytest

from knowrithm.embedded.credentials import platform_secrets
from knowrithm.tests.platform import FLOW, Owner, Platform, bearer

pytestmark = FLOW


@pytest.fixture(scope="module")
def root(platform: Platform) -> dict[str, str]:
    """The headers of the super admin that a first start makes."""
    password = platform_secrets(platform.data_dir / "secrets.env")["SUPER_ADMIN_PASSWORD"]
    return bearer(platform.client().auth.login("admin@knowrithm.local", password)["access_token"])


def test_metrics_are_collected_and_read(owner: Owner, root: dict[str, str]) -> None:
    collected = owner.client.analytics.trigger_system_metric_collection()
    assert collected["metrics_collected"] == 12
    metrics = owner.client.admin.get_company_system_metrics()["metrics"]
    assert metrics["users"][-1]["value"] >= 1
    assert owner.client.admin.get_company_system_metrics(headers=owner.jwt)["metrics"] == metrics
    public = owner.platform.client()
    assert public.admin.get_company_system_metrics(company_id=owner.company_id, headers=root)["metrics"] == metrics


def test_statistics_have_the_keys_of_the_contract(owner: Owner) -> None:
    body = owner.client.companies.get_company_statistics(days=7)
    assert body["success"] is True
    assert sorted(body["statistics"]) == [
        "active_conversations", "conversion_rate", "period_days", "qualified_leads", "total_leads",
    ]  # fmt: skip


def test_console_shows_the_company_to_a_super_admin_alone(owner: Owner, root: dict[str, str]) -> None:
    def get(path: str, headers: Any) -> Any:
        return owner.platform.get(f"/api/v1/super-admin/{path}", headers=headers)

    found = get(f"companies/{owner.company_id}", root).json()
    assert (found["id"], found["stats"]["user_count"] >= 1) == (owner.company_id, True)
    performance = get("analytics/company-performance?limit=100", root).json()
    assert owner.company_id in [row["company_id"] for row in performance["rankings"]]
    assert [get("companies", headers).status_code for headers in (owner.jwt, owner.headers, {})] == [403, 403, 401]
    users = owner.platform.client()._make_request("GET", "/super-admin/users", headers=root)
    assert users["pagination"]["total"] >= 2
