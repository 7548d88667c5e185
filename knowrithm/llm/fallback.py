"""One answer from a list of models: the first that speaks gives it.

A model that fails, or is silent for too long, before it has said anything is left for the next one. Once something was
said there is no way back: what the reader has seen would be contradicted. The last of the list is tried again where
that is sensible. Nothing a provider sends or fails to send holds a turn beyond its deadline.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, cast

from knowrithm.llm.base import (
    LONGEST_SILENCE,
    ChatDelta,
    ChatRequest,
    ProviderConfig,
    ProviderEmptyError,
    ProviderError,
    ProviderPausedError,
)
from knowrithm.llm.registry import chat_model
from knowrithm.net.outbound import Allowance, within

T = TypeVar("T")

TRIES = 3
FIRST_PAUSE = 0.6  # seconds between two tries; each that follows is twice as long
BETWEEN_WORDS = 30.0  # seconds of silence within an answer
LONGEST_RETRY_AFTER = 8.0  # seconds: who asks for longer is not waited for
LOOK_SECONDS = 0.5  # between two looks, in a pause, whether the answer is still wanted
SLOW_FAILURE = 5.0  # seconds: a try that took longer to fail is not repeated
EMBEDDING_SECONDS = 15.0
LONGEST_REASON = 40  # characters
# Why an answer ended, in the words of the protocols (and of servers that speak OpenAI's).
WHOLE_REASONS = frozenset({"", "stop", "end_turn", "stop_sequence", "eos", "eos_token"})
CUT_REASONS = frozenset({"length", "max_tokens", "model_length", "model_context_window_exceeded"})
FILTERED_REASONS = frozenset(
    {"content_filter", "refusal", "safety", "recitation", "blocklist", "prohibited_content", "spii"}
)

# A provider that ignores the limit on tokens. The longest words of any language keep far below this.
CHARACTERS_PER_TOKEN = 12
FEWEST_CHARACTERS, MOST_CHARACTERS = 2_000, 400_000
# What goes over the wire: each word of a stream comes in an envelope of a few hundred bytes.
BYTES_PER_TOKEN = 1_000
FEWEST_BYTES, MOST_BYTES = 4_000_000, 64_000_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model and how to ask it. After `patience` seconds of silence the next one is asked, if there is one."""

    config: ProviderConfig
    temperature: float
    max_tokens: int
    patience: float = LONGEST_SILENCE


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a model did not give the answer, in a sentence for the company.

    `retry_after` are the seconds that its provider asked to wait. Of a model that was not asked, because its circuit is
    open, `last_code` is the code of its last error.
    """

    model: str
    code: str
    error: str
    retry_after: int | None = None
    last_code: str = ""

    @classmethod
    def of(cls, model: str, error: ProviderError) -> Failure:
        wait = None if error.retry_after is None else math.ceil(error.retry_after)
        last_code = error.last_code if isinstance(error, ProviderPausedError) else ""
        return cls(model, error.code, str(error), wait, last_code)


class Breaker(Protocol):
    """Remembers between turns which models are down."""

    def refusal(self, config: ProviderConfig) -> ProviderPausedError | None:
        """Why the model is not to be asked now; None when it may be."""
        ...

    def succeeded(self, config: ProviderConfig) -> None: ...

    def failed(self, config: ProviderConfig, error: ProviderError) -> None: ...


class AnswerStream:
    """`deltas()` may be iterated once; the other attributes tell what became of it."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        request: ChatRequest,
        *,
        breaker: Breaker,
        deadline: float,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """`deadline` is of `time.monotonic`. Temperature and `max_tokens` of the request are each candidate's own.

        Once `is_wanted` says no, which is asked about twice a second, the call to the provider ends.
        """
        self.place = 0  # of the candidate that is speaking, or has been asked last
        self.has_begun = False
        self.ended_early = ""  # why the answer ends before its end, in a sentence for its reader
        self.is_stopped = False  # before its end, because nobody wants it
        self.failures: list[Failure] = []
        self._candidates = candidates
        self._request = request
        self._breaker = breaker
        self._deadline = deadline
        self._is_wanted = is_wanted

    def deltas(self) -> Generator[ChatDelta, None, None]:
        """Raises the `ProviderError` of the last model that was asked."""
        last = len(self._candidates) - 1
        for place, candidate in enumerate(self._candidates):
            self.place = place
            try:
                yield from self._tries(candidate, is_last=place == last)
                return
            except ProviderError as error:
                self.failures.append(Failure.of(candidate.config.model, error))
                if self.has_begun or place == last or time.monotonic() >= self._deadline:
                    raise

    def _tries(self, candidate: Candidate, *, is_last: bool) -> Generator[ChatDelta, None, None]:
        for attempt in range(1, TRIES + 1):
            if not self._is_wanted():
                self.is_stopped = True
                return
            if refusal := self._breaker.refusal(candidate.config):
                raise refusal
            started = time.monotonic()
            try:
                yield from self._once(candidate, LONGEST_SILENCE if is_last else candidate.patience)
                self._breaker.succeeded(candidate.config)
                return
            except ProviderError as error:
                if not self._is_wanted():
                    self.is_stopped = True
                    return
                if error.permanent:
                    self._breaker.succeeded(candidate.config)  # it is there, and answers
                else:
                    self._breaker.failed(candidate.config, error)
                pause = _pause(attempt, error, time.monotonic() - started)
                is_too_late = pause is None or time.monotonic() + pause >= self._deadline
                if self.has_begun or not is_last or attempt == TRIES or pause is None or is_too_late:
                    raise
            self._wait(pause)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._is_wanted():
            time.sleep(min(left, LOOK_SECONDS))

    def _once(self, candidate: Candidate, patience: float) -> Generator[ChatDelta, None, None]:
        model = chat_model(candidate.config)  # loading its SDK is not the provider's silence
        most = _between(FEWEST_CHARACTERS, candidate.max_tokens * CHARACTERS_PER_TOKEN, MOST_CHARACTERS)
        allowance = Allowance(
            deadline=min(self._deadline, time.monotonic() + patience),
            bytes_left=_between(FEWEST_BYTES, candidate.max_tokens * BYTES_PER_TOKEN, MOST_BYTES),
            is_wanted=self._is_wanted,
        )
        request = replace(self._request, temperature=candidate.temperature, max_tokens=candidate.max_tokens)
        reason = ""
        stream = cast("Generator[ChatDelta, None, None]", model.stream(request))
        with closing(stream):
            while True:
                if self.has_begun:  # how long the reader of this generator took is not the provider's silence
                    allowance.deadline = min(self._deadline, time.monotonic() + BETWEEN_WORDS)
                with within(allowance):
                    delta = next(stream, None)
                if delta is None:
                    if not self.has_begun:
                        raise empty_answer(reason, candidate.max_tokens)
                    self.ended_early = _ended_early(reason)
                    return
                if not self._is_wanted():
                    self.is_stopped = True
                    return
                self.has_begun = self.has_begun or bool(delta.text.strip())
                reason = delta.finish_reason or reason
                most -= len(delta.text)
                yield delta if most >= 0 else replace(delta, text=delta.text[:most])
                if most < 0:
                    self.ended_early = _ended_early("length")
                    return


