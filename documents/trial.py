"""A search that somebody asks for: what an agent would find, how sure it would be, and how long that took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from agents.models import Agent
from documents.retrieval import NO_FILTERS, Filters, Passage, RetrievalSettings, has_evidence, search_in_context
from knowrithm.errors import UnavailableError
from knowrithm.llm.base import ProviderError


@dataclass(frozen=True, slots=True)
class Trial:
    """`searched` is what was searched for: with the question before, if that did not lead astray. `seconds` for all."""

    searched: str
    settings: RetrievalSettings
    passages: Sequence[Passage]
    seconds: float
    warning: str = ""

    @property
    def has_evidence(self) -> bool:
        return has_evidence(self.passages, self.settings.threshold)

    @property
    def milliseconds(self) -> int:
        return round(self.seconds * 1000)

    @property
    def evidence(self) -> float:
        return max((passage.evidence for passage in self.passages), default=0.0)


def try_search(
    *, agent: Agent, question: str, settings: RetrievalSettings, previous: str = "", filters: Filters = NO_FILTERS
) -> Trial:
    """As a turn searches. Raises `UnavailableError` when the embedder does not answer."""
    in_context = f"{previous}\n{question}" if previous else question
    started = time.perf_counter()
    try:
        searched, found = search_in_context(agent, in_context, question, settings=settings, filters=filters)
    except ProviderError as error:
        raise UnavailableError(str(error), code=error.code) from error
    seconds = round(time.perf_counter() - started, 4)
    return Trial(searched, settings, found.passages, seconds, found.warning)
