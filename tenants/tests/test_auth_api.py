from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings
from django.utils import timezone
from django_tenants.utils import schema_exists, tenant_context
from pytest_django import Settings
from rest_framework.test import APIClient

from agents.models import LLMSettings
from conftest import PASSWORD, Character, key_client
from tenants.audit.models import AuditEvent
from tenants.models import ApiKey, Company, User, UserSession

NEW_COMPANY = {
    "company_name": "Initech",
    "email": "peter@initech.example",
    "password": "a-long-enough-password",
    "first_name": "Peter",
    "last_name": "Gibbons",
}


@pytest.mark.django_db
def test_register_makes_a_company_that_is_ready_to_use(anonymous: APIClient) -> None:
    answer = anonymous.post("/api/v1/auth/register", NEW_COMPANY)

    assert answer.status_code == 201
    body = answer.json()
    assert body["user"]["email"] == "peter@initech.example"
    assert body["user"]["role"] == "admin"
    assert body["company"]["name"] == "Initech"
    assert "task_id" not in body
    company = Company.objects.get(pk=body["company"]["id"])
    assert schema_exists(company.schema_name)
    with tenant_context(company):
        assert LLMSettings.objects.get().llm_provider.slug == "builtin"
    anonymous.credentials(HTTP_AUTHORIZATION=f"Bearer {body['access_token']}")
    assert anonymous.get("/api/v1/agent").json()["agents"] == []


@pytest.mark.django_db
def test_register_with_a_company_id_claims_a_company_once(anonymous: APIClient) -> None:
    made = anonymous.post("/api/v1/company", {"name": "Hooli", "email": "info@hooli.example"}).json()
    body = {
        "company_id": made["id"],
        "email": "gavin@hooli.example",
        "username": "gavin",
        "password": "a-long-enough-password",
        "first_name": "Gavin",
        "last_name": "Belson",
    }

    first = anonymous.post("/api/v1/auth/register", body)
    second = anonymous.post("/api/v1/auth/register", {**body, "email": "mallory@evil.example", "username": "mallory"})

    assert (first.status_code, first.json()["user"]["role"]) == (201, "admin")
    assert second.status_code == 403
    assert User.objects.filter(company_id=made["id"]).count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "admin@acme.example"}, "email"),
        ({"email": "not-an-address"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "password123"}, "password"),
        ({"company_name": None}, "company_name"),
        ({"accept_terms": False}, "accept_terms"),
    ],
)
def test_register_says_which_field_is_wrong(
    anonymous: APIClient, acme: Character, change: dict[str, object], field: str
) -> None:
    answer = anonymous.post("/api/v1/auth/register", NEW_COMPANY | change)

    assert answer.status_code in {400, 409}
    body = answer.json()
    assert list(body["errors"]) == [field]
    assert body["message"] == body["error"] != ""
    assert not Company.objects.filter(name="Initech").exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("said", "kept"), [({}, ""), ({"accept_terms": True}, "Accepted the terms of use https://t.example")]
)
def test_register_keeps_which_terms_were_accepted_only_when_it_was_said(
    anonymous: APIClient, settings: Settings, said: dict[str, object], kept: str
) -> None:
    settings.TERMS_URL = "https://t.example"

    assert anonymous.post("/api/v1/auth/register", NEW_COMPANY | said).status_code == 201
    with tenant_context(Company.objects.get(name="Initech")):
        assert AuditEvent.objects.get(event_type="company.registered").description == kept


def login(client: APIClient, email: str = "admin@acme.example", password: str = PASSWORD) -> dict[str, str]:
    answer = client.post("/api/v1/auth/login", {"email": email, "password": password})
    assert answer.status_code == 200, answer.content
    body: dict[str, str] = answer.json()
    return body


