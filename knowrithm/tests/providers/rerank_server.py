"""`/v2/rerank`, `/v1/rerank` as Cohere, Jina and vLLM have them, and `/rerank` as text-embeddings-inference has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from knowrithm.tests.providers.openai_server import OpenAIServer
from knowrithm.tests.providers.server import Json, RecordedRequest


class RerankServer(OpenAIServer):
    """The more of the question's words a text has, the better; the best come first, as they do everywhere."""

    @property
    def base_url(self) -> str:
        return self.address

    def is_embedding(self, request: RecordedRequest) -> bool:
        return True  # one whole answer, no stream

    def embedding_body(self, request: RecordedRequest) -> Any:
        is_tei = request.path == "/rerank"
        texts: list[str] = request.json["texts" if is_tei else "documents"]
        scores = [_shared(request.json["query"], text) for text in texts]
        order = sorted(range(len(texts)), key=lambda place: -scores[place])
        if is_tei:
            return [{"index": place, "score": scores[place]} for place in order]
        results = [{"index": place, "relevance_score": scores[place]} for place in order]
        return {"id": "1", "model": request.json["model"], "results": results[: request.json["top_n"]]}

    def opening_events(self, request: RecordedRequest) -> Iterator[str]:
        raise NotImplementedError

    def error_body(self, status: int, message: str) -> Json:
        return {"message": message}


def _shared(question: str, text: str) -> float:
    asked, found = (set(re.findall(r"\w+", words.lower())) for words in (question, text))
    return len(asked & found) / len(asked)
