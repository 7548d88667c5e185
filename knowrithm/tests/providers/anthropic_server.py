"""`/v1/messages`, streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator

from knowrithm.tests.providers.server import Json, ProviderServer, RecordedRequest, count_words

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class AnthropicServer(ProviderServer):
    def sent_key(self, request: RecordedRequest) -> str:
        # Releases of the SDK differ in the header.
        return request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")

    def is_embedding(self, request: RecordedRequest) -> bool:
        return False

    def embedding_body(self, request: RecordedRequest) -> Json:
        raise NotImplementedError("the protocol has no embeddings")

    def error_body(self, status: int, message: str) -> Json:
        return {"type": "error", "error": {"type": _ERROR_TYPES.get(status, "api_error"), "message": message}}

    def opening_events(self, request: RecordedRequest) -> Iterator[str]:
        usage = {"input_tokens": count_words(request.json["messages"]), "output_tokens": 1}
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": request.json["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        yield _event("message_start", {"message": message})
        yield _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
        yield _event("ping", {})

    def word_event(self, word: str) -> str:
        return _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": word}})

    def error_event(self) -> str:
        return f"event: error\ndata: {json.dumps(self.error_body(529, 'Overloaded'))}\n\n"

    def closing_events(self, request: RecordedRequest, words: int) -> Iterator[str]:
        yield _event("content_block_stop", {"index": 0})
        delta = {"stop_reason": self.finish_reason or "end_turn", "stop_sequence": None}
        yield _event("message_delta", {"delta": delta, "usage": {"output_tokens": words}})
        yield _event("message_stop", {})


def _event(name: str, fields: Json) -> str:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n"
