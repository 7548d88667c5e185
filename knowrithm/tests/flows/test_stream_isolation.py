"""The event stream is served beside Django, where the isolation walk's client does not come: probed on the platform."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import requests

from knowrithm.tests.platform import FLOW, Owner, Platform

pytestmark = FLOW


@pytest.mark.parametrize("prefix", ["/api/v1", "/v1", "/api/api/v1"])
def test_no_stream_opens_for_a_stranger(platform: Platform, owner: Owner, prefix: str) -> None:
    stranger = platform.found_company()
    agent_id = owner.create_agent("Streams")
    conversation_id = owner.start_conversation(agent_id)
    lead = {"agent_id": agent_id, "first_name": "Eve", "last_name": "E", "email": "eve@example.org"}
    token = requests.post(f"{platform.url}/api/v1/lead/register", json=lead, timeout=10).json()["access_token"]
    url = f"{platform.url}{prefix}/conversation/{conversation_id}/messages/stream"

    def status(headers: Mapping[str, str]) -> int:
        with requests.get(url, headers=headers, timeout=10, stream=True) as answer:
            return answer.status_code

    assert status(owner.jwt) == 200
    assert status(stranger.jwt) == 404
    assert status({"Authorization": f"Bearer {token}"}) == 404  # the agent's own lead, another's conversation
    assert status({"X-API-Key": "ak_x", "X-API-Secret": "sk_x"}) == 401
    assert status({"Authorization": "Bearer nonsense"}) == 401
    assert status({}) == 401
