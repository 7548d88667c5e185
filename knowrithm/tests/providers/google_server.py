"""Gemini: `/v1beta/models/MODEL:streamGenerateContent` and `:batchEmbedContents`."""

from __future__ import annotations

import json
from collections.abc import Iterator

from knowrithm.tests.providers.server import Json, ProviderServer, RecordedRequest, count_words

_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class GoogleServer(ProviderServer):
    def sent_key(self, request: RecordedRequest) -> str:
        return request.headers.get("x-goog-api-key", "")

    def is_embedding(self, request: RecordedRequest) -> bool:
        return request.path.endswith(":batchEmbedContents")

    def embedding_body(self, request: RecordedRequest) -> Json:
        texts = ["".join(part["text"] for part in asked["content"]["parts"]) for asked in request.json["requests"]]
        return {"embeddings": [{"values": self.embedding_of(text)} for text in texts]}

    def error_body(self, status: int, message: str) -> Json:
        return {"error": {"code": status, "message": message, "status": _STATUS_NAMES.get(status, "UNKNOWN")}}

    def opening_events(self, request: RecordedRequest) -> Iterator[str]:
        yield from ()

    def word_event(self, word: str) -> str:
        return _event({"candidates": [{"content": {"role": "model", "parts": [{"text": word}]}, "index": 0}]})

    def error_event(self) -> str:
        return _event(self.error_body(503, "The model is overloaded"))

    def closing_events(self, request: RecordedRequest, words: int) -> Iterator[str]:
        asked = count_words(request.json["contents"])
        usage = {"promptTokenCount": asked, "candidatesTokenCount": words, "totalTokenCount": asked + words}
        candidate = {
            "content": {"role": "model", "parts": [{"text": ""}]},
            "finishReason": self.finish_reason or "STOP",
            "index": 0,
        }
        yield _event({"candidates": [candidate], "usageMetadata": usage})


def _event(body: Json) -> str:
    return f"data: {json.dumps(body)}\r\n\r\n"
