"""`/v1/chat/completions` (streamed) and `/v1/embeddings` (plain and base64)."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator

from knowrithm.tests.providers.server import Json, ProviderServer, RecordedRequest, count_words


class OpenAIServer(ProviderServer):
    @property
    def base_url(self) -> str:
        return f"{self.address}/v1"

    def sent_key(self, request: RecordedRequest) -> str:
        return request.headers.get("authorization", "").removeprefix("Bearer ")

    def is_embedding(self, request: RecordedRequest) -> bool:
        return request.path == "/v1/embeddings"

    def embedding_body(self, request: RecordedRequest) -> Json:
        texts = request.json["input"]
        texts = [texts] if isinstance(texts, str) else texts
        is_base64 = request.json.get("encoding_format") == "base64"
        items = [
            {"object": "embedding", "index": index, "embedding": _encoded(vector) if is_base64 else vector}
            for index, vector in enumerate(self.embedding_of(text) for text in texts)
        ]
        usage = {"prompt_tokens": count_words(texts), "total_tokens": count_words(texts)}
        # The protocol numbers the items; nothing says that they come in order.
        return {"object": "list", "model": request.json["model"], "data": items[::-1], "usage": usage}

    def error_body(self, status: int, message: str) -> Json:
        return {"error": {"message": message, "type": "server_error", "param": None, "code": None}}

    def opening_events(self, request: RecordedRequest) -> Iterator[str]:
        yield _event(delta={"role": "assistant", "content": ""})

    def word_event(self, word: str) -> str:
        return _event(delta={"content": word})

    def error_event(self) -> str:
        return f"data: {json.dumps(self.error_body(500, 'The engine is out of memory'))}\n\n"

    def closing_events(self, request: RecordedRequest, words: int) -> Iterator[str]:
        yield _event(delta={}, finish_reason=self.finish_reason or "stop")
        if request.json.get("stream_options", {}).get("include_usage"):
            asked = count_words(request.json["messages"])
            usage = {"prompt_tokens": asked, "completion_tokens": words, "total_tokens": asked + words}
            yield f"data: {json.dumps({**_CHUNK, 'choices': [], 'usage': usage})}\n\n"
        yield "data: [DONE]\n\n"


_CHUNK: Json = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "test"}


def _event(*, delta: Json, finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return f"data: {json.dumps({**_CHUNK, 'choices': [choice]})}\n\n"


def _encoded(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
