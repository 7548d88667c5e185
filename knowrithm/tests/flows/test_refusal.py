"""Under load every kind of credential is refused within a second of its end, and an open stream falls silent."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from knowrithm.embedded.__main__ import DEFAULT_SUPER_ADMIN
from knowrithm.embedded.credentials import platform_secrets
from knowrithm.tests.platform import FLOW, PASSWORD, Owner, Platform, bearer, wait_for

pytestmark = FLOW
SECONDS = 1.0  # after which nothing may be let in any more
THREADS = 8
ENOUGH = 5  # calls of each kind that were let in before
Call = Callable[[requests.Session], bool]


@pytest.fixture(scope="module")
def sa(platform: Platform) -> dict[str, str]:
    """The headers of the installation's super admin."""
    password = platform_secrets(platform.data_dir / "secrets.env")["SUPER_ADMIN_PASSWORD"]
    return bearer(platform.client().auth.login(DEFAULT_SUPER_ADMIN, password)["access_token"])


@dataclass(frozen=True)
class Person:
    """An admin beside the company's owner, with one credential of each kind. A call tells whether it was let in."""

    owner: Owner
    id: str
    email: str
    jwt: Mapping[str, str]
    key: Any
    cookies: Mapping[str, str]
    conversation_id: str
    calls: Mapping[str, Call]

    @property
    def key_path(self) -> str:
        return f"/api/v1/auth/api-keys/{self.key['details']['id']}"


def key_headers(made: Any) -> dict[str, str]:
    return {"X-API-Key": made["api_key"], "X-API-Secret": made["api_secret"]}


def make_person(owner: Owner, sa: dict[str, str]) -> Person:
    platform, name = owner.platform, f"p{uuid.uuid4().hex[:10]}"
    body = {"username": name, "password": PASSWORD, "first_name": "Max", "last_name": "Power", "role": "admin"}
    email = f"{name}@acme.example"
    user = owner.client.auth.create_user({"email": email, **body}, headers=owner.jwt)["user"]
    jwt = bearer(platform.client().auth.login(email, PASSWORD)["access_token"])
    key = platform.client().api_keys.create_api_key({"name": "flow", "scopes": ["read", "write"]}, headers=jwt)
    acting = platform.post(f"/api/v1/user/{user['id']}/impersonate", headers=sa, json={"reason": "flow"}).json()
    agent_id = owner.create_agent()
    conversation = {"agent_id": agent_id, "title": "flow"}
    conversation_id = platform.post("/api/v1/conversation", headers=jwt, json=conversation).json()["conversation"]["id"]
    visitor = {"agent_id": agent_id, "first_name": "Eve", "last_name": "E", "email": f"{name}@example.org"}
    lead = bearer(platform.post("/api/v1/lead/register", json=visitor).json()["access_token"])
    visit = platform.post("/api/v1/conversation", headers=lead, json={"agent_id": agent_id}).json()["conversation"][
        "id"
    ]
    cookies = logged_in(platform, email)
    calls = {
        "access token": get(f"{platform.url}/api/v1/agent", jwt),
        "refresh": refresher(platform, email),
        "API key": get(f"{platform.url}/api/v1/agent", key_headers(key)),
        "browser": page(f"{platform.url}/home", cookies),
        "impersonation": get(f"{platform.url}/api/v1/agent", bearer(acting["token"])),
        "lead": get(f"{platform.url}/api/v1/conversation/{visit}/messages", lead),
        "stream": opens(f"{platform.url}/api/v1/conversation/{conversation_id}/messages/stream", jwt),
        "stream by key": opens(
            f"{platform.url}/api/v1/conversation/{conversation_id}/messages/stream", key_headers(key)
        ),
    }
    return Person(owner, user["id"], email, jwt, key, cookies, conversation_id, calls)


