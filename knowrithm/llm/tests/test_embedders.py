"""Remote embedders against protocol-speaking servers, and the built-in one."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from knowrithm.llm.base import (
    ProviderAuthenticationError,
    ProviderConfig,
    ProviderError,
    ProviderRequestError,
    ProviderUnavailableError,
)
from knowrithm.llm.providers import builtin
from knowrithm.llm.registry import embedder
from knowrithm.tests.providers import GoogleServer, OpenAIServer, RecordedRequest
from knowrithm.tests.providers.server import Json

SERVERS: dict[str, type[OpenAIServer | GoogleServer]] = {"openai": OpenAIServer, "google": GoogleServer}
MINILM = embedder(ProviderConfig("huggingface", "all-MiniLM-L6-v2"))


@pytest.mark.parametrize("slug", sorted(SERVERS))
@pytest.mark.parametrize("model", ["embedding-small", "gemini-embedding-2"])
@pytest.mark.usefixtures("loopback")
def test_remote_embeddings_are_unit_length_in_order_and_in_batches(slug: str, model: str) -> None:
    texts = [f"text number {number}" for number in range(130)]
    with SERVERS[slug](dimension=16) as server:
        made = embedder(ProviderConfig(slug, model, api_key="k", base_url=server.base_url))
        vectors = made.embed_documents(texts)
    expected = [np.array(server.embedding_of(text)) / np.linalg.norm(server.embedding_of(text)) for text in texts]

    assert made.name == model
    assert np.allclose(vectors, expected, atol=1e-6)
    assert [math.isclose(np.linalg.norm(vector), 1.0, abs_tol=1e-6) for vector in vectors] == [True] * 130
    assert len(server.requests) == 3


@pytest.mark.parametrize("slug", sorted(SERVERS))
@pytest.mark.usefixtures("loopback")
def test_remote_embedder_takes_nothing_and_empty_texts(slug: str) -> None:
    with SERVERS[slug]() as server:
        made = embedder(ProviderConfig(slug, "m", api_key="k", base_url=server.base_url))
        assert made.embed_documents([]) == []
        assert server.requests == []
        assert len(made.embed_documents([""])[0]) == 8


@pytest.mark.parametrize("slug", sorted(SERVERS))
@pytest.mark.usefixtures("loopback")
def test_remote_embedder_errors(slug: str) -> None:
    with SERVERS[slug]() as server:
        made = embedder(ProviderConfig(slug, "m", api_key="k", base_url=server.base_url))
        server.fail(401, times=1)
        with pytest.raises(ProviderAuthenticationError):
            made.embed_query("a")
        server.fail(503, times=1)
        with pytest.raises(ProviderUnavailableError):
            made.embed_query("a")


@pytest.mark.usefixtures("loopback")
def test_remote_embedder_refuses_a_wrong_number_of_vectors() -> None:
    class Forgetful(OpenAIServer):
        def embedding_body(self, request: RecordedRequest) -> Json:
            body = super().embedding_body(request)
            return {**body, "data": body["data"][:1]}

    with Forgetful() as server, pytest.raises(ProviderRequestError, match="1 embeddings for 2 texts"):
        embedder(ProviderConfig("openai", "m", "k", server.base_url)).embed_documents(["a", "b"])


@pytest.mark.usefixtures("loopback")
def test_dimension_is_asked_for() -> None:
    with OpenAIServer() as openai, GoogleServer() as google:
        for slug, server in (("openai", openai), ("google", google)):
            config = ProviderConfig(slug, "gemini-embedding-001", "k", server.base_url, dimension=256)
            embedder(config).embed_query("a")
            embedder(config).embed_documents(["a"])
    assert [request.json["dimensions"] for request in openai.requests] == [256, 256]
    asked = [request.json["requests"][0] for request in google.requests]
    assert [one["outputDimensionality"] for one in asked] == [256, 256]
    assert [one["taskType"] for one in asked] == ["RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT"]


@pytest.mark.usefixtures("loopback")
def test_task_type_is_left_out_for_models_that_refuse_it() -> None:
    with GoogleServer() as server:
        embedder(ProviderConfig("google", "gemini-embedding-2", "k", server.base_url)).embed_query("a")
    (request,) = server.requests
    assert "taskType" not in request.json["requests"][0]


def test_minilm_has_384_dimensions_and_unit_length() -> None:
    (vector,) = MINILM.embed_documents(["The pump moves water."])
    assert MINILM.name == "all-MiniLM-L6-v2"
    assert len(vector) == 384
    assert math.isclose(np.linalg.norm(vector), 1.0, abs_tol=1e-6)


def test_minilm_puts_like_meanings_together() -> None:
    question = np.array(MINILM.embed_query("How can I get my money back?"))
    texts = ["Refunds are paid within five days.", "The pump weighs 48 kilograms.", "Bananas grow in warm countries."]
    similarities = np.array(MINILM.embed_documents(texts)) @ question
    assert int(similarities.argmax()) == 0
    assert similarities[0] > 0.4 > similarities[1:].max()


def test_minilm_result_does_not_depend_on_order_or_company() -> None:
    texts = ["short", "a somewhat longer text about pumps " * 12, "", "another one", "and a fifth text, of some length"]
    together = MINILM.embed_documents(texts)
    reverse = MINILM.embed_documents(texts[::-1])[::-1]
    alone = [MINILM.embed_query(text) for text in texts]
    assert np.allclose(together, reverse, atol=1e-4)
    assert np.allclose(together, alone, atol=1e-4)


def test_minilm_counts_the_first_256_tokens() -> None:
    start = "water " * 300
    assert MINILM.embed_query(start + "banana " * 50) == MINILM.embed_query(start)


def test_minilm_embeds_once_what_was_begun_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "_pool", ThreadPoolExecutor(1))  # its next task comes after what was begun
    text = "Is what was begun ahead embedded once more?"
    before = builtin._remembered.cache_info().misses
    builtin.embed_ahead(text)
    vector = builtin.MiniLMEmbedder().embed_query(text)
    builtin._pool.submit(int).result()  # what was begun is over
    assert builtin._remembered.cache_info().misses == before + 1
    assert vector == builtin._embed(text).tolist()


@pytest.mark.parametrize("exactly", [True, False], ids=["new processor", "old processor"])
def test_minilm_is_near_to_the_network_that_the_package_brings(monkeypatch: pytest.MonkeyPatch, exactly: bool) -> None:
    monkeypatch.setattr(builtin, "_multiplies_exactly", lambda: exactly)
    model, original = builtin._load(), onnxruntime.InferenceSession(str(builtin._model_path()))
    for text in ("", "Why?", "How long is the warranty of the pump?", "The pump moves water. 水 🙂 " * 30):
        encoding = model.tokenizer.encode(text)
        ids = np.array([encoding.ids])
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        expected = original.run(None, inputs)[0][0].mean(axis=0)
        nearness = model.embed(encoding) @ expected / np.linalg.norm(expected)
        assert nearness > 0.97, text


def test_minilm_takes_nothing_and_odd_texts() -> None:
    assert MINILM.embed_documents([]) == []
    vectors = MINILM.embed_documents(["", " \n\t", "\x00\ufffe", "日本語のテキスト", "🙂" * 1000])
    assert np.isfinite(vectors).all()


def test_minilm_refuses_a_file_that_is_not_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tmp_path / "model.onnx"
    wrong.write_bytes(b"not a model")
    monkeypatch.setattr(builtin, "_model", None)
    monkeypatch.setenv("EMBEDDING_MODEL_PATH", str(wrong))
    with pytest.raises(ProviderUnavailableError, match=r"model\.onnx is not the expected one"):
        MINILM.embed_query("a")
    monkeypatch.setenv("EMBEDDING_MODEL_PATH", str(tmp_path / "absent.onnx"))
    with pytest.raises(ProviderUnavailableError, match="cannot be read"):
        MINILM.embed_query("a")


def test_other_builtin_model_is_refused() -> None:
    with pytest.raises(ProviderError, match="not built in"):
        embedder(ProviderConfig("huggingface", "BAAI/bge-large"))