def test_login_answers_at_once_with_everything_clients_read(anonymous: APIClient, acme: Character) -> None:
    body = login(anonymous, email="ADMIN@acme.example")

    assert {"access_token", "refresh_token", "token_type", "expires_in", "expires_at", "user", "company"} <= set(body)
    anonymous.credentials(HTTP_AUTHORIZATION=f"Bearer {body['access_token']}")
    me = anonymous.get("/api/v1/auth/user/me").json()
    assert (me["user"]["id"], me["company"]["id"]) == (str(acme.admin.id), str(acme.company.id))


@pytest.mark.usefixtures("acme")
@override_settings(LOGIN_FAILURE_LIMIT=3)
def test_an_account_is_locked_after_repeated_failures_and_opens_again(anonymous: APIClient) -> None:
    wrong = {"email": "admin@acme.example", "password": "wrong"}
    statuses = [anonymous.post("/api/v1/auth/login", wrong).status_code for _ in range(4)]

    assert statuses == [401, 401, 401, 423]
    right = {"email": "admin@acme.example", "password": PASSWORD}
    assert anonymous.post("/api/v1/auth/login", right).status_code == 423
    User.objects.filter(email="admin@acme.example").update(locked_until=timezone.now() - timedelta(seconds=1))
    assert anonymous.post("/api/v1/auth/login", right).status_code == 200


@pytest.mark.usefixtures("acme")
def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_session(anonymous: APIClient) -> None:
    first = login(anonymous)
    second = anonymous.post("/api/v1/auth/refresh", HTTP_AUTHORIZATION=f"Bearer {first['refresh_token']}")
    assert second.status_code == 200
    third = anonymous.post("/api/v1/auth/refresh", {"refresh_token": second.json()["refresh_token"]})
    assert third.status_code == 200

    reused = anonymous.post("/api/v1/auth/refresh", HTTP_AUTHORIZATION=f"Bearer {first['refresh_token']}")

    assert reused.status_code == 401
    stolen = anonymous.get("/api/v1/user/profile", HTTP_AUTHORIZATION=f"Bearer {third.json()['access_token']}")
    assert stolen.status_code == 401


@pytest.mark.usefixtures("acme")
def test_an_access_token_does_not_refresh_and_a_refresh_token_does_not_access(anonymous: APIClient) -> None:
    tokens = login(anonymous)

    refreshed = anonymous.post("/api/v1/auth/refresh", HTTP_AUTHORIZATION=f"Bearer {tokens['access_token']}")
    read = anonymous.get("/api/v1/user/profile", HTTP_AUTHORIZATION=f"Bearer {tokens['refresh_token']}")

    assert (refreshed.status_code, read.status_code) == (401, 401)


def test_logout_ends_the_access_token(acme_api: APIClient) -> None:
    assert acme_api.get("/api/v1/user/profile").status_code == 200
    assert acme_api.post("/api/v1/auth/logout").status_code == 200
    assert acme_api.get("/api/v1/user/profile").status_code == 401
    assert UserSession.objects.get().revoked_at is not None


def test_bearer_wins_over_key_headers(acme_api: APIClient, acme: Character) -> None:
    answer = acme_api.get("/api/v1/user/profile", HTTP_X_API_KEY="x", HTTP_X_API_SECRET="y")

    assert (answer.status_code, answer.json()["user"]["email"]) == (200, acme.admin.email)


@pytest.mark.usefixtures("acme")
def test_public_endpoints_ignore_bad_credentials(anonymous: APIClient, acme: Character) -> None:
    bad: Any = {"HTTP_X_API_KEY": "x", "HTTP_X_API_SECRET": "y", "HTTP_AUTHORIZATION": "Bearer nonsense"}

    assert anonymous.get(f"/api/v1/agent/{acme.agent.id}", **bad).status_code == 200
    body = {"email": acme.admin.email, "password": PASSWORD}
    assert anonymous.post("/api/v1/auth/login", body, **bad).status_code == 200


