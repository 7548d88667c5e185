"""Rerankers behind HTTP: Cohere, Jina, vLLM and servers like them, and Hugging Face's text-embeddings-inference."""

from __future__ import annotations

import atexit
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import httpx2

from knowrithm.llm.base import ProviderConfig, ProviderRequestError
from knowrithm.llm.failures import broken_answer, connection_error, missing_key, status_error
from knowrithm.net.outbound import OutboundError, outbound_client

# Where each answers, below its base address, and what that is unless another is given.
PATHS = {"cohere": "/v2/rerank", "jina": "/v1/rerank", "vllm": "/v1/rerank", "tei": "/rerank"}
HOSTED = {"cohere": "https://api.cohere.com", "jina": "https://api.jina.ai"}
LABELS = {"cohere": "Cohere", "jina": "Jina", "vllm": "The reranker", "tei": "The reranker"}


class HttpReranker:
    """A `Reranker`. One call for all texts."""

    def __init__(self, config: ProviderConfig) -> None:
        self._config, self._label = config, LABELS[config.provider]
        base_url = config.base_url or HOSTED.get(config.provider, "")
        if not base_url:
            raise ProviderRequestError(f"{self._label} needs an address; none is set.")
        if not config.api_key and not config.base_url:
            raise missing_key(label=self._label)
        self._url = f"{base_url.rstrip('/')}{PATHS[config.provider]}"

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        if not texts:
            return []
        try:
            # Some refuse an empty text.
            answer = _client(self._config.timeout).post(
                self._url, json=self._body(query, [text or " " for text in texts]), headers=self._headers()
            )
            said = answer.json() if "json" in answer.headers.get("Content-Type", "") else answer.text
        except (httpx2.HTTPError, httpx2.InvalidURL, OutboundError, ValueError) as error:
            raise connection_error(label=self._label, error=error) from error
        if answer.status_code >= 400:
            raise status_error(label=self._label, status=answer.status_code, body=said, api_key=self._config.api_key)
        return self._scores(said, len(texts))

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._config.api_key}"} if self._config.api_key else {}

    def _body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        if self._config.provider == "tei":  # serves one model, and calls the texts by this name
            return {"query": query, "texts": list(texts), "truncate": True}
        return {"model": self._config.model, "query": query, "documents": list(texts), "top_n": len(texts)}

    def _scores(self, said: Any, count: int) -> list[float]:
        """In the order of the texts; servers answer in that of the scores."""
        is_tei = self._config.provider == "tei"
        scores = [math.nan] * count
        try:
            for item in said if is_tei else said["results"]:
                scores[int(item["index"])] = float(item["score" if is_tei else "relevance_score"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise broken_answer(label=self._label) from error
        if not all(map(math.isfinite, scores)):
            raise broken_answer(label=self._label)
        return scores


@cache
def _client(timeout: float) -> httpx2.Client:
    """Shared, so that connections stay open from one call to the next."""
    client = outbound_client(timeout=timeout)
    atexit.register(client.close)
    return client
