"""Another embedder and other sizes of passages: made beside what answers, switched at once, rolled back at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from agents.models import Agent
from conftest import Character
from documents import builds, tasks
from documents.enums import IndexState
from documents.models import Document, DocumentChunk, IndexBuild, SearchIndex
from documents.retrieval import Passage, retrieve
from documents.tests.test_lifecycle import counts, learn, only_chunk, work_off
from knowrithm.db.lease import LostLeaseError
from knowrithm.tests.providers import GoogleServer, OpenAIServer

AGENT = "/api/v1/agent"
PUMP = b"The X200 pump is made in Lyon.\n\nIts warranty lasts 37 months.\n"
TEA = b"Green tea is steeped at 80 degrees for two minutes.\n"
QUESTION = "How long is the warranty of the pump?"


def agent_of(who: Character) -> Agent:
    agent: Agent = Agent.objects.with_settings().get(pk=who.agent.pk)
    return agent


def ask(who: Character, question: str = QUESTION) -> list[Passage]:
    with tenant_context(who.company):
        return retrieve(agent_of(who), question)


def build(who: Character, *, steps: int = 100) -> None:
    """Do what the workers would, at most so many times."""
    with tenant_context(who.company):
        for _ in range(steps):
            row = IndexBuild.objects.filter(status="pending").first()
            if row is None:
                return
            builds.run(row.id, tasks.build_index)


def states(who: Character) -> dict[str, str]:
    """The model of each index, by its state."""
    with tenant_context(who.company):
        return dict(SearchIndex.objects.order_by("state_at").values_list("state", "embedding_model__name"))


def speak(client: APIClient, who: Character, server: Any, **choices: Any) -> None:
    """Have the agent embed with this server."""
    name = "openai" if isinstance(server, OpenAIServer) else "google"
    model = "text-embedding-3-small" if name == "openai" else "gemini-embedding-001"
    body = {
        "embedding_provider": name, "embedding_model": model, "embedding_dimension": server.dimension,
        "embedding_api_base_url": server.base_url, "embedding_api_key": "sk-right", **choices,
    }  # fmt: skip
    answer = client.put(f"{AGENT}/{who.agent.pk}", body)
    assert answer.status_code == 200, answer.json()


@pytest.fixture(autouse=True)
def local_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")


@pytest.fixture(params=[OpenAIServer, GoogleServer])
def server(request: pytest.FixtureRequest) -> Any:
    with request.param(required_key="sk-right", dimension=256) as running:
        yield running


def test_an_agent_moves_to_another_embedder_and_answers_throughout(
    acme_api: APIClient, acme: Character, server: Any
) -> None:
    for text in (PUMP, TEA):
        learn(acme_api, acme, text)
    before = [passage.chunk_id for passage in ask(acme)]
    speak(acme_api, acme, server)
    assert states(acme) == {"answering": "all-MiniLM-L6-v2", "building": server_model(server)}
    assert [passage.chunk_id for passage in ask(acme)] == before
    assert server.requests == []  # the old model embeds the question
    build(acme)
    assert states(acme) == {"previous": "all-MiniLM-L6-v2", "answering": server_model(server)}
    [first, *_] = ask(acme)
    assert "37 months" in first.content
    assert first.chunk_id not in before
    assert server.requests[-1].json != server.requests[0].json
    with tenant_context(acme.company):
        assert Document.objects.filter(status="processed").count() == 2
        vectors = {len(row.embedding) for row in DocumentChunk.objects.all()}
    assert vectors == {256}


def server_model(server: Any) -> str:
    return "text-embedding-3-small" if isinstance(server, OpenAIServer) else "gemini-embedding-001"


# --- A key that is wrong --------------------------------------------------------------------------------------------


def test_a_wrong_key_leaves_the_old_index_answering_and_says_why(acme_api: APIClient, acme: Character) -> None:
    learn(acme_api, acme)
    url = f"{AGENT}/{acme.agent.pk}/index"
    with OpenAIServer(required_key="sk-right", dimension=64) as server:
        speak(acme_api, acme, server, embedding_api_key="sk-wrong")
        build(acme)
        status = acme_api.get(url).json()["index"]
        assert (status["build"]["status"], status["build"]["documents_done"]) == ("failed", 0)
        assert status["build"]["error_code"] == "LLM_AUTHENTICATION"
        assert "sk-wrong" not in str(status)
        assert status["answering"]["embedding_model"] == "all-MiniLM-L6-v2"
        assert "37 months" in ask(acme)[0].content
        speak(acme_api, acme, server)
        again = acme_api.post(f"{url}/build")
        assert (again.status_code, again.json()["index"]["build"]["status"]) == (202, "pending")
        build(acme)
        assert "37 months" in ask(acme)[0].content
    assert states(acme)["answering"] == "text-embedding-3-small"
    status = acme_api.get(url).json()["index"]
    assert (status["build"], status["is_current"]) == (None, True)
    assert acme_api.post(f"{url}/build").json()["error_code"] == "INDEX_CURRENT"


def test_a_model_that_is_away_is_tried_again_later(acme_api: APIClient, acme: Character) -> None:
    learn(acme_api, acme)
    with OpenAIServer(required_key="sk-right", dimension=64) as server:
        speak(acme_api, acme, server)
        server.fail(503)
        build(acme, steps=1)
        with tenant_context(acme.company):
            row = IndexBuild.objects.get()
            assert (row.status, row.due_at is not None, row.error_code) == ("pending", True, "LLM_UNAVAILABLE")
            row.due_at = None
            row.save()
        server._failure = None
        build(acme)
    assert states(acme)["answering"] == "text-embedding-3-small"


# --- Other sizes ----------------------------------------------------------------------------------------------------


LONG = "\n\n".join(
    " ".join(f"Sentence {10 * block + number} tells of part {10 * block + number}." for number in range(10))
    for block in range(6)
).encode()


def cut_anew(client: APIClient, who: Character, size: int) -> None:
    body = {"chunk_size": size, "chunk_overlap": 0, "read_again": True}
    answer = client.put(f"{AGENT}/{who.agent.pk}/chunking", body)
    assert answer.json()["documents_read_again"] == 1, answer.json()


def chunks_of(client: APIClient, document_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/api/v1/document/{document_id}").json()["chunks"]
    return found


def test_other_sizes_carry_over_what_was_done_by_hand(acme_api: APIClient, acme: Character) -> None:
    cut_first = {"chunk_size": 120, "chunk_overlap": 0}
    acme_api.put(f"{AGENT}/{acme.agent.pk}/chunking", cut_first)
    document_id = learn(acme_api, acme, LONG)
    old = chunks_of(acme_api, document_id)
    assert len(old) == 3
    small = old[0]["content"].replace("tells of part 7.", "tells of part seven.")
    acme_api.patch(f"/api/v1/document/chunk/{old[0]['id']}", {"content": small})
    acme_api.patch(f"/api/v1/document/chunk/{old[1]['id']}", {"content": "Zebras graze in Kenya."})
    acme_api.delete(f"/api/v1/document/chunk/{old[2]['id']}")
    before = counts(acme)
    cut_anew(acme_api, acme, 30)
    assert [chunk["content"] for chunk in chunks_of(acme_api, document_id)] == [small, "Zebras graze in Kenya."]
    build(acme)
    new = chunks_of(acme_api, document_id)
    said = " ".join(chunk["content"] for chunk in new)
    assert "part seven" in said
    assert "part 7." not in said
    assert [number for number in range(60) if f"Sentence {number} " in said] == list(range(20))
    [own] = [chunk for chunk in new if "Zebras" in chunk["content"]]
    assert own["original_content"] == old[1]["content"]
    with tenant_context(acme.company):
        document = Document.objects.get()
        [off] = document.chunks.archived()
        assert off.content == old[2]["content"]
        assert document.chunk_count == len(new) + 1
        assert [row.index for row in document.chunks.order_by("index")] == list(range(len(new) + 1))
    assert "Zebras" in ask(acme, "Where do zebras graze?")[0].content
    # And all the way back, at once.
    rolled = acme_api.post(f"{AGENT}/{acme.agent.pk}/index/rollback")
    assert rolled.json()["index"]["build"] is None
    assert [chunk["content"] for chunk in chunks_of(acme_api, document_id)] == [small, "Zebras graze in Kenya."]
    assert acme_api.get(f"{AGENT}/{acme.agent.pk}/chunking").json() == cut_first
    for size in (30, 120):  # forth and back again
        acme_api.post(f"{AGENT}/{acme.agent.pk}/index/rollback")
        assert acme_api.get(f"{AGENT}/{acme.agent.pk}/chunking").json()["chunk_size"] == size
    with tenant_context(acme.company):
        assert Document.objects.get().chunk_count == 3
        SearchIndex.objects.filter(state=IndexState.PREVIOUS).update(state_at="2026-01-01T00:00:00Z")
        builds.purge()
        assert DocumentChunk.everywhere.count() == 3
    assert counts(acme) == before


def test_a_document_that_cannot_be_read_once_more_keeps_its_passages(acme_api: APIClient, acme: Character) -> None:
    document_id = learn(acme_api, acme, LONG)
    with tenant_context(acme.company):
        document = Document.objects.get()
        document.file.delete(save=False)
    old = chunks_of(acme_api, document_id)
    cut_anew(acme_api, acme, 30)
    build(acme)
    assert [chunk["content"] for chunk in chunks_of(acme_api, document_id)] == [chunk["content"] for chunk in old]
    [note] = acme_api.get(f"{AGENT}/{acme.agent.pk}/index").json()["index"]["notes"]
    assert (note["document_id"], note["note"].startswith("It keeps its passages")) == (document_id, True)


# --- What happens meanwhile -----------------------------------------------------------------------------------------


def test_what_is_uploaded_edited_and_archived_meanwhile_is_right_in_both(acme_api: APIClient, acme: Character) -> None:
    first = learn(acme_api, acme)
    second = learn(acme_api, acme, TEA)
    with OpenAIServer(required_key="sk-right", dimension=256) as server:
        speak(acme_api, acme, server)
        with tenant_context(acme.company):
            row = IndexBuild.claim(IndexBuild.objects.get().pk, *builds.RELATED)
            assert row is not None
            with row.kept_alive() as held:  # the first document is in; now its worker pauses
                builds._bring(row, Document.objects.select_related("agent", "dataset").get(pk=first), held)
        third = learn(acme_api, acme, b"Zebras graze in Kenya.\n")
        edited = only_chunk(acme_api, first)["content"].replace("37", "99")
        acme_api.patch(f"/api/v1/document/chunk/{only_chunk(acme_api, first)['id']}", {"content": edited})
        acme_api.delete(f"/api/v1/document/chunk/{only_chunk(acme_api, second)['id']}")
        newer = SimpleUploadedFile("zebras.txt", b"Zebras graze in Tanzania.\n")
        acme_api.post(f"/api/v1/document/{third}/replace", {"file": newer}, format="multipart")
        work_off(acme)
        asked = {QUESTION: "99 months", "Where do zebras graze?": "Tanzania"}
        assert [words in ask(acme, question)[0].content for question, words in asked.items()] == [True, True]
        assert states(acme)["answering"] == "all-MiniLM-L6-v2"
        with tenant_context(acme.company):
            IndexBuild.objects.update(lease_until="2026-01-01T00:00:00Z")  # the worker never came back
            builds.run(IndexBuild.objects.get().pk, tasks.build_index)
        assert states(acme)["answering"] == "text-embedding-3-small"
        for question, words in asked.items():
            found = [passage.content for passage in ask(acme, question)]
            assert words in found[0]
            assert not any("Kenya" in text or "37" in text or "tea" in text for text in found)
        assert only_chunk(acme_api, first)["original_content"] == PUMP.decode().strip()
        acme_api.patch(f"/api/v1/document/{third}/restore")
        assert "Kenya" in ask(acme, "Where do zebras graze?")[0].content


def test_a_worker_that_died_is_followed_by_one_that_does_only_the_rest(acme_api: APIClient, acme: Character) -> None:
    texts = [f"Part number {number} is kept in hall {number}.\n".encode() for number in range(4)]
    for text in texts:
        learn(acme_api, acme, text)
    with OpenAIServer(required_key="sk-right", dimension=64) as server:
        speak(acme_api, acme, server)
        with tenant_context(acme.company):
            row = IndexBuild.claim(IndexBuild.objects.get().pk, *builds.RELATED)
            assert row is not None
            with row.kept_alive() as held:
                for document in Document.objects.select_related("agent", "dataset").order_by("created_at")[:2]:
                    builds._bring(row, document, held)
            assert builds.work_left(row.search_index)[0] == 2
            builds.run(row.pk, tasks.build_index)  # its lease still runs: nobody else may
            assert builds.work_left(row.search_index)[0] == 2
            IndexBuild.objects.update(lease_until="2026-01-01T00:00:00Z")
            builds.run(row.pk, tasks.build_index)
            assert DocumentChunk.objects.count() == 4
            assert DocumentChunk.everywhere.count() == 8
            # The dead one comes back: it must not write.
            with row.kept_alive() as held, pytest.raises(LostLeaseError):
                builds._bring(row, Document.objects.select_related("agent", "dataset").all()[0], held)
        assert len(server.requests) == 4
    assert states(acme)["answering"] == "text-embedding-3-small"


def test_progress_is_told_and_a_build_is_given_up(acme_api: APIClient, acme: Character, acme_client: Client) -> None:
    learn(acme_api, acme)
    page, url = f"/documents/index/{acme.agent.pk}", f"{AGENT}/{acme.agent.pk}/index"
    assert "Go back" not in acme_client.get(page).content.decode()
    with OpenAIServer(required_key="sk-right", dimension=64) as server:
        speak(acme_api, acme, server)
        status = acme_api.get(url).json()["index"]
        assert (status["build"]["documents_done"], status["build"]["documents_total"]) == (0, 1)
        assert "0 of 1 document" in acme_client.get(page).content.decode()
        assert acme_api.post(f"{url}/rollback").json()["error_code"] == "INDEX_BUILDING"
        assert acme_api.post(f"{url}/cancel").json()["index"]["build"] is None
        assert acme_api.post(f"{url}/cancel").json()["error_code"] == "INDEX_NOT_BUILDING"
        assert acme_api.post(f"{url}/rollback").json()["error_code"] == "INDEX_NONE_BEFORE"
        build(acme)
        assert states(acme) == {"answering": "all-MiniLM-L6-v2", "retired": "text-embedding-3-small"}
        learn(acme_api, acme, TEA)  # read as it fits what answers
        assert "steeped" in ask(acme, "How is green tea steeped?")[0].content
        assert server.requests == []
        assert "Make the new index" in acme_client.get(page).content.decode()
        with tenant_context(acme.company):
            builds.purge()
        assert states(acme) == {"answering": "all-MiniLM-L6-v2"}
        assert "0 of 2 documents" in acme_client.post(f"{page}/build").content.decode()
        build(acme)
        assert "Go back to the index before" in acme_client.get(page).content.decode()


# --- The way back ---------------------------------------------------------------------------------------------------


def test_the_way_back_is_taken_at_once_and_nothing_done_since_is_lost(acme_api: APIClient, acme: Character) -> None:
    first = learn(acme_api, acme)
    with OpenAIServer(required_key="sk-right", dimension=256) as server:
        speak(acme_api, acme, server)
        build(acme)
        learn(acme_api, acme, TEA)
        chunk = only_chunk(acme_api, first)
        acme_api.patch(f"/api/v1/document/chunk/{chunk['id']}", {"content": chunk["content"].replace("37", "99")})
        status = acme_api.post(f"{AGENT}/{acme.agent.pk}/index/rollback").json()["index"]
        assert (status["answering"]["embedding_model"], status["is_current"]) == ("all-MiniLM-L6-v2", False)
        assert (status["build"]["is_catching_up"], status["build"]["documents_done"]) == (True, 0)
        asked = len(server.requests)
        assert "37 months" in ask(acme)[0].content
        assert len(server.requests) == asked
        refused = acme_api.patch(f"/api/v1/document/chunk/{only_chunk(acme_api, first)['id']}", {"content": "Lost?"})
        assert (refused.status_code, refused.json()["error_code"]) == (409, "DOC_BUSY")
        build(acme)
        assert "99 months" in ask(acme)[0].content
        assert "steeped" in ask(acme, "How is green tea steeped?")[0].content
        assert len(server.requests) == asked
        # And forth again.
        acme_api.post(f"{AGENT}/{acme.agent.pk}/index/rollback")
        assert "99 months" in ask(acme)[0].content
        assert len(server.requests) == asked + 1
    assert states(acme) == {"answering": "text-embedding-3-small", "previous": "all-MiniLM-L6-v2"}


def test_settings_that_were_changed_back_give_the_build_up(acme_api: APIClient, acme: Character) -> None:
    learn(acme_api, acme)
    with OpenAIServer(required_key="sk-right", dimension=64) as server:
        speak(acme_api, acme, server)
        back = {"embedding_provider": "builtin", "embedding_model": "all-MiniLM-L6-v2"}
        acme_api.put(f"{AGENT}/{acme.agent.pk}", back)
    assert states(acme) == {"answering": "all-MiniLM-L6-v2", "retired": "text-embedding-3-small"}


def test_an_index_is_kept_for_a_week(acme_api: APIClient, acme: Character) -> None:
    learn(acme_api, acme)
    cut_anew(acme_api, acme, 30)
    build(acme)
    with tenant_context(acme.company):
        for age, left in ((timedelta(days=6), 2), (timedelta(days=8), 1)):
            SearchIndex.objects.filter(state=IndexState.PREVIOUS).update(state_at=timezone.now() - age)
            builds.purge()
            assert SearchIndex.objects.count() == left
        assert DocumentChunk.everywhere.count() == 1


def test_a_dataset_moves_on_its_own_and_the_agent_finds_both(acme_api: APIClient, acme: Character) -> None:
    learn(acme_api, acme)
    body = {"name": "Terms", "agent_ids": [str(acme.agent.pk)]}
    dataset = acme_api.post("/api/v1/dataset", body).json()["dataset"]["id"]
    form = {"dataset_id": dataset, "files": SimpleUploadedFile("tea.txt", TEA)}
    acme_api.post("/api/v1/document/upload", form, format="multipart")
    work_off(acme)
    acme_api.put(f"/api/v1/dataset/{dataset}/chunking", {"chunk_size": 30, "chunk_overlap": 0, "read_again": True})
    tea = "How is green tea steeped?"
    for _ in range(2):
        assert "steeped" in ask(acme, tea)[0].content
        assert "37 months" in ask(acme)[0].content
        build(acme)
    status = acme_api.get(f"/api/v1/dataset/{dataset}/index").json()["index"]
    assert (status["answering"]["chunk_size"], status["previous"]["chunk_size"]) == (30, 220)
    with OpenAIServer(required_key="sk-right", dimension=64) as server:
        speak(acme_api, acme, server)
        build(acme)
        assert [passage.document_name for passage in ask(acme, tea)].count("tea.txt") == 1
        assert acme_api.get(f"/api/v1/dataset/{dataset}/index").json()["index"] == status


def test_the_next_build_takes_the_place_of_the_index_before(acme_api: APIClient, acme: Character) -> None:
    learn(acme_api, acme)
    for size in (30, 40):
        cut_anew(acme_api, acme, size)
        build(acme)
    with tenant_context(acme.company):
        found = SearchIndex.objects.order_by("created_at").values_list("state", "chunk_size")
        assert list(found) == [("retired", 220), ("previous", 30), ("answering", 40)]


def test_a_search_makes_as_many_queries_as_ever(
    acme_api: APIClient, acme: Character, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    learn(acme_api, acme)
    with tenant_context(acme.company):
        agent = agent_of(acme)
        retrieve(agent, QUESTION)
        with django_assert_num_queries(4):  # indexes, terms, passages, reranker
            retrieve(agent, QUESTION)


@pytest.mark.parametrize("route", ["", "/build", "/cancel", "/rollback"])
def test_no_page_opens_another_company_s(globex_client: Client, acme: Character, route: str) -> None:
    method = globex_client.post if route else globex_client.get
    assert method(f"/documents/index/{acme.agent.pk}{route}").status_code == 404
