"""Slugs, and what an import costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from knowrithm.llm.base import ChatModel, Embedder, ProviderConfig, UnknownProviderError
from knowrithm.llm.registry import chat_model, embedder, embeds_here


@pytest.mark.parametrize("slug", ["builtin", "google", "gemini", "openai", "anthropic", "OpenAI", " GOOGLE "])
def test_chat_models_by_slug(slug: str) -> None:
    model = "extractive" if slug == "builtin" else "any"
    assert isinstance(chat_model(ProviderConfig(slug, model, api_key="k")), ChatModel)


@pytest.mark.parametrize("slug", ["builtin", "huggingface", "google", "gemini", "openai", "HuggingFace"])
def test_embedders_by_slug(slug: str) -> None:
    model = "all-MiniLM-L6-v2" if slug.lower() in ("builtin", "huggingface") else "any"
    made = embedder(ProviderConfig(slug, model, api_key="k"))
    assert isinstance(made, Embedder)
    assert made.name == model
    assert embeds_here(ProviderConfig(slug, model)) == (model != "any")


@pytest.mark.parametrize("slug", ["", "mistral", "huggingface"])
def test_unknown_chat_provider(slug: str) -> None:
    with pytest.raises(UnknownProviderError, match="choose one of builtin, google, gemini, openai, anthropic"):
        chat_model(ProviderConfig(slug, "any"))


@pytest.mark.parametrize("slug", ["", "mistral", "anthropic"])
def test_unknown_embedding_provider(slug: str) -> None:
    with pytest.raises(UnknownProviderError, match="to compute embeddings"):
        embedder(ProviderConfig(slug, "any"))


def test_no_sdk_is_imported_for_the_builtin_provider() -> None:
    program = """
import sys
from knowrithm.llm.base import ChatRequest, Evidence, ProviderConfig
from knowrithm.llm.registry import chat_model
model = chat_model(ProviderConfig("builtin", "extractive"))
list(model.stream(ChatRequest([], question="How long?", evidence=[Evidence(1, "It takes two days.")])))
print([name for name in ("openai", "anthropic", "google.genai") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
