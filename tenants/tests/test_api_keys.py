"""The life of a key: who may use it from where and how often, and until when."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import connection
from django.test import Client
from django.test.html import parse_html
from django.utils import timezone
from django_tenants.utils import tenant_context
from psycopg.types.json import Jsonb
from pytest_django import Settings
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, bearer, page_client, super_admin_in_browser
from knowrithm.db.redis import impatient_redis
from knowrithm.errors import ConflictError, InvalidInputError, RateLimitedError
from tenants import key_use
from tenants.audit.models import AuditEvent
from tenants.models import ApiKey, Company, User
from tenants.services import (
    NewApiKey,
    create_api_key,
    principal_of,
    revoke_api_key,
    rotate_api_key,
    update_api_key,
    verify_secret,
)

AGENTS = "/api/v1/agent"


@pytest.fixture
def made(acme: Character) -> NewApiKey:
    return create_api_key(actor=acme.principal, name="test", scopes=["read", "write"])


def call(made: NewApiKey, secret: str = "", **options: Any) -> Any:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=made.row.key, HTTP_X_API_SECRET=secret or made.secret)
    return client.get(AGENTS, **options)


# --- The secret ---------------------------------------------------------------------------------------------------


def test_the_secret_outlives_a_change_of_the_secret_key_and_is_hashed_anew(made: NewApiKey, settings: Settings) -> None:
    old, before = settings.SECRET_KEY, made.row.secret_hash
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a-new-secret-key", [old]
    assert call(made).status_code == 200

    after = ApiKey.objects.get(pk=made.row.pk)
    assert after.secret_hash != before
    assert after.pepper_id != made.row.pepper_id
    settings.SECRET_KEY_FALLBACKS = []  # nothing needs the old one any more
    assert call(made).status_code == 200


def test_a_secret_whose_secret_key_is_gone_is_refused(made: NewApiKey, settings: Settings) -> None:
    settings.SECRET_KEY = "a-new-secret-key"
    assert call(made).status_code == 401


def test_only_the_named_secret_key_is_tried(made: NewApiKey, settings: Settings) -> None:
    made.row.pepper_id = "0" * 12
    assert not verify_secret(made.row, made.secret)


def test_a_hash_from_before_names_gets_one(made: NewApiKey) -> None:
    ApiKey.objects.filter(pk=made.row.pk).update(pepper_id="")
    assert call(made).status_code == 200
    assert ApiKey.objects.get(pk=made.row.pk).pepper_id == made.row.pepper_id


# --- Rotation -----------------------------------------------------------------------------------------------------


def test_rotating_gives_a_new_secret_and_keeps_the_old_one_for_the_overlap(
    acme_api: APIClient, made: NewApiKey
) -> None:
    answer = acme_api.post(f"/api/v1/auth/api-keys/{made.row.id}/rotate", {"overlap_hours": 2})

    assert answer.status_code == 200
    body = answer.json()
    assert body["api_key"] == made.row.key
    assert body["api_secret"] == body["secret"] != made.secret
    assert (call(made).status_code, call(made, body["api_secret"]).status_code) == (200, 200)
    ApiKey.objects.filter(pk=made.row.pk).update(previous_expires_at=timezone.now())
    assert (call(made).status_code, call(made, body["api_secret"]).status_code) == (401, 200)


def test_rotating_without_overlap_ends_the_old_secret_at_once(acme: Character, made: NewApiKey) -> None:
    fresh = rotate_api_key(actor=acme.principal, api_key_id=made.row.id, overlap_hours=0)
    assert (call(made).status_code, call(fresh).status_code) == (401, 200)


def test_only_one_old_secret_is_kept(acme: Character, made: NewApiKey) -> None:
    second = rotate_api_key(actor=acme.principal, api_key_id=made.row.id)
    third = rotate_api_key(actor=acme.principal, api_key_id=made.row.id)
    assert [call(one).status_code for one in (made, second, third)] == [401, 200, 200]


def test_an_old_secret_under_an_old_secret_key_is_hashed_anew_too(
    acme: Character, made: NewApiKey, settings: Settings
) -> None:
    rotate_api_key(actor=acme.principal, api_key_id=made.row.id)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a-new-secret-key", [settings.SECRET_KEY]
    assert call(made).status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert call(made).status_code == 200


def test_a_revoked_key_is_not_rotated(acme: Character, made: NewApiKey) -> None:
    rotate_api_key(actor=acme.principal, api_key_id=made.row.id)
    revoke_api_key(actor=acme.principal, api_key_id=made.row.id)
    assert call(made).status_code == 401
    with pytest.raises(ConflictError):
        rotate_api_key(actor=acme.principal, api_key_id=made.row.id)


@pytest.mark.parametrize("hours", [-1, 169, "soon", 1.5, None, [2], 10**30])
def test_an_overlap_beyond_a_week_is_refused(acme_api: APIClient, made: NewApiKey, hours: object) -> None:
    answer = acme_api.post(f"/api/v1/auth/api-keys/{made.row.id}/rotate", {"overlap_hours": hours})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["overlap_hours"])


# --- Changing -----------------------------------------------------------------------------------------------------


def test_a_key_is_changed_and_the_change_is_on_record(acme: Character, acme_api: APIClient, made: NewApiKey) -> None:
    changes = {
        "name": "importer",
        "allowed_networks": ["203.0.113.7", "10.1.2.3/8", "2001:db8::/32", "203.0.113.7/32"],
        "rate_limit_per_hour": 50,
        "rate_limit_per_day": 60,
        "permissions": {"agents": ["read"]},
    }
    answer = acme_api.patch(f"/api/v1/auth/api-keys/{made.row.id}", changes)

    assert answer.status_code == 200
    record = answer.json()["api_key"]
    networks = ["203.0.113.7/32", "10.0.0.0/8", "2001:db8::/32"]
    assert {name: record[name] for name in changes} == {**changes, "allowed_networks": networks}
    with tenant_context(acme.company):
        event = AuditEvent.objects.get(event_type="api_key.updated", entity_id=str(made.row.id))
    assert event.changes["rate_limit_per_hour"] == [1000, 50]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"allowed_networks": ["nowhere"]}, "allowed_networks"),
        ({"allowed_networks": ["10.0.0.0/99"]}, "allowed_networks"),
        ({"allowed_networks": ["10.0.0.1"] * 51}, "allowed_networks"),
        ({"allowed_networks": "10.0.0.1"}, "allowed_networks"),
        ({"rate_limit_per_hour": 0}, "rate_limit_per_hour"),
        ({"rate_limit_per_hour": 10_001}, "rate_limit_per_hour"),
        ({"rate_limit_per_day": 100_001}, "rate_limit_per_day"),
        ({"rate_limit_per_day": 10**20}, "rate_limit_per_day"),
        ({"name": ""}, "name"),
        ({"permissions": []}, "permissions"),
    ],
)
def test_bad_changes_are_refused_at_their_field(
    acme_api: APIClient, made: NewApiKey, change: dict[str, object], field: str
) -> None:
    patched = acme_api.patch(f"/api/v1/auth/api-keys/{made.row.id}", change)
    created = acme_api.post("/api/v1/auth/api-keys", {"name": "x", **change})
    assert [(answer.status_code, list(answer.json()["errors"])) for answer in (patched, created)] == [
        (400, [field]),
        (400, [field]),
    ]


def test_the_company_s_own_maximum_counts_for_new_and_for_old_keys(acme: Character, made: NewApiKey) -> None:
    Company.objects.filter(pk=acme.company.pk).update(api_key_max_per_hour=20)
    with pytest.raises(InvalidInputError):
        update_api_key(actor=acme.principal, api_key_id=made.row.id, changes={"rate_limit_per_hour": 21})
    assert create_api_key(actor=acme.principal, name="new").row.rate_limit_per_hour == 20
    assert ApiKey.objects.get(pk=made.row.pk).limits == (20, 10_000)


def test_people_change_their_own_keys_only(acme: Character, made: NewApiKey) -> None:
    colleague = User.objects.create(company=acme.company, email="bob@acme.example", username="bob", role="user")
    client = bearer(Character(acme.company, colleague, acme.agent))
    path = f"/api/v1/auth/api-keys/{made.row.id}"
    answers = [client.patch(path, {"name": "mine"}), client.post(f"{path}/rotate"), client.delete(path)]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert ApiKey.objects.get(pk=made.row.pk).name == "test"


# --- Addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "status"),
    [("203.0.113.7", 200), ("::ffff:203.0.113.7", 200), ("2001:db8::9", 200), ("203.0.113.8", 403), ("::1", 403)],
)
def test_a_key_works_from_its_addresses_only(acme: Character, made: NewApiKey, address: str, status: int) -> None:
    update_api_key(
        actor=acme.principal, api_key_id=made.row.id, changes={"allowed_networks": ["203.0.113.7", "2001:db8::/32"]}
    )
    answer = call(made, REMOTE_ADDR=address, HTTP_X_FORWARDED_FOR="203.0.113.7")
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "KEY_ADDRESS_NOT_ALLOWED"


@pytest.mark.parametrize("address", [None, "", "unknown", "unix:"])
def test_who_has_no_address_is_nowhere(address: str | None) -> None:
    assert not key_use.is_within(address, ["0.0.0.0/0", "::/0"])


# --- Limits -------------------------------------------------------------------------------------------------------


@pytest.fixture
def limited(made: NewApiKey, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> NewApiKey:
    """A key with three calls an hour and five a day, a quarter past an hour at noon."""
    settings.RATE_LIMIT_ENABLED = True
    now = 1_800_000_000 // 86400 * 86400 + 12 * 3600 + 900
    monkeypatch.setattr(time, "time", lambda: float(now))
    ApiKey.objects.filter(pk=made.row.pk).update(rate_limit_per_hour=3, rate_limit_per_day=5)
    made.row.refresh_from_db()
    return made


def limit_headers(answer: Any) -> list[int]:
    names = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
    return [int(answer.headers[name]) for name in names]


def test_beyond_its_hourly_limit_a_key_is_told_when_to_come_back(limited: NewApiKey) -> None:
    noon = int(time.time()) - 900
    answers = [call(limited) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [limit_headers(answer)[1] for answer in answers] == [2, 1, 0, 0, 0]
    assert [limit_headers(answer)[2] for answer in answers] == [noon + 3600] * 2 + [noon + 3601] * 3
    assert answers[-1].headers["Retry-After"] == "2701"
    body = answers[-1].json()
    assert (body["code"], body["message"]) == (
        "RATE_LIMITED",
        "This API key has made its 3 calls of an hour. Try again in 45 minutes.",
    )


def test_the_daily_limit_holds_across_hours(limited: NewApiKey, monkeypatch: pytest.MonkeyPatch) -> None:
    start = int(time.time())
    assert [call(limited).status_code for _ in range(3)] == [200] * 3
    monkeypatch.setattr(time, "time", lambda: float(start + 7200))
    answers = [call(limited) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert limit_headers(answers[-1]) == [5, 0, start - 900 + 12 * 3600 + 1]
    assert answers[-1].headers["Retry-After"] == str(12 * 3600 - 900 - 7200 + 1)


def test_the_last_hour_counts_for_what_is_left_of_it(limited: NewApiKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or twice the limit could be called around a full hour."""
    noon = int(time.time()) - 900
    ApiKey.objects.filter(pk=limited.row.pk).update(rate_limit_per_day=100)
    monkeypatch.setattr(time, "time", lambda: float(noon + 3599))
    assert [call(limited).status_code for _ in range(4)] == [200, 200, 200, 429]
    found = []
    # Of three calls, two count after the first second, one after twenty minutes, and none after forty.
    for second in (0, 1, 2, 1200, 1201, 1202, 2400, 2401, 2402):
        monkeypatch.setattr(time, "time", lambda second=second: float(noon + 3600 + second))
        answer = call(limited)
        found.append((second, answer.status_code, answer.headers.get("Retry-After")))
    assert found == [
        (0, 429, "1"),
        (1, 200, None),
        (2, 429, "1199"),
        (1200, 429, "1"),
        (1201, 200, None),
        (1202, 429, "1199"),
        (2400, 429, "1"),
        (2401, 200, None),
        (2402, 429, "1199"),
    ]


