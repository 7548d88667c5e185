"""`POST /v1/chat` on the whole platform: answered by the call that asked, whole and as events, under a guardrail."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from knowrithm.tests.flows.files import WARRANTY, WARRANTY_QUESTION, library
from knowrithm.tests.platform import FLOW, Owner, Platform

pytestmark = FLOW


@dataclass(frozen=True)
class Shop:
    owner: Owner
    agent_id: str

    def ask(self, question: str, *, prefix: str = "/v1", headers: Any = None, **fields: Any) -> requests.Response:
        body = {"bot_id": self.agent_id, "messages": [{"role": "user", "content": question}], **fields}
        return self.owner.platform.post(
            f"{prefix}/chat", json=body, headers=headers or self.owner.headers, stream=bool(fields.get("stream"))
        )


@pytest.fixture(scope="module")
def shop(owner: Owner, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    path: Path = tmp_path_factory.mktemp("direct") / "pump.txt"
    path.write_bytes(library()["pump.txt"])
    agent_id = owner.create_agent("Direct")
    [document] = owner.upload(agent_id, path)
    owner.await_document(document)
    return Shop(owner, agent_id)


def events(answer: requests.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
def test_the_call_that_asks_is_answered(shop: Shop, prefix: str) -> None:
    answer = shop.ask(WARRANTY_QUESTION, prefix=prefix, metadata={"page": "/pump"})
    body = answer.json()
    assert (answer.status_code, body["message"]["content"]) == (200, f"{WARRANTY} [Source 1]")
    assert [one["document_title"] for one in body["citations"]] == ["pump.txt"]
    assert body["metadata"]["page"] == "/pump"
    assert body["usage"]["total_tokens"] > 0

    again = shop.ask("And from when?", prefix=prefix, session_id=body["session_id"]).json()
    assert (again["session_id"], WARRANTY in again["message"]["content"]) == (body["session_id"], True)


@pytest.mark.parametrize("by_header", [False, True])
def test_as_events(shop: Shop, by_header: bool) -> None:
    headers = {**shop.owner.headers, "Accept": "text/event-stream"}
    asked = shop.ask(WARRANTY_QUESTION, headers=headers) if by_header else shop.ask(WARRANTY_QUESTION, stream=True)
    with asked as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        found = list(events(answer))
    kinds = [event["type"] for event in found]
    assert (kinds[0], kinds[-2:]) == ("start", ["citations", "done"])
    tokens = "".join(event["content"] for event in found if event["type"] == "token")
    assert tokens == found[-1]["message"]["content"] == f"{WARRANTY} [Source 1]"


def test_refusals_come_from_the_door(shop: Shop, platform: Platform) -> None:
    stranger = platform.found_company()
    assert shop.ask("?", headers=stranger.headers).status_code == 404
    assert shop.ask("?", headers={"X-API-Key": "ak_x", "X-API-Secret": "sk_x"}).status_code == 401
    assert shop.ask(" ").status_code == 400
    assert shop.ask("?", session_id=str(uuid.uuid4())).status_code == 404


def test_a_key_with_a_guardrail(shop: Shop) -> None:
    key = shop.owner.client.api_keys.create_api_key({"name": "kiosk", "scopes": ["write"]}, headers=shop.owner.jwt)
    headers = {"X-API-Key": key["api_key"], "X-API-Secret": key["api_secret"]}
    rule = {"name": "No warranty", "kind": "words", "action": "refuse", "on": "input", "values": ["warranty"]}
    body = {"name": "Kiosk", "api_key_ids": [key["details"]["id"]], "rules": [rule], "refusal_text": "Ask at the desk."}
    made = shop.owner.platform.post("/api/v1/guardrail", json=body, headers=shop.owner.headers)
    assert made.status_code == 201, made.text

    answer = shop.ask(WARRANTY_QUESTION, headers=headers)
    assert answer.json()["message"]["content"] == "Ask at the desk."
    with shop.ask(WARRANTY_QUESTION, headers=headers, stream=True) as streamed:
        assert [event.get("content") for event in events(streamed) if event["type"] == "token"] == ["Ask at the desk."]
    session = shop.ask(WARRANTY_QUESTION).json()["session_id"]
    assert shop.ask("?", headers=headers, session_id=session).status_code == 404
