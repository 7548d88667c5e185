"""Workers, Valkey and the web process killed in the middle of many turns: each ends answered, or failed with its cause.

`CHAOS_TURNS` says how many turns; without it a handful is asked, so that the way there stays tested. `CHAOS_SEED` takes
the kills at other moments.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psutil
import pytest
import requests

from knowrithm.tests.flows.files import WARRANTY_QUESTION, library, write_files
from knowrithm.tests.platform import FLOW, Owner, Platform, wait_for
from knowrithm.tests.providers import OpenAIServer

pytestmark = [FLOW, pytest.mark.last(2), pytest.mark.timeout(1200)]

TURNS = int(os.environ.get("CHAOS_TURNS", "8"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
A_SECOND = 4  # turns that are asked in one
BETWEEN_KILLS = (1.0, 4.0)  # seconds
# A part that is killed whenever it is up pauses ever longer before it starts, and in the end nothing runs: no chaos,
# an outage. So each runs for a while first; the kills of different parts still overlap.
UP_FOR = 8.0  # seconds
PARTS = ("worker@", "valkey", "uvicorn")
TAKEN_WITHIN = 120  # seconds in which a client that comes back is listened to
# A message that Valkey lost is found after two minutes; a lease of 30 seconds may run out three times after that.
ENDED_WITHIN = 480  # seconds
REPLY = " ".join(f"word{number}" for number in range(20)) + " [Source 1]."


@pytest.fixture(scope="module")
def slow_model() -> Iterator[OpenAIServer]:
    with OpenAIServer(reply=REPLY, first_delay=1.0, token_delay=0.05) as server:
        yield server


@pytest.fixture(scope="module")
def agent_id(owner: Owner, slow_model: OpenAIServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    agent_id = owner.create_agent(
        "Chaos",
        llm_provider="openai",
        llm_model="gpt-4o-mini",
        llm_api_key="k",
        llm_api_base_url=slow_model.base_url,
    )
    [path] = write_files(tmp_path_factory.mktemp("chaos"), {"pump.txt": library()["pump.txt"]})
    owner.learn(agent_id, path)
    return agent_id


def ask(owner: Owner, conversation_id: str) -> None:
    """Until it is taken. A client whose connection broke cannot know, and asks again."""
    path, deadline = f"/api/v1/conversation/{conversation_id}/chat", time.monotonic() + TAKEN_WITHIN
    while time.monotonic() < deadline:
        with suppress(requests.RequestException):
            answer = owner.platform.post(path, headers=owner.headers, json={"message": WARRANTY_QUESTION})
            if answer.status_code == 202:
                return
            assert answer.status_code in {500, 502, 503}, answer.text
        time.sleep(0.5)
    pytest.fail("A question was not taken.")


def kill_parts(platform: Platform, until: threading.Event, killed: list[str]) -> None:
    """One after the other, each at least once."""
    chance = random.Random(SEED)  # moments, not secrets
    while not until.wait(chance.uniform(*BETWEEN_KILLS)) or len(killed) < len(PARTS):
        name = PARTS[len(killed) % len(PARTS)]
        with suppress(ValueError, psutil.NoSuchProcess):  # it is being started again
            part = psutil.Process(platform.part(name).pid)
            if time.time() - part.create_time() > UP_FOR:
                part.kill()
                killed.append(name)


def turns_of(owner: Owner, conversation_id: str) -> list[dict[str, Any]]:
    path = f"/api/v1/conversation/{conversation_id}/messages?include_pending=true"
    found: list[dict[str, Any]] = owner.platform.get(path, headers=owner.headers).json()["messages"]
    return found


def test_every_turn_ends_answered_or_failed_with_its_cause(platform: Platform, owner: Owner, agent_id: str) -> None:
    conversations = [owner.start_conversation(agent_id) for _ in range(TURNS)]
    done, killed = threading.Event(), list[str]()
    killer = threading.Thread(target=kill_parts, args=(platform, done, killed))
    killer.start()
    with ThreadPoolExecutor(32) as pool:
        asking = []
        for conversation_id in conversations:
            asking.append(pool.submit(ask, owner, conversation_id))
            time.sleep(1 / A_SECOND)
        faults = [fault for future in asking if (fault := future.exception())]
    done.set()
    killer.join()
    assert (faults, set(killed)) == ([], set(PARTS))
    wait_for(lambda: platform.health() == "healthy", seconds=TAKEN_WITHIN)

    def ended() -> list[list[dict[str, Any]]] | None:
        found = [turns_of(owner, conversation_id) for conversation_id in conversations]
        states = {message["status"] for messages in found for message in messages}
        return found if states <= {"completed", "failed"} else None

    found = wait_for(ended, seconds=ENDED_WITHIN, pause=3)
    replies = [message for messages in found for message in messages if message["role"] == "assistant"]
    assert len(replies) >= TURNS
    for messages in found:
        questions = [message["id"] for message in messages if message["role"] == "user"]
        assert questions == [message["reply_to"] for message in messages if message["role"] == "assistant"]
    for reply in replies:
        if reply["status"] == "completed":
            assert reply["content"] == REPLY
        else:
            assert (bool(reply["error"]), bool(reply["error_code"])) == (True, True)
    answered = sum(reply["status"] == "completed" for reply in replies)
    print(f"{len(replies)} turns, {answered} answered, killed {len(killed)} times")
    assert answered >= len(replies) / 2  # what only fails would pass the rest
