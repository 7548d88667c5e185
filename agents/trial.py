"""Trying model settings: one short question to the model that answers, one text to the one that embeds."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from agents.models import LLMSettings
from knowrithm.circuits import Circuits
from knowrithm.db.schema import release_connection
from knowrithm.jobs import current_schema
from knowrithm.llm.base import ChatMessage, ChatModel, ChatRequest, Embedder, Evidence, ProviderError
from knowrithm.llm.fallback import empty_answer
from knowrithm.llm.registry import chat_model, embedder
from knowrithm.net.outbound import Allowance, within

M = TypeVar("M")

SECONDS = 20.0  # for each of the two
MOST_BYTES = 2_000_000
LONGEST_REPLY = 500  # characters
SENTENCE = "The model is ready."


@dataclass(frozen=True, slots=True)
class Trial:
    """`error` is the provider's own, in a sentence; empty when it worked. `dimension` is that of an embedding."""

    provider: str
    model: str
    latency_ms: int
    response: str = ""
    dimension: int | None = None
    error: str = ""
    error_code: str = ""

    @property
    def is_working(self) -> bool:
        return not self.error


def try_chat(settings: LLMSettings) -> Trial:
    """Never raises for what the provider does. Gives the database connection back meanwhile."""
    names = settings.llm_provider.label, settings.llm_model.name
    config = settings.chat_config()
    request = ChatRequest(
        messages=[
            ChatMessage("system", "This is a test of the connection. Reply with one short sentence."),
            ChatMessage("user", f"Say: {SENTENCE}"),
        ],
        temperature=settings.llm_temperature,
        max_tokens=settings.llm_max_tokens,  # what a model thinks counts too
        question="Is the model ready?",
        evidence=[Evidence(1, SENTENCE, "Test")],
    )

    def ask(model: ChatModel) -> dict[str, Any]:
        text, reason = "", ""
        with closing(cast(Any, model.stream(request))) as stream:
            for delta in stream:
                text += delta.text
                reason = delta.finish_reason or reason
                if len(text) > LONGEST_REPLY:
                    break
        if not text.strip():
            raise empty_answer(reason, request.max_tokens)
        return {"response": text[:LONGEST_REPLY]}

    trial = _trial(names, lambda: chat_model(config), ask)
    if trial.is_working:
        Circuits(current_schema()).succeeded(config)  # it is asked again at once
    return trial


def try_embedding(settings: LLMSettings) -> Trial:
    names = settings.embedding_provider.label, settings.embedding_model.name
    config = settings.embedding_config()

    def ask(model: Embedder) -> dict[str, Any]:
        dimension = len(model.embed_query(SENTENCE))
        if dimension != settings.embedding_dimension:
            raise ProviderError(
                f"The model returns {dimension} dimensions; the settings say {settings.embedding_dimension}."
            )
        return {"dimension": dimension}

    return _trial(names, lambda: embedder(config), ask)


def _trial(names: tuple[str, str], build: Callable[[], M], ask: Callable[[M], dict[str, Any]]) -> Trial:
    release_connection()
    provider, name = names
    started = time.monotonic()
    try:
        model = build()
        started = time.monotonic()  # loading an SDK is not the provider's time
        with within(Allowance(deadline=started + SECONDS, bytes_left=MOST_BYTES)):
            found = ask(model)
    except ProviderError as error:
        return Trial(provider, name, _since(started), error=str(error), error_code=error.code)
    return Trial(provider, name, _since(started), **found)


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
