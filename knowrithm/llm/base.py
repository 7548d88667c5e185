"""What the rest of the platform knows of a language model: three Protocols and their frozen inputs and outputs.

No Django here (an import contract checks it): providers are built from a `ProviderConfig` and can be used,
and tested, from a plain Python process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

Role = Literal["system", "user", "assistant"]

CONNECT_SECONDS = 5.0
LONGEST_SILENCE = 60.0  # seconds: models that think before they speak take their time


@dataclass(frozen=True, slots=True)
class ChatMessage:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A retrieved passage offered to the model; `number` is the N of its `[Source N]` marker, from 1.

    `name` is the document's, `heading` the nearest one above the passage.
    """

    number: int
    text: str
    name: str = ""
    heading: str = ""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One completion.

    `messages` carry everything a remote model needs, the evidence already rendered into them. `question`, `evidence`
    and `length` (short, balanced or detailed) repeat the same in structured form for models that quote instead of
    writing (the built-in one), and `no_answer` is what such a one says where nothing answers; its own words if empty.
    """

    messages: Sequence[ChatMessage]
    temperature: float = 0.7
    max_tokens: int = 1000
    question: str = ""
    evidence: Sequence[Evidence] = ()
    length: str = "balanced"
    no_answer: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)


@dataclass(frozen=True, slots=True)
class ChatDelta:
    """A piece of a streamed answer. The last one carries `usage` and `finish_reason`; its text may be empty."""

    text: str = ""
    usage: Usage | None = None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """How to reach one model.

    `provider` names the protocol (`builtin`, `google`, `openai`, `anthropic`), `timeout` is the longest wait in
    seconds for the next byte, `dimension` what to ask an embedding model for (None: its own).
    """

    provider: str
    model: str
    api_key: str = field(default="", repr=False)
    base_url: str = ""
    timeout: float = LONGEST_SILENCE
    dimension: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class ChatModel(Protocol):
    def stream(self, request: ChatRequest) -> Iterator[ChatDelta]:
        """Yield the answer as it comes. Closing the iterator closes the provider's connection.

        Raises `ProviderError`, before the first delta or between two.
        """
        ...


@runtime_checkable
class Embedder(Protocol):
    """Unit-length float vectors; `name` is stored beside each vector, so that models never mix."""

    @property
    def name(self) -> str: ...

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]: ...

    def embed_query(self, text: str) -> list[float]: ...


@runtime_checkable
class Reranker(Protocol):
    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """A relevance for each text, higher is better, same order as given."""
        ...


class ProviderError(Exception):
    """A provider refused or could not be reached.

    `code` is stable and machine-readable; `permanent` says that the same call will fail again, so nothing retries
    it. `str(error)` is one sentence that a company's admin can act on and never contains a key.
    """

    code = "LLM_ERROR"
    permanent = False
    retry_after: float | None = None  # seconds that the provider asked to wait


class ProviderUnavailableError(ProviderError):
    code = "LLM_UNAVAILABLE"


class ProviderPausedError(ProviderUnavailableError):
    """It has failed so often, or asked for so much patience, that it is not asked for a while.

    `last_code` is the code of the error that it gave last.
    """

    code = "LLM_PAUSED"

    def __init__(self, message: str, *, last_code: str, retry_after: float | None) -> None:
        super().__init__(message)
        self.last_code = last_code
        self.retry_after = retry_after


class ProviderRateLimitedError(ProviderError):
    code = "LLM_RATE_LIMITED"


class ProviderAuthenticationError(ProviderError):
    code = "LLM_AUTHENTICATION"
    permanent = True


class ProviderRequestError(ProviderError):
    """The provider understood and refused: unknown model, too long a prompt, a forbidden parameter."""

    code = "LLM_BAD_REQUEST"
    permanent = True


class ProviderEmptyError(ProviderError):
    """It answered without a word. Asked the same once more it would most likely do so again, and be paid for it."""

    code = "LLM_EMPTY"
    permanent = True


class UnknownProviderError(ProviderError):
    code = "LLM_UNKNOWN_PROVIDER"
    permanent = True