def test_every_route_counts_even_the_ones_that_do_not_exist_for_keys(limited: NewApiKey) -> None:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=limited.row.key, HTTP_X_API_SECRET=limited.secret)
    answers = [
        client.get("/api/v1/auth/api-keys"),
        client.post(AGENTS, {}),
        client.delete(AGENTS),
        client.get("/v1/document"),
    ]
    assert [answer.status_code for answer in answers] == [403, 400, 405, 429]


def test_a_bearer_token_beside_the_key_uses_no_call_of_it(acme_api: APIClient, limited: NewApiKey) -> None:
    headers = {"X-API-Key": limited.row.key, "X-API-Secret": limited.secret}
    assert [acme_api.get(AGENTS, headers=headers).status_code for _ in range(6)] == [200] * 6


def test_one_round_trip_lets_a_call_in(limited: NewApiKey, monkeypatch: pytest.MonkeyPatch) -> None:
    key_use.admit(limited.row, "127.0.0.1")  # the script is loaded
    commands: list[object] = []
    execute: Any = impatient_redis().execute_command

    def recording(*words: Any, **options: Any) -> Any:
        commands.append(words[0])
        return execute(*words, **options)

    monkeypatch.setattr(impatient_redis(), "execute_command", recording)
    key_use.admit(limited.row, "127.0.0.1")
    assert commands == ["EVALSHA"]