@pytest.mark.parametrize("change", ["suspended", "company archived", "company inactive"])
def test_every_credential_is_refused_at_once_when_its_owner_is(
    acme_api: APIClient, acme: Character, anonymous: APIClient, change: str
) -> None:
    by_key = key_client(acme, "read")
    refresh = login(anonymous)["refresh_token"]
    assert by_key.get("/api/v1/agent").status_code == 200
    if change == "suspended":
        User.objects.filter(pk=acme.admin.pk).update(status="suspended")
    elif change == "company archived":
        Company.objects.filter(pk=acme.company.pk).update(archived_at=timezone.now())
    else:
        Company.objects.filter(pk=acme.company.pk).update(is_active=False)

    assert acme_api.get("/api/v1/agent").status_code == 401
    assert by_key.get("/api/v1/agent").status_code == 401
    assert anonymous.post("/api/v1/auth/refresh", {"refresh_token": refresh}).status_code == 401
    assert anonymous.post("/api/v1/auth/login", {"email": acme.admin.email, "password": PASSWORD}).status_code == 401


def test_api_key_life(acme_api: APIClient, anonymous: APIClient, acme: Character) -> None:
    made = acme_api.post("/api/v1/auth/api-keys", {"name": "CI", "expires_in_days": 30})
    assert made.status_code == 201
    body = made.json()
    assert body["api_key"].startswith("ak_")
    assert body["api_secret"] == body["secret"]
    assert body["details"]["scopes"] == ["read", "write"]
    (row,) = acme_api.get("/api/v1/auth/api-keys").json()["api_keys"]
    assert row["key_prefix"] == body["api_key"][:8]
    assert body["api_secret"] not in acme_api.get("/api/v1/auth/api-keys").content.decode()
    assert body["api_secret"] not in ApiKey.objects.get().secret_hash

    anonymous.credentials(HTTP_X_API_KEY=body["api_key"], HTTP_X_API_SECRET=body["api_secret"])
    valid = anonymous.get("/api/v1/auth/validate").json()
    assert (valid["valid"], valid["api_key_info"]["id"]) == (True, row["id"])
    assert anonymous.get("/api/v1/auth/api-keys").status_code == 403  # keys do not manage keys

    assert acme_api.delete(f"/api/v1/auth/api-keys/{row['id']}").status_code == 200
    assert anonymous.get("/api/v1/agent").status_code == 401


@pytest.mark.parametrize(("key", "secret"), [("ak_unknown", "sk_x"), ("", "sk_x"), ("ak\0x", "sk_x"), ("é", "ü")])
@pytest.mark.django_db
def test_a_wrong_key_is_401(anonymous: APIClient, key: str, secret: str) -> None:
    answer = anonymous.get("/api/v1/agent", HTTP_X_API_KEY=key, HTTP_X_API_SECRET=secret)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "API_KEY_INVALID")


def test_an_expired_key_is_401(acme: Character) -> None:
    client = key_client(acme, "read")
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get("/api/v1/agent").status_code == 401


def test_scopes_are_enforced(acme: Character) -> None:
    reader = key_client(acme, "read")

    assert reader.get("/api/v1/agent").status_code == 200
    refused = reader.post("/api/v1/agent", {"name": "No"})
    assert (refused.status_code, refused.json()["error"]) == (403, "This needs the scope write.")


def test_a_user_cannot_give_a_key_more_than_they_have(acme: Character, anonymous: APIClient) -> None:
    User.objects.filter(pk=acme.admin.pk).update(role="user")
    anonymous.credentials(HTTP_AUTHORIZATION=f"Bearer {login(anonymous)['access_token']}")

    assert anonymous.post("/api/v1/auth/api-keys", {"name": "x", "scopes": ["admin"]}).status_code == 403
    assert anonymous.post("/api/v1/auth/api-keys", {"name": "x", "scopes": ["full_access"]}).status_code == 403
    assert anonymous.post("/api/v1/auth/api-keys", {"name": "x", "scopes": ["nonsense"]}).status_code == 400
    assert anonymous.post("/api/v1/auth/api-keys", {"name": "x", "scopes": ["read"]}).status_code == 201


