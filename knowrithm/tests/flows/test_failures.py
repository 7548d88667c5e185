"""What breaks in the field: workers and web processes that die, readers whose connection drops. Nothing is lost."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from knowrithm.tests.flows.files import WARRANTY_QUESTION, library, write_files
from knowrithm.tests.platform import FLOW, Owner, Platform, wait_for
from knowrithm.tests.providers import OpenAIServer

pytestmark = FLOW

# A lease of 30 seconds, a look for abandoned work every 15 or 30, and the work itself.
TAKEN_UP_WITHIN = 120  # seconds
PARAGRAPHS = 150  # fewer than a hundred chunks: one page of the API shows them all
LONG_ANSWER = " ".join(f"word{number}" for number in range(60)) + " [Source 1]."


@dataclass(frozen=True)
class Event:
    id: str
    name: str
    data: dict[str, Any]


def read_stream(owner: Owner, conversation_id: str, last_event_id: str = "") -> Generator[Event, None, None]:
    """The events of the conversation's stream until it ends; closing the iterator drops the connection."""
    url = f"{owner.platform.url}/api/v1/conversation/{conversation_id}/messages/stream"
    headers = {**owner.headers, **({"Last-Event-ID": last_event_id} if last_event_id else {})}
    with requests.get(url, headers=headers, stream=True, timeout=30) as response:
        yield from read_events(response)