def empty_answer(reason: str, max_tokens: int) -> ProviderEmptyError:
    """The error for an answer without a word; `reason` is what the provider gave for its end."""
    if reason in CUT_REASONS:
        return ProviderEmptyError(
            f"The model used up its limit of {max_tokens:,} tokens before it said anything. Raise the limit in its "
            "settings (max_tokens): models that think before they answer need more."
        )
    if reason in FILTERED_REASONS:
        return ProviderEmptyError(f"The provider's own filter has held the answer back ({reason}).")
    return ProviderEmptyError(f"The model returned an empty answer{_in_brackets(reason)}. Please try again.")


def _ended_early(reason: str) -> str:
    if reason in CUT_REASONS:
        return "The answer was longer than allowed and ends early."
    if reason in FILTERED_REASONS:
        return f"The provider's own filter has ended the answer early ({reason})."
    return "" if reason in WHOLE_REASONS else f"The model may have ended the answer early{_in_brackets(reason)}."


def _in_brackets(reason: str) -> str:
    return "" if reason in WHOLE_REASONS else f" ({reason[:LONGEST_REASON]})"


def with_retry(call: Callable[[], T], *, seconds: float = EMBEDDING_SECONDS) -> T:
    """The result of a call that reaches a provider at most twice, each time for so many seconds at most."""
    for attempt in (1, 2):
        started = time.monotonic()
        try:
            with within(Allowance(deadline=started + seconds)):
                return call()
        except ProviderError as error:
            pause = _pause(attempt, error, time.monotonic() - started)
            if attempt == 2 or pause is None:
                raise
        time.sleep(pause)
    raise AssertionError("the second attempt returns or raises")


def _pause(attempt: int, error: ProviderError, took: float) -> float | None:
    """Seconds until another try, with jitter; None where another try is not sensible."""
    if error.permanent or took > SLOW_FAILURE:
        return None
    pause: float = FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)  # noqa: S311  # jitter, not a secret
    if error.retry_after is None:
        return pause
    return None if error.retry_after > LONGEST_RETRY_AFTER else max(pause, error.retry_after)


def _between(least: int, value: int, most: int) -> int:
    return max(least, min(value, most))
