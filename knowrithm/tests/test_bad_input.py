"""Bad input is a clear 4xx in the contract's envelope, on every operation and in every field; never a 5xx.

Each field gets one bad value here, another one than its neighbours; `make fuzz` sends each value to each field, and
those of STRINGS_FILE besides.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from django.test import RequestFactory
from rest_framework.test import APIClient

from conftest import Character, bearer, key_client
from knowrithm.api.errors import server_error
from knowrithm.charset import AsgiRequest, WsgiRequest
from knowrithm.tests.hostile import (
    OTHER_TYPES,
    TEXTS,
    Attacker,
    Operation,
    fault_of,
    more_texts,
    operations,
    rolled_back,
    settled,
)

IS_LONG = "FUZZ_EXAMPLES" in os.environ
VALUES = [*TEXTS, *OTHER_TYPES, *more_texts()]
PARTS = 4
WHO = ["admin", "read-only key", "super admin"]

MULTIPART = "multipart/form-data; boundary=x"
BODIES = [
    (b"{", "application/json"),
    (b"[]", "application/json"),
    (b"null", "application/json"),
    (b"1", "application/json"),
    (b'"text"', "application/json"),
    (b'[{"name": "x"}]', "application/json"),
    (b'{"a": 1}{"b": 2}', "application/json"),
    (b'{"a":' * 2_000, "application/json"),
    (b"\xff\xfe", "application/json"),
    (b"\xef\xbb\xbf{}", "application/json"),
    (b"1" * 5_000, "application/json"),
    (b"{}", "application/json; charset=no-such"),
    (b"{}", "application/json; charset=utf-16"),
    (b"", "application/x-www-form-urlencoded"),
    (b"%ff%00=%00&=&", "application/x-www-form-urlencoded"),
    (b"a=b&" * 1_001, "application/x-www-form-urlencoded"),
    (b"a=b", "application/x-www-form-urlencoded; charset=utf-16"),
    (b"", "multipart/form-data"),
    (b"", MULTIPART),
    (b"--x\r\n", MULTIPART),
    (b'--x\r\nContent-Disposition: form-data; name="files"; filename="\0"\r\n\r\nx\r\n--x--', MULTIPART),
    (b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n", MULTIPART),
    (b"--x\r\nContent-Disposition: form-data; name=files\r\n\r\nx\r\n--x--\r\n", f"{MULTIPART}; charset=no-such"),
    (b"x", "multipart/form-data; boundary=\xff"),
    (b"<a/>", "application/xml"),
    (b"{}", "text/plain"),
    (b"{}", ""),
    (b"{}", "application/json;;;="),
]
HEADERS: list[dict[str, Any]] = [
    {"HTTP_HOST": "evil.example"},
    {"HTTP_HOST": "a b"},
    {"HTTP_HOST": ""},
    {"HTTP_COOKIE": r'knowrithm_session="\000aaaaaaaaaa"'},  # Python unescapes what is quoted
    {"HTTP_COOKIE": "knowrithm_session=" + "\x80" * 40},
    {"HTTP_COOKIE": r'csrftoken="\000"; ;;=;'},
    {"HTTP_AUTHORIZATION": "Bearer"},
    {"HTTP_AUTHORIZATION": "Bearer \x80\xff"},
    {"HTTP_AUTHORIZATION": "Bearer eyJhbGciOiJub25lIn0.e30."},
    {"HTTP_AUTHORIZATION": "Basic \xff"},
    {"HTTP_X_API_KEY": "\x80\xff", "HTTP_X_API_SECRET": "\xff\0"},
    {"HTTP_X_API_KEY": "x" * 9_000, "HTTP_X_API_SECRET": "y" * 9_000},
    {"HTTP_ACCEPT": "\xff;q=x"},
    {"HTTP_ACCEPT": "application/json; indent=x"},
    {"HTTP_X_REQUEST_ID": "\0\n"},
    {"HTTP_USER_AGENT": "\xff\0" * 500},
    {"HTTP_ORIGIN": "https://[::1"},
    {"HTTP_IF_MODIFIED_SINCE": "x"},
    {"REMOTE_ADDR": ""},
]


@pytest.fixture
def attacker(request: pytest.FixtureRequest, acme: Character, super_admin_api: APIClient) -> Attacker:
    """With the credential that the test names."""
    clients = {"admin": bearer(acme), "read-only key": key_client(acme, "read"), "super admin": super_admin_api}
    return Attacker(request.param, clients[request.param], settled(acme))


def values() -> Iterator[list[Any]]:
    """What the next field is sent: everything in the long run, else one value after the other."""
    for number in count():
        yield VALUES if IS_LONG else [VALUES[(number * 7) % len(VALUES)]]


@pytest.mark.parametrize("attacker", WHO, indirect=True)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_field_of_every_operation(attacker: Attacker, part: int) -> None:
    bad = values()
    for operation in operations()[part::PARTS]:
        body = attacker.good_body(operation)
        attacker.send(operation, "nothing bad", body=body or None)
        for name in operation.in_path:
            for value in next(bad):
                attacker.send(operation, f"{name} = {value!r:.60}", path={name: value}, body=body or None)
        for value in next(bad):
            attacker.send(
                operation, f"everything = {value!r:.60}",
                query=dict.fromkeys(operation.in_query, value), body=dict.fromkeys(body, value) or None,
            )  # fmt: skip
        if IS_LONG or attacker.who == ("super admin" if "/super-admin/" in operation.path else "admin"):
            _each_field(attacker, operation, bad)
    assert attacker.findings == {}


def _each_field(attacker: Attacker, operation: Operation, bad: Iterator[list[Any]]) -> None:
    body = attacker.good_body(operation)
    for name in operation.in_query:
        for value in next(bad):
            attacker.send(operation, f"{name} = {value!r:.60}", query={name: value}, body=body or None)
    for name in operation.in_body:
        for value in next(bad):
            attacker.send(operation, f"{name} = {value!r:.60}", body={**body, name: value})


@pytest.mark.parametrize("attacker", ["admin"], indirect=True)
def test_bodies_that_are_none(attacker: Attacker) -> None:
    number = 0
    for operation in operations():
        if operation.method == "GET":
            continue
        for _ in BODIES if IS_LONG else range(2):
            raw, content_type = BODIES[number % len(BODIES)]
            attacker.send(operation, f"{raw!r:.40} as {content_type}", raw=raw, content_type=content_type)
            number += 1
    assert attacker.findings == {}


@pytest.mark.parametrize("headers", HEADERS, ids=[f"{number}" for number in range(len(HEADERS))])
def test_headers_that_mean_nothing(acme_api: APIClient, anonymous: APIClient, headers: dict[str, Any]) -> None:
    faults = {}
    for client in (acme_api, anonymous):
        client.raise_request_exception = False
        for method, path in (
            ("GET", "/api/v1/agent"),
            ("GET", "/api/v1/nowhere"),
            ("GET", "/health"),
            ("POST", "/api/v1/auth/login"),
            ("POST", "/test"),
            ("BREW", "/v1/agent"),
        ):
            with rolled_back():
                answer = client.generic(method, path, "{}", "application/json", **headers)
            faults[method, path] = fault_of(answer)
    assert {route: fault for route, fault in faults.items() if fault} == {}


@pytest.mark.parametrize("charset", ["hex", "base64", "idna", "undefined", "utf-8", "no-such"])
def test_charsets_of_a_query(rf: RequestFactory, charset: str) -> None:
    """The request itself: Django's test client makes one of its own class."""
    kind = f"application/json; charset={charset}"
    environ = rf.generic("GET", "/api/v1/agent?search=%ff", content_type=kind).environ
    assert WsgiRequest({**environ, "CONTENT_TYPE": kind}).GET["search"] == "\ufffd"
    scope = {
        "type": "http", "method": "GET", "path": "/", "query_string": b"search=%ff",
        "headers": [(b"content-type", kind.encode())],
    }  # fmt: skip
    assert AsgiRequest(scope, io.BytesIO()).GET["search"] == "\ufffd"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/login"])
def test_a_page_says_it_in_words(anonymous: APIClient, path: str) -> None:
    answer = anonymous.get(path, HTTP_HOST="a b")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    anonymous.raise_request_exception = False
    assert anonymous.get(path, HTTP_COOKIE=r'knowrithm_session="\000aaaaaaaaaa"').status_code == 200


def test_what_fails_outside_of_every_view_has_the_envelope(rf: RequestFactory) -> None:
    answer = server_error(rf.get("/api/v1/agent"))
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/json")
    assert server_error(rf.get("/agents")).headers["Content-Type"] == "text/html; charset=utf-8"
