"""Rerankers against a server that speaks both shapes of the protocol."""

from __future__ import annotations

from typing import Any

import pytest

from knowrithm.llm.base import (
    ProviderAuthenticationError,
    ProviderConfig,
    ProviderError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderUnavailableError,
    Reranker,
    UnknownProviderError,
)
from knowrithm.llm.registry import reranker
from knowrithm.tests.providers import RerankServer

PATHS = {"cohere": "/v2/rerank", "jina": "/v1/rerank", "vllm": "/v1/rerank", "tei": "/rerank"}
TEXTS = ("Spanners cost eleven euros.", "The warranty of the pump lasts two years.", "", "The pump is blue.")


@pytest.mark.parametrize("slug", sorted(PATHS))
@pytest.mark.usefixtures("loopback")
def test_scores_come_in_the_order_of_the_texts(slug: str) -> None:
    with RerankServer(required_key="k") as server:
        made = reranker(ProviderConfig(slug, "a-model", api_key="k", base_url=f"{server.base_url}/"))
        scores = made.rerank("warranty of the pump", TEXTS)
        assert made.rerank("anything", []) == []
    assert isinstance(made, Reranker)
    assert scores == [0.0, 1.0, 0.0, 0.5]
    assert [request.path for request in server.requests] == [PATHS[slug]]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, ProviderAuthenticationError),
        (429, ProviderRateLimitedError),
        (503, ProviderUnavailableError),
        (400, ProviderRequestError),
    ],
)
@pytest.mark.usefixtures("loopback")
def test_what_it_refuses_is_said_without_the_key(status: int, kind: type[ProviderError]) -> None:
    with RerankServer() as server:
        server.fail(status, "not with secret-key-1234")
        made = reranker(ProviderConfig("jina", "m", api_key="secret-key-1234", base_url=server.base_url))
        with pytest.raises(kind) as caught:
            made.rerank("a", ["b"])
    assert "secret-key-1234" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"results": [{"index": 0}]},
        {"results": [{"index": 5, "relevance_score": 1}]},
        {"results": None},
        "hello",
    ],
)
@pytest.mark.usefixtures("loopback")
def test_an_answer_that_is_none(answer: Any) -> None:
    with RerankServer() as server:
        server.by_hand = lambda handler: handler.send_json(200, answer)
        with pytest.raises(ProviderUnavailableError, match="broke off"):
            reranker(ProviderConfig("vllm", "m", base_url=server.base_url)).rerank("a", ["b"])


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ProviderRequestError, match="needs an address"):
        reranker(ProviderConfig("tei", ""))
    with pytest.raises(ProviderAuthenticationError, match="Cohere needs an API key"):
        reranker(ProviderConfig("cohere", "rerank-v3.5"))
    with pytest.raises(UnknownProviderError, match="to put passages in order"):
        reranker(ProviderConfig("openai", "any"))


def test_it_may_not_reach_into_the_house() -> None:
    with RerankServer() as server, pytest.raises(ProviderRequestError, match="could not be reached"):
        reranker(ProviderConfig("tei", "", base_url=server.base_url)).rerank("a", ["b"])
    assert server.requests == []
