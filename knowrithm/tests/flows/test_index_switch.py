"""Searches never stop while an index is made, switched, rolled back, and its worker is killed in the middle."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
from psycopg import sql

from knowrithm.tests.flows.files import write_files
from knowrithm.tests.flows.test_api_keys import environment_of
from knowrithm.tests.platform import FLOW, Owner, wait_for
from knowrithm.tests.providers import OpenAIServer

pytestmark = FLOW

SMALL = 30  # words in a passage of the new index; those of the old one have more
FILES = {
    f"pump-{name}.txt": "\n\n".join(
        " ".join(f"The {name} pump has part {10 * block + number} in hall {number}." for number in range(10))
        for block in range(6)
    )
    for name in ("red", "green", "blue")
}


def index_of(owner: Owner, agent_id: str, action: str = "") -> dict[str, Any]:
    method = "POST" if action else "GET"
    path = f"/api/v1/agent/{agent_id}/index{action}"
    answer = owner.platform.request(method, path, headers=owner.headers)
    assert answer.status_code in {200, 202}, answer.text
    found: dict[str, Any] = answer.json()["index"]
    return found


def search(owner: Owner, agent_id: str) -> list[str]:
    body = {"agent_id": agent_id, "query": "Which part of the green pump is in hall 7?", "limit": 6}
    answer = owner.platform.post("/api/v1/search/document", headers=owner.headers, json=body)
    assert answer.status_code == 200, answer.text
    return [row["content"] for row in answer.json()["results"]]


@contextmanager
def searching(owner: Owner, agent_id: str) -> Iterator[list[list[str] | Exception]]:
    """Two visitors who ask all the time; what they got."""
    got: list[list[str] | Exception] = []
    done = Event()

    def ask() -> None:
        while not done.is_set():
            try:
                got.append(search(owner, agent_id))
            except Exception as error:
                got.append(error)

    threads = [Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield got
    finally:
        done.set()
        for thread in threads:
            thread.join()


def finished(owner: Owner, agent_id: str) -> bool:
    build = index_of(owner, agent_id)["build"]
    assert build is None or build["status"] != "failed", build
    return build is None


def kinds(texts: list[str] | Exception) -> set[str]:
    if isinstance(texts, Exception):
        raise texts
    return {"new" if len(text.split()) <= SMALL else "old" for text in texts}


def test_each_search_sees_all_of_one_index(owner: Owner, tmp_path: Path) -> None:
    agent_id = owner.create_agent()
    owner.learn(agent_id, *write_files(tmp_path, {name: text.encode() for name, text in FILES.items()}))
    sizes = {"chunk_size": SMALL, "chunk_overlap": 0, "read_again": True}
    with searching(owner, agent_id) as got:
        wait_for(lambda: len(got) > 5, seconds=30)
        url = f"/api/v1/agent/{agent_id}/chunking"
        assert owner.platform.request("PUT", url, headers=owner.headers, json=sizes).status_code == 200
        wait_for(lambda: finished(owner, agent_id), seconds=300)
        for _ in range(20):
            index_of(owner, agent_id, "/rollback")
        seen = len(got)
        wait_for(lambda: len(got) > seen + 5, seconds=30)
    assert {frozenset(kinds(texts)) for texts in got} == {frozenset({"old"}), frozenset({"new"})}


def let_the_leases_run_out(owner: Owner) -> None:
    """Now, of builds whose workers are dead. test_failures.py waits for that as long as it takes."""
    builds = sql.Identifier(f"c_{owner.company_id.replace('-', '')}", "documents_indexbuild")
    with psycopg.connect(environment_of(owner.platform)["DATABASE_URL"]) as connection:
        ended = sql.SQL("UPDATE {} SET lease_until = now() WHERE status = 'processing'").format(builds)
        assert connection.execute(ended).rowcount == 1


def test_a_killed_worker_is_followed_by_one_that_goes_on(owner: Owner, tmp_path: Path) -> None:
    agent_id = owner.create_agent()
    ids = owner.learn(agent_id, *write_files(tmp_path, {name: text.encode() for name, text in FILES.items()}))
    before = {document_id: len(owner.document(document_id)["chunks"]) for document_id in ids}
    with OpenAIServer(dimension=64, first_delay=3.0) as server, searching(owner, agent_id) as got:
        settings = {
            "embedding_provider": "openai", "embedding_model": "text-embedding-3-small", "embedding_dimension": 64,
            "embedding_api_base_url": server.base_url, "embedding_api_key": "sk-test",
        }  # fmt: skip
        url = f"/api/v1/agent/{agent_id}"
        assert owner.platform.request("PUT", url, headers=owner.headers, json=settings).status_code == 200
        wait_for(lambda: index_of(owner, agent_id)["build"]["documents_done"] >= 1, seconds=120)
        slow = owner.platform.part("worker-slow@").pid
        for process in owner.platform.processes("worker-slow@"):
            if process.parent == slow:
                os.kill(process.pid, signal.SIGKILL)
        assert not finished(owner, agent_id)
        let_the_leases_run_out(owner)
        server.first_delay = 0.0
        wait_for(lambda: finished(owner, agent_id), seconds=300, pause=1)
        asked = [text for request in server.requests for text in request.json["input"] if "Which part" not in text]
        assert len(asked) < len(set(asked)) + 20  # at most the batch that its worker died with is asked for again
    status = index_of(owner, agent_id)
    assert status["answering"]["embedding_model"] == "text-embedding-3-small"
    assert {document_id: len(owner.document(document_id)["chunks"]) for document_id in ids} == before
    assert [texts for texts in got if not isinstance(texts, list) or not texts] == []
