"""OpenAI, and every server that speaks its protocol at another `base_url` (which includes the `/v1`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast
from weakref import finalize

import httpx2

from knowrithm.llm.base import (
    CONNECT_SECONDS,
    ChatDelta,
    ChatRequest,
    ProviderConfig,
    ProviderError,
    ProviderRequestError,
    Usage,
)
from knowrithm.llm.failures import MALFORMED, broken_answer, connection_error, missing_key, status_error
from knowrithm.llm.vectors import batches, unit_length
from knowrithm.net.outbound import OutboundError, outbound_client

if TYPE_CHECKING:
    from openai import OpenAI

OPENAI_BASE_URL = "https://api.openai.com/v1"
EMBEDDING_BATCH = 64
# Models that think before they answer take `max_completion_tokens` and only their own temperature.
_REASONING_MODEL = re.compile(r"(?:gpt-(?:[5-9]|\d\d)|o\d)", re.IGNORECASE)


class OpenAIChatModel:
    """A `ChatModel`; `config.params` are added to the request's body as they are."""

    def __init__(self, config: ProviderConfig) -> None:
        self._config = config
        self._client = _client_for(config)

    def stream(self, request: ChatRequest) -> Iterator[ChatDelta]:
        from openai import OpenAIError

        try:
            yield from self._deltas(request)
        except (OpenAIError, httpx2.HTTPError, OutboundError, *MALFORMED) as error:
            raise _provider_error(error, self._config) from error

    def _deltas(self, request: ChatRequest) -> Iterator[ChatDelta]:
        usage: Usage | None = None
        finish_reason: str | None = None
        from openai import Stream

        # `chat.completions.create` would first walk through every message of a long history to see whether it is one,
        # and would make a model with six classes of each piece of the answer, which takes longer than all else here.
        stream: Stream[Any] = self._client.post(
            "/chat/completions",
            body={
                "model": self._config.model,
                "messages": [{"role": message.role, "content": message.content} for message in request.messages],
                "stream": True,
                "stream_options": {"include_usage": True},
                **sampling_parameters(self._config, request),
            },
            cast_to=object,
            stream=True,
            stream_cls=Stream[object],
        )
        stream.response.stream = _ReadToEnd(cast(httpx2.SyncByteStream, stream.response.stream))
        with stream:
            for chunk in stream:
                usage = _usage(chunk.get("usage")) or usage
                for choice in chunk.get("choices") or ():
                    finish_reason = choice.get("finish_reason") or finish_reason
                    if text := (choice.get("delta") or {}).get("content"):
                        yield ChatDelta(text=text)
        if finish_reason is None:
            raise broken_answer(label=_label(self._config))
        yield ChatDelta(usage=usage or Usage(), finish_reason=finish_reason)


class _ReadToEnd(httpx2.SyncByteStream):
    """The SDK stops at `[DONE]`, just before the body's end; only a connection read to the end serves another call."""

    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._stream = stream
        self._chunks = iter(stream)
        self._last = b""

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._last = chunk
            yield chunk

    def close(self) -> None:
        if b"[DONE]" in self._last:
            with suppress(httpx2.HTTPError):
                next(self._chunks, None)
        self._stream.close()


class OpenAIEmbedder:
    """An `Embedder`."""

    def __init__(self, config: ProviderConfig) -> None:
        self._config = config
        self._client = _client_for(config)

    @property
    def name(self) -> str:
        return self._config.model

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        from openai import OpenAIError

        try:
            return [vector for batch in batches(texts, EMBEDDING_BATCH) for vector in self._embed(batch)]
        except (OpenAIError, httpx2.HTTPError, OutboundError, *MALFORMED) as error:
            raise _provider_error(error, self._config) from error

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        dimensions: dict[str, Any] = {"dimensions": self._config.dimension} if self._config.dimension else {}
        # The API refuses an empty text.
        answer = self._client.embeddings.create(
            model=self._config.model, input=[text or " " for text in texts], **dimensions
        )
        vectors = [item.embedding for item in sorted(answer.data, key=lambda item: item.index)]
        if len(vectors) != len(texts):
            raise ProviderRequestError(
                f"{_label(self._config)} returned {len(vectors)} embeddings for {len(texts)} texts."
            )
        return unit_length(vectors)


def _client_for(config: ProviderConfig) -> OpenAI:
    if not config.api_key and not config.base_url:
        raise missing_key(label=_label(config))
    # Servers of one's own often want no key, the SDK always wants one.
    return _client(config.api_key or "none", config.base_url or OPENAI_BASE_URL, config.timeout)


@lru_cache(maxsize=32)
def _client(api_key: str, base_url: str, timeout: float) -> OpenAI:
    """Shared, so that connections stay open from one call to the next."""
    from openai import OpenAI

    http_client = outbound_client(timeout=timeout, connect_timeout=CONNECT_SECONDS)
    client = OpenAI(
        api_key=api_key, base_url=base_url, timeout=http_client.timeout, max_retries=0, http_client=http_client
    )
    # A client dropped from the cache may still be streaming: its connections close when the last user is gone.
    finalize(client, http_client.close)
    return client


def sampling_parameters(config: ProviderConfig, request: ChatRequest) -> dict[str, Any]:
    own_api = not config.base_url or config.base_url.startswith("https://api.openai.com")
    if own_api and _REASONING_MODEL.match(config.model):
        return {"max_completion_tokens": request.max_tokens, **config.params}
    return {"max_tokens": request.max_tokens, "temperature": request.temperature, **config.params}


def _usage(usage: Mapping[str, Any] | None) -> Usage | None:
    if usage is None:
        return None
    return Usage(input_tokens=usage.get("prompt_tokens") or 0, output_tokens=usage.get("completion_tokens") or 0)


def _label(config: ProviderConfig) -> str:
    host = httpx2.URL(config.base_url).host if config.base_url else ""
    return f"The model server {host}" if host and host != "api.openai.com" else "OpenAI"


def _provider_error(error: Exception, config: ProviderConfig) -> ProviderError:
    import openai

    label = _label(config)
    if isinstance(error, openai.APIStatusError):
        return status_error(
            label=label,
            status=error.status_code,
            body=error.body or error.response.text,
            api_key=config.api_key,
            headers=error.response.headers,
        )
    if isinstance(error, openai.APIError) and not isinstance(error, openai.APIConnectionError) and error.body:
        # Sent inside a stream that had begun with status 200; some servers put a status into the code.
        code = str(error.code)
        status = int(code) if code.isdecimal() else 500
        return status_error(label=label, status=status, body=error.body, api_key=config.api_key)
    return connection_error(label=label, error=error)
