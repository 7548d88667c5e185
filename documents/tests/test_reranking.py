"""An agent's reranker: set, used, and passed over when it fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from agents.models import Agent
from conftest import Character
from documents.models import AgentReranker
from documents.retrieval import search
from documents.services import set_reranker
from documents.tests.test_trial import TEXTS, WARRANTY, teach, tried
from knowrithm.tests.providers import RerankServer

QUESTION = "How long is the warranty of the X200?"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RerankServer]:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    with RerankServer(required_key="secret-key-1234") as running:
        yield running


@pytest.fixture
def agent(acme: Character, server: RerankServer) -> Agent:
    choices = {
        "provider": "vllm", "model": "m", "base_url": server.base_url, "api_key": "secret-key-1234", "passages": 3
    }  # fmt: skip
    with tenant_context(acme.company):
        teach(acme.agent, *TEXTS)
        set_reranker(actor=acme.principal, agent=acme.agent, choices=choices)
    return acme.agent


def third_first(server: RerankServer) -> None:
    order = [2, 0, 1]

    def answer(handler: object) -> None:
        results = [{"index": place, "relevance_score": 1 - rank / 10} for rank, place in enumerate(order)]
        handler.send_json(200, {"results": results})  # type: ignore[attr-defined]  # the server's own handler

    server.by_hand = answer


def test_passages_come_in_the_rerankers_order(acme_api: APIClient, agent: Agent, server: RerankServer) -> None:
    before = [result["content"] for result in tried(acme_api, agent)["results"]]
    assert before[0] == WARRANTY
    third_first(server)
    found = tried(acme_api, agent)
    assert [result["content"] for result in found["results"]] == [before[2], before[0], before[1]]
    assert [result["fused_rank"] for result in found["results"]] == [3, 1, 2]
    assert [result["rerank"] for result in found["results"]] == [1.0, 0.9, 0.8]
    assert found["warning"] == ""
    assert server.requests[-1].json["query"] == QUESTION
    assert sorted(server.requests[-1].json["documents"]) == sorted(TEXTS)


def test_a_failure_keeps_the_order_of_the_search_and_is_told(
    acme_api: APIClient, agent: Agent, server: RerankServer
) -> None:
    server.fail(503, "too busy")
    found = tried(acme_api, agent)
    assert found["results"][0]["content"] == WARRANTY
    assert {(result["fused_rank"], result["rerank"]) for result in found["results"]} == {(None, None)}
    assert found["warning"].startswith("The passages were not put in order anew. The reranker is not available")


def test_only_the_best_are_read(acme: Character, agent: Agent, server: RerankServer) -> None:
    with tenant_context(acme.company):
        set_reranker(actor=acme.principal, agent=agent, choices={"passages": 2})
        passages = search(Agent.objects.with_settings().get(pk=agent.pk), QUESTION, question=QUESTION).passages
    assert len(server.requests[-1].json["documents"]) == 2
    assert [passage.rerank is None for passage in passages] == [False, False, True]


def test_the_key_is_never_shown_and_does_not_follow_to_another_server(
    acme_api: APIClient, acme: Character, agent: Agent
) -> None:
    path = f"/api/v1/agent/{agent.pk}/reranker"
    shown = acme_api.get(path)
    assert "secret-key-1234" not in shown.content.decode()
    assert shown.json()["api_key_hint"] == "…1234"
    assert acme_api.put(path, {"passages": 20, "api_key": ""}).json()["api_key_hint"] == "…1234"
    moved = acme_api.put(path, {"base_url": "https://elsewhere.example"})
    assert (moved.status_code, moved.json()["api_key_hint"]) == (200, "")
    with tenant_context(acme.company):
        assert AgentReranker.objects.get(agent=agent).api_key == ""


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"provider": "cohere", "model": "rerank-v3.5"}, "api_key"),
        ({"provider": "cohere", "api_key": "k"}, "model"),
        ({"provider": "tei"}, "base_url"),
        ({"provider": "vllm", "model": "m", "base_url": "file:///etc/passwd"}, "base_url"),
        ({"provider": "openai"}, "provider"),
        ({"provider": "tei", "base_url": "https://a.example", "passages": 1}, "passages"),
    ],
)
def test_what_is_missing_is_said(acme_api: APIClient, acme: Character, body: dict[str, object], field: str) -> None:
    answer = acme_api.put(f"/api/v1/agent/{acme.agent.pk}/reranker", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_without_one_there_is_none(acme_api: APIClient, agent: Agent) -> None:
    path = f"/api/v1/agent/{agent.pk}/reranker"
    assert acme_api.delete(path).status_code == 200
    assert acme_api.get(path).status_code == 404
    assert {result["rerank"] for result in tried(acme_api, agent)["results"]} == {None}


def test_the_page_shows_places_before_and_after(acme_client: Client, agent: Agent, server: RerankServer) -> None:
    third_first(server)
    page = acme_client.get(f"/agents/{agent.pk}/retrieval", {"query": QUESTION}).content.decode()
    assert page.index("before 3rd") < page.index("before 1st") < page.index("before 2nd")
    assert "secret-key-1234" not in page
    fields = {"rerank-provider": "tei", "rerank-base_url": server.base_url, "rerank-passages": "9"}
    acme_client.post(f"/agents/{agent.pk}/reranker", fields)
    page = acme_client.get(f"/agents/{agent.pk}/retrieval").content.decode()
    assert "text-embeddings-inference does this now" in page
    acme_client.post(f"/agents/{agent.pk}/reranker/remove")
    assert "None is set" in acme_client.get(f"/agents/{agent.pk}/retrieval").content.decode()
