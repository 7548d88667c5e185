"""Limits of routes: atomic, per address, account, company or credential, and told in words on pages too."""

from __future__ import annotations

import socket
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, key_client
from knowrithm.api import throttling
from knowrithm.api.throttling import check_rate
from knowrithm.db.redis import sync_redis
from knowrithm.errors import RateLimitedError


@pytest.fixture
def limits(settings: Settings) -> dict[str, str]:
    """Switched on, as in production; the test sets the ones it means."""
    settings.RATE_LIMIT_ENABLED = True
    settings.RATE_LIMITS = dict(settings.RATE_LIMITS)
    found: dict[str, str] = settings.RATE_LIMITS
    return found


def new_address() -> str:
    """One that no other test has used."""
    number = uuid.uuid4().int
    return f"2001:db8:{number >> 16 & 0xFFFF:x}:{number & 0xFFFF:x}::1"


@pytest.mark.parametrize("name", ["login", "login_account", "mail", "upload", "search", "handshake", "chat"])
def test_many_calls_at_once_do_not_pass_a_limit(limits: dict[str, str], name: str) -> None:
    limits[name] = "10/day"
    who = uuid.uuid4().hex

    def attempt(_: int) -> str:
        try:
            check_rate(name, who)
        except RateLimitedError:
            return "refused"
        return "let in"

    with ThreadPoolExecutor(16) as pool:
        outcomes = Counter(pool.map(attempt, range(100)))
    assert outcomes == {"let in": 10, "refused": 90}


def test_signing_in_is_counted_per_account_from_wherever(
    acme: Character, anonymous: APIClient, limits: dict[str, str]
) -> None:
    limits["login_account"] = "2/day"
    email = f"{uuid.uuid4().hex}@acme.example"
    spelled = [email, email.upper(), email]
    answers = [
        anonymous.post("/api/v1/auth/login", {"email": name, "password": "wrong"}, REMOTE_ADDR=new_address())
        for name in spelled
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert (answers[-1].json()["code"], int(answers[-1].headers["Retry-After"]) > 0) == ("RATE_LIMITED", True)


@pytest.mark.parametrize("limit", ["login", "login_account"])
def test_the_sign_in_page_says_in_words_when_to_come_back(acme: Character, limits: dict[str, str], limit: str) -> None:
    limits[limit] = "1/day"
    client, address = Client(), new_address()
    form = {"email": f"{uuid.uuid4().hex}@acme.example", "password": "wrong"}
    assert client.post("/login", form, REMOTE_ADDR=address).status_code == 200
    refused = client.post("/login", form, REMOTE_ADDR=address)
    assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (429, True)
    assert "Too many requests. Try again in" in refused.content.decode()


def test_the_admin_s_sign_in_is_limited_too(db: None, limits: dict[str, str]) -> None:
    limits["login"] = "1/day"
    client, address = Client(), new_address()
    form = {"username": f"{uuid.uuid4().hex}@acme.example", "password": "wrong"}
    assert client.post("/admin/login/", form, REMOTE_ADDR=address).status_code == 200
    assert client.post("/admin/login/", form, REMOTE_ADDR=address).status_code == 429


def test_the_sign_up_page_is_limited(db: None, limits: dict[str, str]) -> None:
    limits["register"] = "1/day"
    client, address = Client(), new_address()
    form = {
        "company_name": "X",
        "first_name": "A",
        "last_name": "B",
        "email": "admin@acme.example",  # taken
        "password": PASSWORD,
    }
    answers: list[Any] = [client.post("/signup", form, REMOTE_ADDR=address) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert "Retry-After" in answers[1].headers


def test_uploads_are_limited_on_the_page_and_in_the_api_together(
    acme: Character, acme_client: Client, limits: dict[str, str]
) -> None:
    limits["upload"] = "1/day"
    api = key_client(acme, "write")
    assert api.post("/api/v1/document/upload", {}).status_code == 400
    for answer in (api.post("/api/v1/document/upload", {}), acme_client.post("/documents/upload", {})):
        assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)


def test_searching_is_limited_per_credential(acme: Character, limits: dict[str, str]) -> None:
    limits["search"] = "1/day"
    first, second = key_client(acme, "read"), key_client(acme, "read")
    statuses = [client.post("/api/v1/search/document", {}).status_code for client in (first, first, second)]
    assert statuses == [400, 429, 400]


def test_the_handshake_is_limited_per_address(acme: Character, anonymous: APIClient, limits: dict[str, str]) -> None:
    limits["handshake"] = "1/day"
    address = new_address()
    answers = [
        anonymous.post("/api/v1/website/handshake", {}, REMOTE_ADDR=place)
        for place in (address, address, new_address())
    ]
    assert [answer.status_code for answer in answers] == [400, 429, 400]


@pytest.fixture
def deaf(settings: Settings, limits: dict[str, str]) -> Iterator[None]:
    """A Redis that lets everybody connect and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.REDIS_URL = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        throttling._limiter.cache_clear()
        yield
    throttling._limiter.cache_clear()


def test_without_redis_the_sign_in_says_so(acme: Character, deaf: None) -> None:
    form = {"email": acme.admin.email, "password": PASSWORD}
    page = Client().post("/login", form)
    api = APIClient().post("/api/v1/auth/login", form)
    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in (page, api)] == [(503, "5")] * 2
    assert b"A part of the service is not available" in page.content
    assert Client().get("/login").status_code == 200


def test_no_address_of_a_mail_stands_in_redis(db: None, client: Client, limits: dict[str, str]) -> None:
    email = f"{uuid.uuid4().hex}@acme.example"
    client.post("/password/forgot", {"email": email}, REMOTE_ADDR=new_address())
    client.post("/api/v1/send", {"email": email}, REMOTE_ADDR=new_address())
    assert [key for key in sync_redis().scan_iter("*", count=1000) if email in key] == []