def test_preferences_are_no_store(acme_api: APIClient) -> None:
    fits, beyond = ({"preferences": {"a": "x" * length}} for length in (16 * 1024 - 9, 16 * 1024 - 8))
    answers = [acme_api.put("/api/v1/user/profile", body) for body in (fits, beyond)]
    assert [answer.status_code for answer in answers] == [200, 400]
    text = "The preferences are too long: at most 16384 characters of JSON."
    assert answers[1].json()["errors"] == {"preferences": [text]}


def test_profile(acme_api: APIClient) -> None:
    answer = acme_api.put("/api/v1/user/profile", {"first_name": "Wile", "timezone": "Europe/Paris"})
    assert answer.json()["user"]["first_name"] == "Wile"
    assert acme_api.get("/api/v1/user/profile").json()["user"]["timezone"] == "Europe/Paris"


@pytest.mark.django_db
@pytest.mark.parametrize("prefix", ["/api/v1", "/v1", "/api/api/v1"])
def test_the_api_answers_under_each_prefix(anonymous: APIClient, prefix: str) -> None:
    assert anonymous.get(f"{prefix}/health").json()["database"] == "connected"
    assert anonymous.get(f"{prefix}/auth/user/me").status_code == 401
    unknown = anonymous.get(f"{prefix}/no/such/thing")
    assert (unknown.status_code, unknown.json()["error_code"]) == (404, "NOT_FOUND")


@pytest.mark.django_db
@pytest.mark.parametrize("accept", ["text/event-stream", "text/csv", "application/json, text/plain, */*"])
def test_no_accept_header_is_refused(anonymous: APIClient, accept: str) -> None:
    answer = anonymous.get("/api/v1/auth/user/me", HTTP_ACCEPT=accept)
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/json; charset=utf-8")


@pytest.mark.parametrize("body", ["", "a=b"])
def test_a_form_body_where_json_is_usual_is_not_415(acme_api: APIClient, body: str) -> None:
    """axios sends this content type when a POST has no body."""
    answer = acme_api.post("/api/v1/auth/logout", body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200


def test_broken_json_is_400_in_the_envelope(acme_api: APIClient) -> None:
    answer = acme_api.post("/api/v1/agent", "{not json", content_type="application/json")
    assert (answer.status_code, answer.json()["success"]) == (400, False)


def test_a_token_of_a_moved_user_is_refused(acme_api: APIClient, acme: Character, globex: Character) -> None:
    """The token names its company: should the person be moved, it opens neither the old nor the new one."""
    User.objects.filter(pk=acme.admin.pk).update(company=globex.company, username="moved")
    assert acme_api.get("/api/v1/agent").status_code == 401


@pytest.mark.usefixtures("db")
def test_an_unknown_address_takes_as_much_hashing_as_a_known_one(anonymous: APIClient, acme: Character) -> None:
    answers = [
        anonymous.post("/api/v1/auth/login", {"email": email, "password": "wrong"}).json()
        for email in ("nobody@nowhere.example", acme.admin.email)
    ]
    assert answers[0] == answers[1]


def test_rate_limits_say_when_to_come_back(anonymous: APIClient, acme: Character) -> None:
    with override_settings(RATE_LIMIT_ENABLED=True, RATE_LIMITS={**settings.RATE_LIMITS, "login": "2/minute"}):
        address = f"10.0.0.{time.time_ns() % 250}"
        body = {"email": f"nobody{time.time_ns()}@example.org", "password": "x"}
        statuses = [anonymous.post("/api/v1/auth/login", body, REMOTE_ADDR=f"{address}") for _ in range(3)]
    assert [answer.status_code for answer in statuses] == [401, 401, 429]
    assert int(statuses[-1].headers["Retry-After"]) >= 1
