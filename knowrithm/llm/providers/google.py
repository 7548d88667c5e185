"""Gemini through `google-genai` and an API key (ADR: the package `google-generativeai` is dead)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import finalize

import httpx2

from knowrithm.llm.base import (
    CONNECT_SECONDS,
    ChatDelta,
    ChatMessage,
    ChatRequest,
    ProviderAuthenticationError,
    ProviderConfig,
    ProviderError,
    ProviderRequestError,
    Usage,
)
from knowrithm.llm.failures import MALFORMED, broken_answer, connection_error, missing_key, status_error
from knowrithm.llm.vectors import batches, unit_length
from knowrithm.net.outbound import OutboundError, outbound_client

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.types import Content, GenerateContentConfig, GenerateContentResponse

GOOGLE_BASE_URL = "https://generativelanguage.googleapis.com"
LABEL = "Google Gemini"
EMBEDDING_BATCH = 64
# Later models read the task from the text and refuse the parameter.
_TASK_TYPE_MODELS = ("gemini-embedding-001", "text-embedding-", "embedding-001")

# The SDK keeps the HTTP response of a stream to itself; the client's hook leaves it here, for closing.
_response: ContextVar[httpx2.Response | None] = ContextVar("google_response", default=None)


class GoogleChatModel:
    """A `ChatModel`; `config.params` are further fields of `GenerateContentConfig`."""

    def __init__(self, config: ProviderConfig) -> None:
        self._config = config
        self._client = _client_for(config)

    def stream(self, request: ChatRequest) -> Iterator[ChatDelta]:
        from google.genai.errors import APIError

        try:
            yield from self._deltas(request)
        except (APIError, httpx2.HTTPError, OutboundError, *MALFORMED) as error:
            raise _provider_error(error, self._config) from error

    def _deltas(self, request: ChatRequest) -> Iterator[ChatDelta]:
        usage = Usage()
        finish_reason: str | None = None
        response: httpx2.Response | None = None
        chunks = self._client.models.generate_content_stream(
            model=self._config.model,
            contents=[_content(message) for message in request.messages if message.role != "system"],
            config=_generation(self._config, request),
        )
        _response.set(None)
        try:
            for chunk in chunks:
                # The request is sent, and the hook called, by the first step of the iteration.
                response = response or _response.get()
                _refuse_blocked(chunk)
                usage = _usage(chunk) or usage
                for candidate in chunk.candidates or ():
                    if candidate.finish_reason:
                        finish_reason = candidate.finish_reason.value.lower()
                    text = "".join(
                        part.text
                        for part in (candidate.content and candidate.content.parts) or ()
                        if part.text and not part.thought
                    )
                    if text:
                        yield ChatDelta(text=text)
        finally:
            response = response or _response.get()
            if response is not None:
                response.close()
        if finish_reason is None:
            raise broken_answer(label=LABEL)
        yield ChatDelta(usage=usage, finish_reason=finish_reason)


class GoogleEmbedder:
    """An `Embedder`; documents and queries are embedded for their different tasks where the model knows them."""

    def __init__(self, config: ProviderConfig) -> None:
        self._config = config
        self._client = _client_for(config)

    @property
    def name(self) -> str:
        return self._config.model

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        return self._embed(texts, task_type="RETRIEVAL_DOCUMENT")

    def embed_query(self, text: str) -> list[float]:
        return self._embed([text], task_type="RETRIEVAL_QUERY")[0]

    def _embed(self, texts: Sequence[str], *, task_type: str) -> list[list[float]]:
        from google.genai.errors import APIError

        try:
            return [
                vector
                for batch in batches(texts, EMBEDDING_BATCH)
                for vector in self._embed_batch(batch, task_type=task_type)
            ]
        except (APIError, httpx2.HTTPError, OutboundError, *MALFORMED) as error:
            raise _provider_error(error, self._config) from error

    def _embed_batch(self, texts: Sequence[str], *, task_type: str) -> list[list[float]]:
        from google.genai.types import Content, EmbedContentConfig, Part

        answer = self._client.models.embed_content(
            model=self._config.model,
            # One content each: plain strings would be taken as parts of a single one by multimodal models.
            contents=[Content(role="user", parts=[Part(text=text or " ")]) for text in texts],
            config=EmbedContentConfig(
                task_type=task_type if self._config.model.startswith(_TASK_TYPE_MODELS) else None,
                output_dimensionality=self._config.dimension,
            ),
        )
        vectors = [embedding.values or [] for embedding in answer.embeddings or ()]
        if len(vectors) != len(texts):
            raise ProviderRequestError(f"{LABEL} returned {len(vectors)} embeddings for {len(texts)} texts.")
        return unit_length(vectors)


def _client_for(config: ProviderConfig) -> Client:
    if not config.api_key:
        raise missing_key(label=LABEL)
    return _client(config.api_key, config.base_url or GOOGLE_BASE_URL, config.timeout)


@lru_cache(maxsize=32)
def _client(api_key: str, base_url: str, timeout: float) -> Client:
    """Shared, so that connections stay open from one call to the next."""
    from google.genai import Client
    from google.genai.types import HttpOptions

    http_client = outbound_client(timeout=timeout, connect_timeout=CONNECT_SECONDS)
    http_client.event_hooks = {"request": [], "response": [_response.set]}
    client = Client(
        api_key=api_key,
        vertexai=False,
        http_options=HttpOptions(
            base_url=base_url, api_version="v1beta", timeout=int(timeout * 1000), httpx_client=http_client
        ),
    )
    # A client dropped from the cache may still be streaming: its connections close when the last user is gone.
    finalize(client, http_client.close)
    return client


def _generation(config: ProviderConfig, request: ChatRequest) -> GenerateContentConfig:
    from google.genai.types import AutomaticFunctionCallingConfig, GenerateContentConfig

    fields: dict[str, Any] = {
        "temperature": request.temperature,
        "max_output_tokens": request.max_tokens,
        "system_instruction": "\n\n".join(m.content for m in request.messages if m.role == "system") or None,
        "automatic_function_calling": AutomaticFunctionCallingConfig(disable=True),
        **config.params,
    }
    return GenerateContentConfig(**fields)


def _content(message: ChatMessage) -> Content:
    from google.genai.types import Content, Part

    return Content(role="model" if message.role == "assistant" else "user", parts=[Part(text=message.content)])


def _refuse_blocked(chunk: GenerateContentResponse) -> None:
    feedback = chunk.prompt_feedback
    if feedback is not None and feedback.block_reason is not None:
        raise ProviderRequestError(f"{LABEL} refused the question ({feedback.block_reason.value.lower()}).")


def _usage(chunk: GenerateContentResponse) -> Usage | None:
    counted = chunk.usage_metadata
    if counted is None:
        return None
    return Usage(
        input_tokens=counted.prompt_token_count or 0,
        output_tokens=(counted.candidates_token_count or 0) + (counted.thoughts_token_count or 0),
    )


def _provider_error(error: Exception, config: ProviderConfig) -> ProviderError:
    from google.genai.errors import APIError

    if isinstance(error, APIError):
        known = status_error(
            label=LABEL,
            status=error.code or 500,
            body=error.details,
            api_key=config.api_key,
            headers=getattr(error.response, "headers", None),
        )
        # An invalid key is a plain 400 here.
        if "api key not valid" in str(known).lower() or "api_key_invalid" in str(error.details).lower():
            return ProviderAuthenticationError(str(known))
        return known
    return connection_error(label=LABEL, error=error)
