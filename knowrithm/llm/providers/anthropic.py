"""Anthropic's Messages API; `base_url` comes without the `/v1`. Anthropic offers no embeddings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import finalize

import httpx2

from knowrithm.llm.base import (
    CONNECT_SECONDS,
    ChatDelta,
    ChatMessage,
    ChatRequest,
    ProviderConfig,
    ProviderError,
    Usage,
)
from knowrithm.llm.failures import MALFORMED, broken_answer, connection_error, missing_key, status_error
from knowrithm.net.outbound import OutboundError, outbound_client

if TYPE_CHECKING:
    from anthropic import Anthropic

ANTHROPIC_BASE_URL = "https://api.anthropic.com"
LABEL = "Anthropic"
# Models after 4.6 refuse a temperature.
_TAKES_TEMPERATURE = re.compile(
    r"claude-(?:[123][.-]|instant|(?:opus|sonnet|haiku)-4(?:-[0-6])?(?:$|-\d{8}|-latest))", re.IGNORECASE
)
# An error inside a stream has a type and, the stream having begun with 200, no status of its own.
_STATUS_OF_ERROR_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "overloaded_error": 529,
}


class AnthropicChatModel:
    """A `ChatModel`; `config.params` are added to the request's body as they are."""

    def __init__(self, config: ProviderConfig) -> None:
        if not config.api_key:
            raise missing_key(label=LABEL)
        self._config = config
        self._client = _client(config.api_key, config.base_url or ANTHROPIC_BASE_URL, config.timeout)

    def stream(self, request: ChatRequest) -> Iterator[ChatDelta]:
        from anthropic import AnthropicError

        try:
            yield from self._deltas(request)
        except (AnthropicError, httpx2.HTTPError, OutboundError, *MALFORMED) as error:
            raise _provider_error(error, self._config) from error

    def _deltas(self, request: ChatRequest) -> Iterator[ChatDelta]:
        input_tokens = output_tokens = 0
        finish_reason: str | None = None
        is_complete = False
        stream = self._client.messages.create(
            model=self._config.model,
            max_tokens=request.max_tokens,
            messages=_turns(request.messages),
            stream=True,
            extra_body=body_fields(self._config, request),
        )
        with stream:
            for event in stream:
                if event.type == "message_start":
                    started = event.message.usage
                    input_tokens = (
                        started.input_tokens
                        + (started.cache_creation_input_tokens or 0)
                        + (started.cache_read_input_tokens or 0)
                    )
                elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                    yield ChatDelta(text=event.delta.text)
                elif event.type == "message_delta":
                    finish_reason = event.delta.stop_reason or finish_reason
                    output_tokens = event.usage.output_tokens
                elif event.type == "message_stop":
                    is_complete = True
        if not is_complete:
            raise broken_answer(label=LABEL)
        yield ChatDelta(usage=Usage(input_tokens, output_tokens), finish_reason=finish_reason or "end_turn")


@lru_cache(maxsize=32)
def _client(api_key: str, base_url: str, timeout: float) -> Anthropic:
    """Shared, so that connections stay open from one call to the next."""
    from anthropic import Anthropic

    http_client = outbound_client(timeout=timeout, connect_timeout=CONNECT_SECONDS)
    client = Anthropic(
        api_key=api_key, base_url=base_url, timeout=http_client.timeout, max_retries=0, http_client=http_client
    )
    # A client dropped from the cache may still be streaming: its connections close when the last user is gone.
    finalize(client, http_client.close)
    return client


def body_fields(config: ProviderConfig, request: ChatRequest) -> dict[str, Any]:
    """What the request's body carries beside model, turns and `max_tokens`."""
    fields: dict[str, Any] = {}
    system = "\n\n".join(message.content for message in request.messages if message.role == "system")
    if system:
        fields["system"] = system
    if _TAKES_TEMPERATURE.match(config.model):
        # Anthropic's scale ends at 1, the platform's at 2.
        fields["temperature"] = min(request.temperature, 1.0)
    return {**fields, **config.params}


def _turns(messages: Sequence[ChatMessage]) -> list[Any]:
    """The turns without system messages, which the protocol carries in a field of their own."""
    return [{"role": m.role, "content": m.content} for m in messages if m.role != "system"]


def _provider_error(error: Exception, config: ProviderConfig) -> ProviderError:
    import anthropic

    if isinstance(error, anthropic.APIStatusError):
        status = error.status_code
        if status < 400:
            status = _STATUS_OF_ERROR_TYPE.get(_error_type(error.body), 500)
        return status_error(
            label=LABEL,
            status=status,
            body=error.body or error.response.text,
            api_key=config.api_key,
            headers=error.response.headers,
        )
    return connection_error(label=LABEL, error=error)


def _error_type(body: object) -> str:
    inner = body.get("error") if isinstance(body, dict) else None
    return str(inner.get("type", "")) if isinstance(inner, dict) else ""