def test_many_calls_at_once_do_not_pass_a_limit(limited: NewApiKey) -> None:
    ApiKey.objects.filter(pk=limited.row.pk).update(rate_limit_per_hour=10, rate_limit_per_day=1000)
    limited.row.refresh_from_db()
    _ = limited.row.limits  # what they read of the company is loaded before the threads start

    def attempt(_: int) -> str:
        try:
            key_use.admit(limited.row, "127.0.0.1")
        except RateLimitedError:
            return "refused"
        return "let in"

    with ThreadPoolExecutor(16) as pool:
        outcomes = Counter(pool.map(attempt, range(200)))
    assert outcomes == {"let in": 10, "refused": 190}


def test_without_redis_a_key_works_and_is_not_slow(
    made: NewApiKey, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RATE_LIMIT_ENABLED = True
    monkeypatch.setattr(key_use, "_silent_until", 0.0)  # and so it is again after the test
    ApiKey.objects.filter(pk=made.row.pk).update(rate_limit_per_hour=1)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    clear: list[Callable[[], None]] = [impatient_redis.cache_clear, key_use._script.cache_clear]
    for forget in clear:
        forget()
    try:
        answers = [call(made) for _ in range(3)]
    finally:
        for forget in clear:
            forget()
    assert [(answer.status_code, "X-RateLimit-Limit" in answer.headers) for answer in answers] == [(200, False)] * 3


# --- What is stored -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "status"),
    [
        ({"scopes": ["bogus", "read"]}, 200),
        ({"scopes": ["bogus"]}, 403),
        ({"scopes": {"read": True}}, 403),
        ({"scopes": None}, 403),
        ({"permissions": ["agents"]}, 403),
        ({"permissions": "agents"}, 403),
        ({"rate_limit_per_hour": 0}, 429),
        ({"rate_limit_per_day": 0}, 429),
    ],
)
def test_a_row_that_no_service_would_write_opens_nothing(
    made: NewApiKey, settings: Settings, stored: dict[str, Any], status: int
) -> None:
    settings.RATE_LIMIT_ENABLED = True
    with connection.cursor() as cursor:
        for name, value in stored.items():
            kept: Any = Jsonb(value) if name in {"scopes", "permissions"} else value
            cursor.execute(
                f"UPDATE tenants_apikey SET {name} = %s WHERE id = %s", [kept, made.row.pk]
            )  # a column of the test's own
    assert call(made).status_code == status