def logged_in(platform: Platform, email: str) -> dict[str, str]:
    with requests.Session() as session:
        session.get(f"{platform.url}/login", timeout=30)
        form = {"email": email, "password": PASSWORD, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
        session.post(f"{platform.url}/login", data=form, timeout=30, allow_redirects=False)
        return dict(session.cookies)


def get(url: str, headers: Mapping[str, str]) -> Call:
    return lambda session: session.get(url, headers=headers, timeout=60).status_code == 200


def page(url: str, cookies: Mapping[str, str]) -> Call:
    return lambda session: session.get(url, cookies=dict(cookies), allow_redirects=False, timeout=60).status_code == 200


def opens(url: str, headers: Mapping[str, str]) -> Call:
    def call(session: requests.Session) -> bool:
        with session.get(url, headers=headers, stream=True, timeout=60) as answer:
            return answer.status_code == 200

    return call


def refresher(platform: Platform, email: str) -> Call:
    """A session of its own, which goes on with each call."""
    kept = [platform.client().auth.login(email, PASSWORD)["refresh_token"]]

    def call(session: requests.Session) -> bool:
        url, body = f"{platform.url}/api/v1/auth/refresh", {"refresh_token": kept[0]}
        answer = session.post(url, json=body, timeout=60)
        kept[0] = answer.json().get("refresh_token", kept[0])
        return answer.status_code == 200

    return call


# --- What ends credentials ----------------------------------------------------------------------------------------


def request(person: Person, method: str, path: str, **options: Any) -> requests.Response:
    return person.owner.platform.request(method, path, headers=options.pop("headers", person.owner.jwt), **options)


def suspend(person: Person) -> requests.Response:
    return request(person, "PATCH", f"/api/v1/user/{person.id}/status", json={"status": "suspended"})


def archive_company(person: Person) -> requests.Response:
    return request(person, "DELETE", f"/api/v1/company/{person.owner.company_id}")


def force_reset(person: Person) -> requests.Response:
    return request(person, "POST", f"/api/v1/user/{person.id}/force-password-reset")


def revoke_key(person: Person) -> requests.Response:
    return request(person, "DELETE", person.key_path)


def rotate_key(person: Person) -> requests.Response:
    return request(person, "POST", f"{person.key_path}/rotate", json={"overlap_hours": 0})


def sign_out(person: Person) -> requests.Response:
    return request(person, "POST", "/api/v1/auth/logout", headers=person.jwt)


def sign_out_browser(person: Person) -> requests.Response:
    """From another browser of the same person: signing out everywhere else."""
    platform, cookies = person.owner.platform, logged_in(person.owner.platform, person.email)
    form = {"csrfmiddlewaretoken": csrf_token(platform, cookies)}
    return platform.post("/account/sessions/revoke-others", cookies=cookies, data=form)


def csrf_token(platform: Platform, cookies: dict[str, str]) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', platform.get("/account", cookies=cookies).text)
    assert found is not None
    return found.group(1)


OWN = {"access token", "refresh", "browser", "stream"}
KEYS = {"API key", "stream by key"}
ENDS: dict[str, tuple[Callable[[Person], requests.Response], set[str]]] = {
    "the person is suspended": (suspend, {*OWN, *KEYS, "impersonation"}),
    "the person must choose a new password": (force_reset, {*OWN, *KEYS, "impersonation"}),
    "the session is ended": (sign_out, {"access token", "stream"}),
    "signed out everywhere else": (sign_out_browser, {*OWN, "impersonation"}),
    "the key is revoked": (revoke_key, KEYS),
    "the secret is rotated": (rotate_key, KEYS),
    "the company is archived": (archive_company, {*OWN, *KEYS, "impersonation", "lead"}),
}


@pytest.mark.parametrize("what", ENDS)
def test_under_load_nothing_is_let_in_a_second_later(
    platform: Platform, owner: Owner, sa: dict[str, str], what: str
) -> None:
    act, ended = ENDS[what]
    person = make_person(platform.found_company() if act is archive_company else owner, sa)
    let_in: dict[str, list[float]] = {kind: [] for kind in person.calls}  # when each call began
    refused: dict[str, list[float]] = {kind: [] for kind in person.calls}
    stop = threading.Event()

    def keep_calling(kind: str, call: Call) -> None:
        with requests.Session() as session:
            while not stop.is_set():
                began = time.monotonic()
                (let_in if call(session) else refused)[kind].append(began)

    assert len(person.calls) == THREADS
    threads = [threading.Thread(target=keep_calling, args=item) for item in person.calls.items()]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: all(len(calls) >= ENOUGH for calls in let_in.values()), seconds=60)
        assert {kind for kind, calls in refused.items() if calls} == set()
        status = act(person).status_code
        moment = time.monotonic()

        def all_have_called_later() -> bool:
            return all(max(let_in[kind] + refused[kind]) > moment + SECONDS for kind in person.calls)

        wait_for(all_have_called_later, seconds=60)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert status == 200
    late = {kind for kind, calls in let_in.items() if calls and calls[-1] > moment + SECONDS}
    assert late == person.calls.keys() - ended
    assert {kind for kind, calls in refused.items() if calls} == ended


# --- Streams ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("act", "kind"), [(suspend, "person"), (sign_out, "person"), (revoke_key, "key")])
def test_an_open_stream_tells_nothing_to_whom_it_would_refuse(
    owner: Owner, sa: dict[str, str], act: Callable[[Person], requests.Response], kind: str
) -> None:
    person = make_person(owner, sa)
    path = f"/api/v1/conversation/{person.conversation_id}"
    headers = person.jwt if kind == "person" else key_headers(person.key)
    streams = [
        owner.platform.get(f"{path}/messages/stream", headers=headers, stream=True) for headers in (headers, owner.jwt)
    ]
    with closing(streams[0]) as theirs, closing(streams[1]) as ours:
        assert [theirs.status_code, ours.status_code] == [200, 200]
        time.sleep(0.5)  # both listen by now
        assert act(person).status_code == 200
        time.sleep(SECONDS)
        owner.platform.post(f"{path}/chat", headers=owner.jwt, json={"message": "What is secret?"})
        assert "chat_response" in ours.text  # it ends with the answer
        assert "chat_" not in theirs.text
