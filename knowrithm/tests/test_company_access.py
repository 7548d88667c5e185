"""A company that is out of use is out of use for everybody at once, whatever they hold; who may bring it back, and how.

Every credential is made before the company goes out of use, and has worked.
"""

from __future__ import annotations

import io
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, bearer, key_client, page_client
from conversations.sse import principal_of_request
from knowrithm.api.permissions import Access, access_of
from knowrithm.charset import AsgiRequest
from knowrithm.errors import AuthenticationFailedError
from knowrithm.jobs import company_task
from knowrithm.principal import Principal, Role
from knowrithm.routes import all_routes
from leads.services import register_lead
from tenants.models import Company, User
from tenants.services import (
    archive_company,
    create_company,
    create_user,
    ensure_super_admin,
    principal_of,
    purge_company,
    restore_company,
    start_session,
    update_company,
)

WAYS = ["archived", "deactivated", "purged"]


def root() -> User:
    return ensure_super_admin(email="root@knowrithm.example", password=PASSWORD)


def with_token(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def put_out_of_use(company: Company, way: str) -> None:
    actor = principal_of(root())
    if way == "archived":
        archive_company(actor=actor, company=company)
    elif way == "deactivated":
        update_company(actor=actor, company=company, changes={"is_active": False})
    else:
        purge_company(actor=actor, company=company, delete_related=True)


def scope(**headers: str) -> dict[str, Any]:
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": encoded}


def may_listen(**headers: str) -> bool:
    """Whether the event stream beside Django knows the credential."""
    try:
        return isinstance(principal_of_request(AsgiRequest(scope(**headers), io.BytesIO())), Principal)
    except AuthenticationFailedError:
        return False


@dataclass(frozen=True)
class Holders:
    """Whoever has something to do with acme, with the tokens they hold."""

    agent_id: uuid.UUID
    company_id: uuid.UUID
    access: str
    refresh: str
    lead_token: str
    key: APIClient
    browser: Client

    def statuses(self) -> dict[str, int]:
        """Each one's fate with a request that is good while the company is in use."""
        anonymous = APIClient()
        visitor = {"agent_id": str(self.agent_id), "email": "zoe@example.org", "first_name": "Z", "last_name": "O"}
        sign_in = {"email": "admin@acme.example", "password": PASSWORD}
        agent = {"agent_id": str(self.agent_id)}
        return {
            "access token": with_token(self.access).get("/api/v1/company").status_code,
            "API key": self.key.get("/api/v1/company").status_code,
            "cookie at the API": self.browser.get("/api/v1/company").status_code,
            "cookie at the pages": self.browser.get("/agents").status_code,
            "lead token": with_token(self.lead_token).post("/api/v1/conversation", agent).status_code,
            "public agent": anonymous.get(f"/api/v1/agent/{self.agent_id}").status_code,
            "lead registration": anonymous.post("/api/v1/lead/register", visitor).status_code,
            "handshake": anonymous.post("/api/v1/website/handshake", agent).status_code,
            "sign-in": anonymous.post("/api/v1/auth/login", sign_in).status_code,
            "stream with access token": may_listen(Authorization=f"Bearer {self.access}"),
            "stream with lead token": may_listen(Authorization=f"Bearer {self.lead_token}"),
            "stream with cookie": may_listen(
                Cookie=f"knowrithm_session={self.browser.cookies['knowrithm_session'].value}"
            ),
            "refresh": with_token(self.refresh).post("/api/v1/auth/refresh").status_code,
        }


IN_USE = {
    "access token": 200,
    "API key": 200,
    "cookie at the API": 200,
    "cookie at the pages": 200,
    "lead token": 201,
    "public agent": 200,
    "lead registration": 201,
    "handshake": 200,
    "sign-in": 200,
    "stream with access token": True,
    "stream with lead token": True,
    "stream with cookie": True,
    "refresh": 200,
}
OUT_OF_USE = {
    "access token": 401,
    "API key": 401,
    "cookie at the API": 401,
    "cookie at the pages": 302,
    "lead token": 401,
    "public agent": 404,
    "lead registration": 404,
    "handshake": 404,
    "sign-in": 401,
    "stream with access token": False,
    "stream with lead token": False,
    "stream with cookie": False,
    "refresh": 401,
}


@pytest.fixture
def holders(acme: Character) -> Holders:
    session = start_session(user=acme.admin).tokens
    with tenant_context(acme.company):
        lead = register_lead(
            agent=acme.agent, company_id=acme.company.id, email="eve@example.org", first_name="Eve", last_name="E"
        )
    return Holders(
        agent_id=acme.agent.id,
        company_id=acme.company.id,
        access=session.access,
        refresh=session.refresh,
        lead_token=lead.tokens.access,
        key=key_client(acme, "read", "write", "admin"),
        browser=page_client(acme),
    )


def test_everything_works_while_the_company_is_in_use(holders: Holders) -> None:
    assert holders.statuses() == IN_USE


@pytest.mark.parametrize("way", WAYS)
def test_nothing_works_from_the_moment_it_is_out_of_use(holders: Holders, acme: Character, way: str) -> None:
    put_out_of_use(acme.company, way)
    assert holders.statuses() == OUT_OF_USE


@pytest.mark.parametrize("way", ["archived", "deactivated"])
def test_everything_works_again_once_it_is_back(holders: Holders, acme: Character, way: str) -> None:
    put_out_of_use(acme.company, way)
    assert holders.statuses() == OUT_OF_USE
    actor = principal_of(root())
    if way == "archived":
        restore_company(actor=actor, company=acme.company)
    else:
        update_company(actor=actor, company=acme.company, changes={"is_active": True})
    assert holders.statuses() == IN_USE


@pytest.mark.parametrize("way", WAYS)
def test_the_other_company_notices_nothing(acme: Character, globex_api: APIClient, way: str) -> None:
    put_out_of_use(acme.company, way)
    assert globex_api.get("/api/v1/company").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("way", WAYS)
def test_a_company_out_of_use_cannot_be_claimed(anonymous: APIClient, way: str) -> None:
    company = create_company(name="Hooli", email="info@hooli.example")
    put_out_of_use(company, way)
    claim = {
        "company_id": str(company.id), "email": "g@hooli.example", "username": "gavin", "password": PASSWORD,
        "first_name": "G", "last_name": "B",
    }  # fmt: skip
    assert anonymous.post("/api/v1/auth/register", claim).status_code == 404


NOTES: list[str] = []


@company_task(name="tests.company_access.note")
def note() -> None:
    NOTES.append("ran")


@pytest.mark.parametrize(("way", "runs"), [("", 1), *((way, 0) for way in WAYS)])
def test_background_work_waits_while_a_company_is_out_of_use(acme: Character, way: str, runs: int) -> None:
    NOTES.clear()
    if way:
        put_out_of_use(acme.company, way)
    note(acme.company.schema_name)
    assert len(NOTES) == runs


# --- Bringing an archived company back ----------------------------------------------------------------------------

DELETED, RESTORE = "/api/v1/company/deleted", "/api/v1/company/{}/restore"


def clients(who: Character) -> dict[str, APIClient]:
    browser = APIClient()
    browser.force_login(who.admin, backend="tenants.backends.EmailBackend")
    return {"token": bearer(who), "key": key_client(who, "read", "write"), "cookie": browser}


def test_exactly_these_routes_are_open_to_an_archived_company() -> None:
    def allows(route: Any) -> bool:
        declared = getattr(route.view, "access", None)
        access = declared.get(route.action) if isinstance(declared, dict) else declared
        return isinstance(access, Access) and access.allows_archived

    assert {route.key for route in all_routes() if allows(route)} == {
        "GET /api/v1/company/deleted",
        "PATCH /api/v1/company/<uuid:company_id>/restore",
        "PATCH /api/v1/company/bulk-restore",
    }
    assert access_of(type("Undeclared", (), {"action": None})).allows_archived is False


@pytest.mark.parametrize("kind", ["token", "key", "cookie"])
def test_its_admin_finds_it_and_restores_it(acme: Character, globex: Character, kind: str) -> None:
    client = clients(acme)[kind]
    archive_company(actor=globex.principal, company=globex.company)
    assert client.get(DELETED).json()["deleted_companies"] == []
    assert client.delete(f"/api/v1/company/{acme.company.id}").status_code == 200
    assert client.get("/api/v1/company").status_code == 401

    assert [row["id"] for row in client.get(DELETED).json()["deleted_companies"]] == [str(acme.company.id)]
    assert client.patch(RESTORE.format(globex.company.id)).status_code == 404
    restored = client.patch(RESTORE.format(acme.company.id))

    assert (restored.status_code, restored.json()["company"]["deleted_at"]) == (200, None)
    assert client.get("/api/v1/company").status_code == 200


@pytest.mark.parametrize("kind", ["token", "key", "cookie"])
def test_after_thirty_days_only_a_super_admin_can(acme: Character, kind: str) -> None:
    client = clients(acme)[kind]
    archive_company(actor=acme.principal, company=acme.company)
    ago = timezone.now() - timedelta(days=30)
    Company.objects.filter(pk=acme.company.pk).update(archived_at=ago + timedelta(minutes=1))
    assert client.get(DELETED).status_code == 200
    Company.objects.filter(pk=acme.company.pk).update(archived_at=ago)
    assert (client.get(DELETED).status_code, client.patch(RESTORE.format(acme.company.id)).status_code) == (401, 401)

    assert (
        with_token(start_session(user=root()).tokens.access).patch(RESTORE.format(acme.company.id)).status_code == 200
    )


@pytest.mark.parametrize("kind", ["token", "key", "cookie"])
def test_those_who_are_no_admins_are_refused(acme: Character, kind: str) -> None:
    user = create_user(
        actor=acme.principal, email="u@acme.example", username="user", password=PASSWORD, first_name="U", last_name="S"
    )
    client = clients(Character(acme.company, user, acme.agent))[kind]
    assert client.delete(f"/api/v1/company/{acme.company.id}").status_code == 403
    assert client.get(DELETED).status_code == 200
    archive_company(actor=acme.principal, company=acme.company)
    assert (client.get(DELETED).status_code, client.patch(RESTORE.format(acme.company.id)).status_code) == (401, 401)


@pytest.mark.parametrize("kind", ["token", "key", "cookie"])
@pytest.mark.parametrize("way", ["deactivated", "purged"])
def test_a_deactivated_or_purged_company_is_not_restored_by_its_admin(acme: Character, kind: str, way: str) -> None:
    client = clients(acme)[kind]
    archive_company(actor=acme.principal, company=acme.company)
    put_out_of_use(acme.company, way)
    assert (client.get(DELETED).status_code, client.patch(RESTORE.format(acme.company.id)).status_code) == (401, 401)


def test_a_suspended_admin_or_a_read_key_does_not_restore(acme: Character) -> None:
    key, reader = key_client(acme, "write"), key_client(acme, "read")
    archive_company(actor=acme.principal, company=acme.company)
    assert reader.patch(RESTORE.format(acme.company.id)).status_code == 403
    User.objects.filter(pk=acme.admin.pk).update(status="suspended")
    assert key.patch(RESTORE.format(acme.company.id)).status_code == 401


def test_a_demoted_admin_loses_the_way_back(acme: Character) -> None:
    found = clients(acme)
    archive_company(actor=acme.principal, company=acme.company)
    User.objects.filter(pk=acme.admin.pk).update(role=Role.USER)
    assert {kind: client.get(DELETED).status_code for kind, client in found.items()} == dict.fromkeys(found, 401)


def test_an_archived_company_s_cookie_needs_the_csrf_token(acme: Character) -> None:
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(acme.admin, backend="tenants.backends.EmailBackend")
    archive_company(actor=acme.principal, company=acme.company)
    assert browser.patch(RESTORE.format(acme.company.id)).status_code == 403


def test_a_changed_password_ends_an_archived_company_s_cookie(acme: Character) -> None:
    browser = clients(acme)["cookie"]
    archive_company(actor=acme.principal, company=acme.company)
    assert browser.get(DELETED).status_code == 200
    acme.admin.set_password("another-horse-battery")
    acme.admin.save()
    assert browser.get(DELETED).status_code == 401