def read_events(response: requests.Response) -> Generator[Event, None, None]:
    assert response.status_code == 200
    fields: dict[str, str] = {}
    for line in response.iter_lines(decode_unicode=True):
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield Event(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
            fields = {}


def ask(owner: Owner, conversation_id: str, question: str) -> dict[str, Any]:
    """Send a message without waiting for its answer."""
    path = f"/api/v1/conversation/{conversation_id}/chat"
    accepted: dict[str, Any] = owner.platform.post(path, headers=owner.headers, json={"message": question}).json()
    return accepted


@pytest.fixture(scope="session")
def slow_model() -> Iterator[OpenAIServer]:
    with OpenAIServer(reply=LONG_ANSWER, token_delay=0.05) as server:
        yield server


@pytest.fixture(scope="session")
def agent_id(owner: Owner, slow_model: OpenAIServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An agent that knows about the pump and answers slowly."""
    agent_id = owner.create_agent(
        llm_provider="openai", llm_model="gpt-4o-mini", llm_api_key="k", llm_api_base_url=slow_model.base_url
    )
    [path] = write_files(tmp_path_factory.mktemp("failures"), {"pump.txt": library()["pump.txt"]})
    owner.learn(agent_id, path)
    return agent_id


def test_reader_that_comes_back_gets_the_rest(owner: Owner, agent_id: str) -> None:
    conversation_id = owner.start_conversation(agent_id)
    ask(owner, conversation_id, WARRANTY_QUESTION)
    seen: list[Event] = []
    with closing(read_stream(owner, conversation_id)) as stream:
        for event in stream:
            seen.append(event)
            if len([event for event in seen if event.name == "chat_delta"]) == 5:
                break
    rest = list(read_stream(owner, conversation_id, last_event_id=seen[-1].id))
    assert [event.name for event in rest].count("chat_response") == 1
    assert len({event.id for event in [*seen, *rest]}) == len(seen) + len(rest)
    text = "".join(event.data["text"] for event in [*seen, *rest] if event.name == "chat_delta")
    assert text == LONG_ANSWER
    assert rest[-1].data["message"]["content"] == LONG_ANSWER
    assert owner.messages(conversation_id)[1]["content"] == LONG_ANSWER


@pytest.mark.parametrize("by", ["body", "header"])
def test_an_answer_comes_on_the_connection_of_its_question(owner: Owner, agent_id: str, by: str) -> None:
    conversation_id = owner.start_conversation(agent_id)
    ask(owner, conversation_id, WARRANTY_QUESTION)
    url = f"{owner.platform.url}/api/v1/conversation/{conversation_id}/chat"
    body = {"message": WARRANTY_QUESTION, **({"stream": True} if by == "body" else {})}
    headers = {**owner.headers, **({"Accept": "text/event-stream"} if by == "header" else {})}
    with requests.post(url, headers=headers, json=body, stream=True, timeout=30) as response:
        events = list(read_events(response))
    names = [event.name for event in events]
    assert names == ["chat_status", "chat_status", *["chat_delta"] * (len(events) - 3), "chat_response"]
    assert len({event.data["task_id"] for event in events}) == 1  # the turn before says nothing here
    assert "".join(event.data["text"] for event in events if event.name == "chat_delta") == LONG_ANSWER
    stored = owner.messages(conversation_id)
    assert [message["content"] for message in stored[1::2]] == [LONG_ANSWER] * 2
    assert events[-1].data["message"]["id"] == stored[3]["id"]


@pytest.mark.parametrize("is_polled", [False, True])
def test_a_question_whose_connection_breaks_is_answered_where_its_task_is_polled(
    owner: Owner, agent_id: str, is_polled: bool
) -> None:
    conversation_id = owner.start_conversation(agent_id)
    url = f"{owner.platform.url}/api/v1/conversation/{conversation_id}/chat"
    body = {"message": WARRANTY_QUESTION, "stream": True}
    with requests.post(url, headers=owner.headers, json=body, stream=True, timeout=30) as response:
        events = read_events(response)
        first = next(events)
        if is_polled:
            owner.platform.get(f"/api/v1/tasks/{first.data['task_id']}/status", headers=owner.headers)
        while next(events).name != "chat_delta":
            pass
    rest = list(read_stream(owner, conversation_id, last_event_id=first.id))
    assert (rest[-1].data["message"]["content"] == LONG_ANSWER) == is_polled


def test_no_answer_streams_to_a_stranger(owner: Owner, agent_id: str) -> None:
    conversation_id = owner.start_conversation(agent_id)
    path, body = f"/api/v1/conversation/{conversation_id}/chat", {"message": "What is secret?", "stream": True}
    assert owner.platform.post(path, headers=owner.platform.found_company().headers, json=body).status_code == 404
    assert owner.platform.post(path, headers={}, json=body).status_code == 401
    assert owner.messages(conversation_id) == []


@dataclass(frozen=True)
class Wreck:
    """What was under way when the processes were killed."""

    document_id: str
    conversation_id: str
    killed: set[int]


@pytest.fixture(scope="session")
def wreck(owner: Owner, agent_id: str, tmp_path_factory: pytest.TempPathFactory) -> Wreck:
    """The web process and all workers are killed in the middle of a document and of an answer. Done at once: each wait
    is long."""
    platform = owner.platform
    paragraphs = "\n\n".join(
        f"Paragraph {number} tells of the pump number {number}. " * 12 for number in range(PARAGRAPHS)
    )
    [path] = write_files(tmp_path_factory.mktemp("wreck"), {"long.txt": paragraphs.encode()})
    [document_id] = owner.upload(agent_id, path)
    wait_for(lambda: owner.document(document_id)["stage"] == "Making it searchable", seconds=60, pause=0.05)
    readers = platform.readers()
    conversation_id = owner.start_conversation(agent_id)
    ask(owner, conversation_id, WARRANTY_QUESTION)
    with closing(read_stream(owner, conversation_id)) as stream:
        next(event for event in stream if event.name == "chat_delta")
    assert owner.document(document_id)["status"] == "processing"
    killed = {*readers, platform.part("worker@").pid, platform.part("uvicorn").pid}
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: platform.health() == "healthy", seconds=60)
    return Wreck(document_id, conversation_id, killed)


def test_what_nobody_waits_for_comes_after_answers_and_pages(platform: Platform) -> None:
    first = os.getpriority(os.PRIO_PROCESS, platform.part("uvicorn").pid)
    nice = {
        name: {os.getpriority(os.PRIO_PROCESS, one.pid) for one in platform.processes(f"{name}@")}
        for name in ("worker", "worker-low", "worker-slow")
    }
    assert nice == {"worker": {first}, "worker-low": {max(first, 5)}, "worker-slow": {max(first, 10)}}


def test_dead_workers_are_replaced(platform: Platform, wreck: Wreck) -> None:
    def replaced() -> bool:
        readers = platform.readers()
        workers = [process.pid for process in platform.processes("worker@") if process.pid not in wreck.killed]
        return len(readers - wreck.killed) == 3 and workers != []

    wait_for(replaced, seconds=30)


@pytest.mark.last
def test_answer_of_a_dead_worker_is_made_by_another(owner: Owner, wreck: Wreck) -> None:
    def answered() -> list[dict[str, Any]] | None:
        return owner.messages(wreck.conversation_id)[1:] or None

    [reply] = wait_for(answered, seconds=TAKEN_UP_WITHIN)
    assert (reply["status"], reply["content"]) == ("completed", LONG_ANSWER)
    events = list(read_stream(owner, wreck.conversation_id))
    assert events[-1].data["message"]["content"] == LONG_ANSWER
    deltas = [event for event in events if event.name == "chat_delta"]
    assert "".join(event.data["text"] for event in deltas) == LONG_ANSWER, "what the dead one has said is left out"
    assert {event.data["attempt"] for event in deltas} == {2}


@pytest.mark.last
def test_document_of_a_dead_worker_is_read_by_another_and_nothing_doubled(owner: Owner, wreck: Wreck) -> None:
    document = owner.await_document(wreck.document_id, seconds=TAKEN_UP_WITHIN)
    assert (document["status"], document["processing_error"]) == ("processed", "")
    assert [chunk["chunk_index"] for chunk in document["chunks"]] == list(range(document["chunk_count"]))
    texts = [chunk["content"] for chunk in document["chunks"]]
    assert len(set(texts)) == len(texts)
    assert [number for number in range(PARAGRAPHS) if not any(f"Paragraph {number} " in text for text in texts)] == []


def test_dead_web_process_is_replaced(platform: Platform, owner: Owner) -> None:
    web = platform.part("uvicorn")
    os.kill(web.pid, signal.SIGKILL)
    wait_for(lambda: platform.health() == "healthy" and platform.part("uvicorn").pid != web.pid, seconds=60)
    assert owner.client.users.get_profile(owner.jwt)["user"]["email"] == owner.email


def test_a_web_process_that_is_to_end_lets_its_listeners_go(platform: Platform, owner: Owner, agent_id: str) -> None:
    conversation_id = owner.start_conversation(agent_id)
    web, said = platform.part("uvicorn"), len(platform.output())
    path = f"/api/v1/conversation/{conversation_id}/messages/stream?follow=true"
    with platform.get(path, headers=owner.headers, stream=True) as response:
        lines = response.iter_lines(decode_unicode=True)
        assert next(lines) == ": connected"
        os.kill(web.pid, signal.SIGTERM)
        assert [line for line in lines if line.startswith("data: ") and line != "data: {}"] == []  # it ends, unbroken
    wait_for(lambda: web.pid not in [one.pid for one in platform.processes("uvicorn")], seconds=60)
    wait_for(lambda: platform.health() == "healthy", seconds=60)
    assert [line for line in platform.output()[said:].splitlines() if "Cancel" in line or "Traceback" in line] == []