# --- Django admin -------------------------------------------------------------------------------------------------


def test_the_admin_changes_a_key_by_the_service(acme: Character, super_admin: User, made: NewApiKey) -> None:
    root = super_admin_in_browser(super_admin)
    page = f"/admin/tenants/apikey/{made.row.pk}/change/"
    sent = {
        "name": "by hand", "rate_limit_per_hour": "5", "rate_limit_per_day": "50", "scopes": '["admin"]',
        "permissions": '["agents"]', "revoked_at_0": "2020-01-01", "revoked_at_1": "00:00",
    }  # fmt: skip
    assert root.post(page, sent).status_code == 302
    refused = root.post(page, {**sent, "rate_limit_per_hour": "0"}, follow=True)
    said = [str(message) for message in refused.context["messages"]]
    assert said[-1] == "Give a number from 1 to 10000, which is the most that your company's keys may have."
    row = ApiKey.objects.get(pk=made.row.pk)
    assert (row.name, row.rate_limit_per_hour, row.rate_limit_per_day) == ("by hand", 5, 50)
    assert (row.scopes, row.permissions, row.revoked_at) == (["read", "write"], {}, None)

    chosen = {"action": "revoke", ACTION_CHECKBOX_NAME: [str(made.row.pk)]}
    assert root.post("/admin/tenants/apikey/", chosen).status_code == 302
    assert call(made).status_code == 401
    with tenant_context(acme.company):
        told = AuditEvent.objects.filter(entity_id=str(made.row.pk)).order_by("position")
        assert [(event.event_type, event.actor_label) for event in told] == [
            ("api_key.created", acme.admin.email),
            ("api_key.updated", super_admin.email),
            ("api_key.revoked", super_admin.email),
        ]


@pytest.fixture
def super_admin(db: None) -> User:
    return User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD)


