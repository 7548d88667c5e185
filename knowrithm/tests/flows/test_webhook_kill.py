"""A worker killed -9 after it has sent a webhook's call and before it has written down that it did."""

from __future__ import annotations

import os
import signal
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from integrations.jobs import CUT_OFF
from integrations.signing import signature_of
from integrations.tests.receiver import Receiver
from knowrithm.tests.platform import FLOW, Platform, wait_for

pytestmark = [FLOW, pytest.mark.last]

# A lease of 30 seconds runs out, the worker is started again, and beat looks every 15 seconds.
DELIVERED_WITHIN = 150  # seconds


def test_a_call_whose_worker_was_killed_is_made_again_with_the_same_event(platform: Platform) -> None:
    owner = platform.found_company()
    agent_id = owner.create_agent("Hooks")

    def register(email: str) -> None:
        lead = {"agent_id": agent_id, "first_name": "Vic", "last_name": "Itor", "email": email}
        assert platform.post("/api/v1/lead/register", json=lead).status_code == 201

    with Receiver() as receiver:
        receiver.by_hand = _wait(receiver)
        made = platform.post(
            "/api/v1/webhook",
            headers=owner.jwt,
            json={"name": "Kill", "url": receiver.url, "event_types": ["lead.created"]},
        ).json()
        register("first@visitor.example")
        wait_for(lambda: len(receiver.requests) == 1, seconds=30, pause=0.01)
        [sent] = receiver.requests
        killed = platform.part("worker@").pid
        os.kill(killed, signal.SIGKILL)
        receiver.by_hand = None
        receiver.released.set()  # the answer finds nobody
        register("second@visitor.example")  # while there is no worker

        def log() -> list[dict[str, Any]] | None:
            path = f"/api/v1/webhook/{made['webhook']['id']}/deliveries"
            rows: list[dict[str, Any]] = platform.get(path, headers=owner.jwt).json()["deliveries"]
            return rows if {row["status"] for row in rows} == {"delivered"} and len(rows) == 2 else None

        rows = {row["event_id"]: row for row in wait_for(log, seconds=DELIVERED_WITHIN, pause=1)}
        assert platform.part("worker@").pid != killed

        by_event: dict[str, list[dict[str, Any]]] = {}
        for request in receiver.requests:
            by_event.setdefault(request.json["id"], []).append(request.json)
            body, signature = request.body, request.headers["x-knowrithm-signature"]
            assert signature == signature_of(body, [made["secret"]])
            assert request.headers["x-knowrithm-event-id"] == request.json["id"]
    assert set(by_event) == set(rows)  # nothing is lost, and nothing else has come
    again = by_event.pop(sent.json["id"])
    assert [call["attempt"] for call in again] == [1, 2]
    assert again[0]["data"] == again[1]["data"]
    [[other]] = by_event.values()
    assert (other["attempt"], other["data"]["email"]) == (1, "second@visitor.example")
    told = rows[sent.json["id"]]
    assert (told["attempts"], told["status_code"], told["error"]) == (2, 200, "")
    assert [(one["status_code"], one["error"]) for one in told["history"]] == [(None, CUT_OFF), (200, "")]


def _wait(receiver: Receiver) -> Any:
    def hold(handler: BaseHTTPRequestHandler) -> None:
        receiver.released.wait(60)
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return hold
