"""The published Python client governs people: the contract's scenarios 13 and 15 to 17."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from knowrithm_py.services.admin import AdminService

from knowrithm.tests.flows.test_sdk import refused
from knowrithm.tests.platform import FLOW, PASSWORD, Owner, Platform, bearer

pytestmark = FLOW


@pytest.fixture(scope="module")
def sa(platform: Platform) -> dict[str, str]:
    """The headers of the installation's super admin."""
    lines = (platform.data_dir / "secrets.env").read_text().splitlines()
    secrets = dict(line.split("=", 1) for line in lines if "=" in line)
    signed_in = platform.client().auth.login("admin@knowrithm.local", secrets["SUPER_ADMIN_PASSWORD"])
    return bearer(signed_in["access_token"])


@pytest.fixture
def admin(owner: Owner) -> AdminService:
    return AdminService(owner.client)


def make_person(owner: Owner) -> dict[str, Any]:
    name = f"p{uuid.uuid4().hex[:10]}"
    person = {"username": name, "password": PASSWORD, "first_name": "Max", "last_name": "Power"}
    made: dict[str, Any] = owner.client.auth.create_user({"email": f"{name}@acme.example", **person})["user"]
    return made


def test_a_key_without_admin_governs_nothing(owner: Owner) -> None:
    made = owner.client.api_keys.create_api_key({"name": "reader", "scopes": ["read"]}, headers=owner.jwt)
    client = owner.platform.client(made["api_key"], made["api_secret"])
    assert client.agents.list_agents()["pagination"]["page"] == 1
    reader = AdminService(client)
    person = make_person(owner)
    for error in (
        refused(reader.list_users),
        refused(reader.get_system_configuration),
        refused(reader.upsert_system_configuration, "k", 1),
        refused(reader.update_user_status, person["id"], "suspended"),
    ):
        assert (error.status_code, error.error_code) == (403, "FORBIDDEN")


def test_people_are_listed_shown_and_suspended(owner: Owner, admin: AdminService) -> None:
    person = make_person(owner)
    assert owner.client.users.get_user(person["id"], owner.jwt)["data"]["email"] == person["email"]
    found = admin.list_users(search=person["username"], role="user", locked=False, never_logged_in=True)
    assert [user["id"] for user in found["users"]] == [person["id"]]
    assert found["filters_applied"] == {
        "search": person["username"],
        "role": "user",
        "locked": False,
        "never_logged_in": True,
    }
    assert admin.get_user(person["id"])["data"]["username"] == person["username"]
    login = owner.platform.client().auth.login
    signed_in = bearer(login(person["email"], PASSWORD)["access_token"])
    changed = admin.update_user_status(person["id"], "suspended", reason="Left the company")
    assert changed["user"]["status"] == "suspended"
    assert refused(login, person["email"], PASSWORD).status_code == 401
    assert refused(owner.platform.client().users.get_profile, signed_in).status_code == 401


def test_roles_and_impersonation_are_a_super_admins(owner: Owner, admin: AdminService, sa: dict[str, str]) -> None:
    person = make_person(owner)
    for headers in (None, owner.jwt):
        assert refused(admin.update_user_role, person["id"], "admin", headers=headers).status_code == 403
        assert refused(admin.impersonate_user, person["id"], headers=headers).status_code == 403
    assert admin.update_user_role(person["id"], "admin", headers=sa)["user"]["role"] == "admin"
    assert refused(admin.update_user_role, person["id"], "viewer", headers=sa).status_code == 400
    acting = admin.impersonate_user(person["id"], headers=sa)
    assert acting["token"] == acting["access_token"]
    as_person = bearer(acting["token"])
    public = owner.platform.client()
    assert public.users.get_profile(as_person)["user"]["id"] == person["id"]
    error = refused(public.api_keys.create_api_key, {"name": "mine"}, headers=as_person)
    assert (error.status_code, error.error_code) == (403, "IMPERSONATING")
    company = admin.list_users(company_id=owner.company_id, role="admin", headers=sa)
    assert person["id"] in [user["id"] for user in company["users"]]


def test_a_sensitive_entry_is_for_super_admins(owner: Owner, admin: AdminService, sa: dict[str, str]) -> None:
    key, secret = f"k{uuid.uuid4().hex}", uuid.uuid4().hex
    admin.upsert_system_configuration(key, {"a": secret}, is_sensitive=True)
    for headers in (None, owner.jwt):
        shown = admin.get_system_configuration(headers=headers)
        assert (shown["config"][key], secret in json.dumps(shown)) == (None, False)
    assert admin.get_system_configuration(headers=sa)["config"][key] == {"a": secret}
    assert secret not in owner.platform.output()


def test_two_admins_cannot_suspend_each_other_at_once(platform: Platform, sa: dict[str, str]) -> None:
    """Whoever comes second is refused, so that a company never loses its last admin to a race."""
    owner = platform.found_company()
    first = owner.client.users.get_profile(owner.jwt)["user"]
    person = {"username": "deputy", "password": PASSWORD, "first_name": "Max", "last_name": "Power", "role": "admin"}
    email = f"{uuid.uuid4().hex}@acme.example"
    second = owner.client.auth.create_user({"email": email, **person}, headers=owner.jwt)["user"]
    for _ in range(4):
        login = platform.client().auth.login
        pair = [
            (bearer(login(one["email"], PASSWORD)["access_token"]), other)
            for one, other in ((first, second), (second, first))
        ]

        def suspend(attempt: tuple[dict[str, str], dict[str, Any]]) -> int:
            headers, target = attempt
            path = f"/api/v1/user/{target['id']}/status"
            return platform.request("PATCH", path, headers=headers, json={"status": "suspended"}).status_code

        with ThreadPoolExecutor(2) as pool:
            statuses = sorted(pool.map(suspend, pair))
        assert statuses in ([200, 401], [200, 409])
        for one in (first, second):
            AdminService(platform.client()).update_user_status(one["id"], "active", headers=sa)