# --- Pages --------------------------------------------------------------------------------------------------------


def test_the_page_of_a_key_changes_it(acme_client: Client, made: NewApiKey) -> None:
    path = f"/api-keys/{made.row.id}"
    shown = acme_client.get(path)
    assert (shown.status_code, made.row.key_prefix in shown.content.decode()) == (200, True)
    form = {
        "name": "nightly",
        "allowed_networks": "203.0.113.0/24\n2001:db8::1",
        "rate_limit_per_hour": 7,
        "rate_limit_per_day": 8,
    }
    assert acme_client.post(path, form).status_code == 302
    row = ApiKey.objects.get(pk=made.row.pk)
    assert (row.name, row.allowed_networks, row.limits) == (
        "nightly",
        ["203.0.113.0/24", "2001:db8::1/128"],
        (7, 8),
    )
    refused = acme_client.post(path, {**form, "allowed_networks": "nowhere", "rate_limit_per_day": 10**6})
    assert refused.status_code == 200
    faults = refused.context["form"].errors
    assert list(faults) == ["allowed_networks"]


def test_the_pages_show_and_change_what_a_key_is_narrowed_to(acme_client: Client, made: NewApiKey) -> None:
    path = f"/api-keys/{made.row.id}"
    form = {"name": "narrow", "rate_limit_per_hour": 7, "rate_limit_per_day": 8}
    rights = {**form, "is_narrowed": "on", "permissions": ["agents:read", "agents:update", "leads:read"]}
    assert acme_client.post(path, rights).status_code == 302
    row = ApiKey.objects.get(pk=made.row.pk)
    assert row.permissions == {"agents": ["read", "update"], "leads": ["read"]}

    shown = acme_client.get(path).content.decode()
    assert shown.count('name="permissions"') == 42
    assert shown.count('" checked>') == 4  # and the switch
    part = '<div><dt>Agents</dt><dd class="row"><span class="badge badge-plain">read</span>'
    assert parse_html(shown).count(parse_html(f'{part}<span class="badge badge-plain">update</span></dd></div>')) == 1
    assert "Only agents, leads" in acme_client.get("/api-keys").content.decode()

    nothing = acme_client.post(path, {**form, "is_narrowed": "on"})
    assert list(nothing.context["form"].errors) == ["permissions"]
    assert acme_client.post(path, {**rights, "permissions": ["agents:fly"]}).status_code == 200
    assert ApiKey.objects.get(pk=made.row.pk).permissions == row.permissions
    assert acme_client.post(path, form).status_code == 302
    assert ApiKey.objects.get(pk=made.row.pk).permissions == {}


def test_the_form_makes_a_narrow_key(acme_client: Client) -> None:
    sent = {"name": "narrow", "scopes": ["read"], "is_narrowed": "on", "permissions": ["documents:read"]}
    created = acme_client.post("/api-keys", sent).context["created"]
    assert ApiKey.objects.get(key=created["api_key"]).permissions == {"documents": ["read"]}


def test_the_page_of_a_key_rotates_it_and_shows_the_secret_once(acme_client: Client, made: NewApiKey) -> None:
    path = f"/api-keys/{made.row.id}"
    answer = acme_client.post(f"{path}/rotate", {"overlap_hours": "0"})
    secret = answer.context["created"]["api_secret"]
    assert secret in answer.content.decode()
    assert secret not in acme_client.get(path).content.decode()
    assert (call(made).status_code, call(made, secret).status_code) == (401, 200)
    assert acme_client.post(f"{path}/rotate", {"overlap_hours": "9000"}).context["created"] is None


def test_a_revoked_key_s_page_offers_nothing(acme: Character, acme_client: Client, made: NewApiKey) -> None:
    revoke_api_key(actor=acme.principal, api_key_id=made.row.id)
    path = f"/api-keys/{made.row.id}"
    assert b"<form" not in acme_client.get(path).content.partition(b"<main")[2].partition(b"</main>")[0]
    refused = acme_client.post(f"{path}/rotate", {"overlap_hours": "0"})
    assert refused.context["rotation"].non_field_errors() == ["This API key is revoked. Create a new one."]


def test_a_colleague_s_key_has_no_page(acme: Character, made: NewApiKey) -> None:
    colleague = User.objects.create(company=acme.company, email="bob@acme.example", username="bob", role="user")
    client = page_client(Character(acme.company, colleague, acme.agent))
    assert client.get(f"/api-keys/{made.row.id}").status_code == 404
    assert principal_of(colleague).is_admin is False
