"""API keys with the published Python client: their life, their figures, their limits, and how fast they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from knowrithm_py.dataclass.config import KnowrithmConfig
from knowrithm_py.dataclass.error import KnowrithmAPIError
from knowrithm_py.knowrithm.client import KnowrithmClient

from knowrithm.tests.mailbox import free_port
from knowrithm.tests.platform import FLOW, PASSWORD, ROOT, Owner, Platform, wait_for

pytestmark = FLOW


def refused(call: Any, *arguments: Any, **options: Any) -> Any:
    """The error that the client raises for the call."""
    with pytest.raises(KnowrithmAPIError) as caught:
        call(*arguments, **options)
    return caught.value


def make_key(owner: Owner, **fields: Any) -> Any:
    return owner.client.api_keys.create_api_key({"name": "flow", "scopes": ["read"], **fields}, headers=owner.jwt)


def environment_of(platform: Platform) -> dict[str, str]:
    """What the supervisor has given to the web process: addresses and secrets."""
    text = Path(f"/proc/{platform.part('uvicorn').pid}/environ").read_text()
    pairs = [part.partition("=") for part in text.split("\0") if part]
    return {name: value for name, _, value in pairs}


def headers_of(made: Any) -> dict[str, str]:
    return {"X-API-Key": made["api_key"], "X-API-Secret": made["api_secret"]}


def test_a_key_is_rotated_and_its_old_secret_runs_out(owner: Owner) -> None:
    made = make_key(owner)
    old = owner.platform.client(made["api_key"], made["api_secret"])
    path = f"/api/v1/auth/api-keys/{made['details']['id']}"
    answer = owner.platform.post(f"{path}/rotate", headers=owner.jwt, json={"overlap_hours": 1}).json()
    new = owner.platform.client(answer["api_key"], answer["api_secret"])
    assert [client.api_keys.validate_credentials({})["valid"] for client in (old, new)] == [True, True]
    owner.platform.post(f"{path}/rotate", headers=owner.jwt, json={"overlap_hours": 0})
    assert {refused(client.agents.list_agents).status_code for client in (old, new)} == {401}


def test_the_seven_reports_count_every_call_at_once(owner: Owner) -> None:
    made = make_key(owner, scopes=["read", "admin"])
    client, key_id = owner.platform.client(made["api_key"], made["api_secret"]), made["details"]["id"]
    for _ in range(7):
        client.agents.list_agents()
    assert refused(client.agents.get_agent_by_name, "nobody").status_code == 404
    keys = client.api_keys
    answers = {
        "detailed": keys.get_detailed_usage(key_id),
        "overview": keys.get_api_key_overview(days=7),
        "trends": keys.get_usage_trends(days=7, granularity="hourly"),
        "endpoints": keys.get_top_endpoints(days=7),
        "performance": keys.get_api_key_performance(),
        "errors": keys.get_error_analysis(),
        "limits": keys.get_rate_limit_analysis(),
    }
    assert {(answer["success"], type(answer["data"])) for answer in answers.values()} == {(True, dict)}
    detailed = answers["detailed"]["data"]
    assert detailed["total_logs"] == 8
    endpoints = {row["endpoint"]: row["total_requests"] for row in detailed["endpoint_breakdown"]}
    assert endpoints == {"GET /api/v1/agent": 7, "GET /api/v1/agent/by-name/{name}": 1}
    [mine] = [row for row in answers["performance"]["data"]["api_keys"] if row["api_key_id"] == key_id]
    assert mine["total_requests"] >= 8
    assert 404 in [row["status_code"] for row in answers["errors"]["data"]["status_code_breakdown"]]

    # Beat has it stored within half a minute; the count neither falls nor doubles on the way.
    with redis.Redis.from_url(environment_of(owner.platform)["REDIS_URL"]) as client_of_redis:
        waiting = [f"key-use:{owner.company_id}:{part}" for part in ("open", "closed")]
        wait_for(lambda: client_of_redis.exists(*waiting) == 0, seconds=90)
    detailed = keys.get_detailed_usage(key_id)["data"]
    calls = {row["endpoint"]: row["total_requests"] for row in detailed["endpoint_breakdown"]}
    assert calls["GET /api/v1/agent"] == 7


def test_the_stream_counts_as_a_call_and_minds_the_allowed_addresses(owner: Owner) -> None:
    conversation_id = owner.start_conversation(owner.create_agent())
    made = make_key(owner)
    path = f"/api/v1/conversation/{conversation_id}/messages/stream"
    with owner.platform.get(path, headers=headers_of(made), stream=True) as answer:
        assert answer.status_code == 200
    key_path = f"/api/v1/auth/api-keys/{made['details']['id']}"
    changes = {"allowed_networks": ["203.0.113.0/24"]}
    changed = owner.platform.request("PATCH", key_path, headers=owner.jwt, json=changes)
    assert changed.json()["api_key"]["allowed_networks"] == ["203.0.113.0/24"]
    elsewhere = owner.platform.get(path, headers=headers_of(made))
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "KEY_ADDRESS_NOT_ALLOWED")
    detailed = owner.client.api_keys.get_detailed_usage(made["details"]["id"])["data"]
    assert detailed["endpoint_breakdown"] == [
        {
            "endpoint": "GET /api/v1/conversation/{conversation_id}/messages/stream",
            "total_requests": 2,
            "success_rate": 50.0,
            "avg_response_time": detailed["endpoint_breakdown"][0]["avg_response_time"],
        }
    ]


# --- Limits switched on -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict(platform: Platform) -> Iterator[str]:
    """The address of a second web process of the same platform, with limits as in production."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "knowrithm.asgi:application", "--port", str(port), "--no-access-log"],
        cwd=ROOT,
        env={**environment_of(platform), "RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_LOGIN_ACCOUNT": "2/hour"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        try:
            return requests.get(f"{url}/health", timeout=5).ok
        except requests.ConnectionError:
            return False

    try:
        wait_for(is_up, seconds=60)
        yield url
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def strict_client(url: str, made: Any) -> Any:
    return KnowrithmClient(made["api_key"], made["api_secret"], KnowrithmConfig(base_url=f"{url}/api"))


def test_beyond_its_limit_a_key_gets_429_and_when_to_come_back(owner: Owner, strict: str) -> None:
    made = make_key(owner, rate_limit_per_hour=3)
    client = strict_client(strict, made)
    for _ in range(3):
        client.agents.list_agents()
    error = refused(client.agents.list_agents)
    client._session.close()
    assert (error.status_code, error.error_code) == (429, "RATE_LIMITED")
    plain = requests.get(f"{strict}/api/v1/agent", headers=headers_of(made), timeout=30)
    assert 1 <= int(plain.headers["Retry-After"]) <= 3600
    assert (plain.headers["X-RateLimit-Limit"], plain.headers["X-RateLimit-Remaining"]) == ("3", "0")
    conversation_id = owner.start_conversation(owner.create_agent())
    stream = requests.get(
        f"{strict}/api/v1/conversation/{conversation_id}/messages/stream", headers=headers_of(made), timeout=30
    )
    assert (stream.status_code, stream.json()["code"], "Retry-After" in stream.headers) == (429, "RATE_LIMITED", True)


def test_direct_chats_tell_what_is_left_to_a_key(owner: Owner, strict: str) -> None:
    """Also where the answer, whole or as events, comes from beside Django."""
    made = make_key(owner, rate_limit_per_hour=2, scopes=["read", "write"])
    agent_id = owner.create_agent()
    body = {"bot_id": agent_id, "messages": [{"role": "user", "content": "What is there?"}]}
    names = ("X-RateLimit-Limit", "X-RateLimit-Remaining")
    for is_streamed, left in ((False, "1"), (True, "0")):
        answer = requests.post(
            f"{strict}/v1/chat", headers=headers_of(made), json={**body, "stream": is_streamed}, timeout=60
        )
        assert (answer.status_code, [answer.headers[name] for name in names]) == (200, ["2", left])
        assert int(answer.headers["X-RateLimit-Reset"]) > time.time()
        assert uuid.UUID(answer.headers["X-Agent-Trace-Id"])
    refused_now = requests.post(f"{strict}/v1/chat", headers=headers_of(made), json=body, timeout=60)
    assert (refused_now.status_code, refused_now.json()["code"]) == (429, "RATE_LIMITED")
    assert 1 <= int(refused_now.headers["Retry-After"]) <= 3600


def test_many_calls_at_once_do_not_pass_a_key_s_limit(owner: Owner, strict: str) -> None:
    made = make_key(owner, rate_limit_per_hour=20)
    statuses: list[int] = []

    def call() -> None:
        answer = requests.get(f"{strict}/api/v1/agent", headers=headers_of(made), timeout=60)
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=call) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(statuses) == {200: 20, 429: 40}


def test_signing_in_too_often_is_refused(owner: Owner, strict: str) -> None:
    public = KnowrithmClient("", "", KnowrithmConfig(base_url=f"{strict}/api"))
    for _ in range(2):
        assert public.auth.login(owner.email, PASSWORD)["user"]["email"] == owner.email
    error = refused(public.auth.login, owner.email, PASSWORD)
    public._session.close()
    assert (error.status_code, error.error_code) == (429, "RATE_LIMITED")
