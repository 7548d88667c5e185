"""Which provider serves a `ProviderConfig`. An SDK is imported when the first model of its provider is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from knowrithm.llm.base import ChatModel, Embedder, ProviderConfig, Reranker, UnknownProviderError

T = TypeVar("T")


def chat_model(config: ProviderConfig) -> ChatModel:
    """The chat model of a provider. Raises `UnknownProviderError`, or `ProviderAuthenticationError` without a key."""
    return _builder(_CHAT_MODELS, config.provider, purpose="to answer in conversations")(config)


def embedder(config: ProviderConfig) -> Embedder:
    """The embedding model of a provider. Raises as `chat_model` does."""
    return _builder(_EMBEDDERS, config.provider, purpose="to compute embeddings")(config)


def embeds_here(config: ProviderConfig) -> bool:
    """Whether its embedding model runs in this process: it is there, and answers in milliseconds."""
    return _EMBEDDERS.get(config.provider.strip().lower()) is _builtin_embedder


def reranker(config: ProviderConfig) -> Reranker:
    """The reranker of a provider. Raises as `chat_model` does, and `ProviderRequestError` without an address."""
    return _builder(_RERANKERS, config.provider, purpose="to put passages in order")(config)


def _builder(builders: Mapping[str, Callable[[ProviderConfig], T]], slug: str, *, purpose: str) -> Callable[..., T]:
    builder = builders.get(slug.strip().lower())
    if builder is None:
        known = ", ".join(builders)
        raise UnknownProviderError(f"The provider {slug!r} cannot be used {purpose}; choose one of {known}.")
    return builder


def _builtin_chat(config: ProviderConfig) -> ChatModel:
    from knowrithm.llm.providers.extractive import ExtractiveChatModel

    return ExtractiveChatModel(config)


def _builtin_embedder(config: ProviderConfig) -> Embedder:
    from knowrithm.llm.providers.builtin import minilm_embedder

    return minilm_embedder(config)


def _openai_chat(config: ProviderConfig) -> ChatModel:
    from knowrithm.llm.providers.openai import OpenAIChatModel

    return OpenAIChatModel(config)


def _openai_embedder(config: ProviderConfig) -> Embedder:
    from knowrithm.llm.providers.openai import OpenAIEmbedder

    return OpenAIEmbedder(config)


def _anthropic_chat(config: ProviderConfig) -> ChatModel:
    from knowrithm.llm.providers.anthropic import AnthropicChatModel

    return AnthropicChatModel(config)


def _google_chat(config: ProviderConfig) -> ChatModel:
    from knowrithm.llm.providers.google import GoogleChatModel

    return GoogleChatModel(config)


def _google_embedder(config: ProviderConfig) -> Embedder:
    from knowrithm.llm.providers.google import GoogleEmbedder

    return GoogleEmbedder(config)


def _http_reranker(config: ProviderConfig) -> Reranker:
    from knowrithm.llm.providers.rerank import HttpReranker

    return HttpReranker(config)


_CHAT_MODELS: dict[str, Callable[[ProviderConfig], ChatModel]] = {
    "builtin": _builtin_chat,
    "google": _google_chat,
    "gemini": _google_chat,
    "openai": _openai_chat,
    "anthropic": _anthropic_chat,
}
_EMBEDDERS: dict[str, Callable[[ProviderConfig], Embedder]] = {
    "builtin": _builtin_embedder,
    "huggingface": _builtin_embedder,
    "google": _google_embedder,
    "gemini": _google_embedder,
    "openai": _openai_embedder,
}
_RERANKERS: dict[str, Callable[[ProviderConfig], Reranker]] = dict.fromkeys(
    ("cohere", "jina", "vllm", "tei"), _http_reranker
)
