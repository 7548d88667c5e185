"""A supervisor's turn: which of its specialists answers, and why."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np
import structlog

from agents.models import Agent
from agents.specialists import Specialist, specialists_of
from conversations.engine.prompt import Exchange, retrieval_query
from conversations.engine.routing import named_in, routing_request
from conversations.guarding import BUILTIN_EMBEDDER
from conversations.models import Message
from documents.embeddings import embed
from documents.retrieval import is_self_contained
from knowrithm.circuits import Circuits
from knowrithm.db.schema import release_connection
from knowrithm.jobs import current_schema
from knowrithm.llm.base import ProviderError, Usage
from knowrithm.llm.fallback import AnswerStream
from knowrithm.llm.registry import embedder

log = structlog.get_logger(__name__)

ROUTING_SECONDS = 4.0  # for the model; then similarity decides
# How much nearer another specialist has to be than the one that answered the question before.
STICKINESS = 0.05


@dataclass(slots=True)
class Asked:
    """What a model was asked, and what came of it. `cost` is None where nobody knows it."""

    specialist: Specialist | None = None
    failure: str = ""
    usage: Usage = field(default_factory=Usage)
    cost: Decimal | None = None
    currency: str = ""
    is_stopped: bool = False  # because nobody wants the answer any more


@dataclass(frozen=True, slots=True)
class Route:
    """`agent_id` is None where no specialist can be asked: the supervisor answers itself. `kept` is for the trace.

    `asked` is what asking a model for it took, if one was.
    """

    agent_id: uuid.UUID | None
    kept: dict[str, Any]
    asked: Asked | None = None


def route(
    supervisor: Agent, question: str, history: Sequence[Exchange], *, is_wanted: Callable[[], bool] = lambda: True
) -> Route:
    """Decide. A question that leans on the one before stays where that was answered; any other is decided anew.

    Never raises for what a provider does: the embeddings that decide without a model are made here.
    """
    specialists = specialists_of(supervisor)
    if not specialists:
        return _route(None, "none", f"No specialist of {supervisor.name} can be asked, so it answered itself.")
    if len(specialists) == 1:
        return _route(specialists[0], "only", f"{specialists[0].name} is the only specialist that can be asked.")
    before = _answered_before(history, specialists)
    if before is not None and not is_self_contained(question):
        return _route(before, "follow_up", f"The question leans on the one before, which {before.name} answered.")
    asked = question if is_self_contained(question) else retrieval_query(question, history)
    if supervisor.llm_settings.only_quotes:
        return _nearest(asked, specialists, before)
    told = _asked_of_model(supervisor, asked, specialists, is_wanted)
    if told.is_stopped:
        return _route(None, "stopped", "Nobody wanted the answer any more.", told)
    if told.specialist is not None:
        model = supervisor.llm_settings.llm_model.name
        return _route(told.specialist, "model", f"{model} chose {told.specialist.name}.", told)
    return _nearest(asked, specialists, before, told)


def _route(chosen: Specialist | None, how: str, reason: str, asked: Asked | None = None, **more: Any) -> Route:
    agent_id = chosen.agent_id if chosen else None
    kept = {"agent_id": str(agent_id) if agent_id else None, "agent": chosen.name if chosen else None}
    if asked:
        cost = None if asked.cost is None else format(asked.cost, "f")
        more |= {"tokens": asked.usage.total_tokens, "cost": cost, "currency": asked.currency}
    return Route(agent_id, {**kept, "how": how, "reason": reason, **more}, asked)


def _answered_before(history: Sequence[Exchange], specialists: Sequence[Specialist]) -> Specialist | None:
    if not history:
        return None
    answered_by = Message.objects.filter(pk=history[-1].id).values_list("answered_by", flat=True).first()
    return next((one for one in specialists if one.agent_id == answered_by), None)


def _asked_of_model(
    supervisor: Agent, question: str, specialists: Sequence[Specialist], is_wanted: Callable[[], bool]
) -> Asked:
    """The specialist that the model names, or None and why not."""
    asked = Asked()
    request = routing_request([(one.name, one.description) for one in specialists], question)
    candidate = replace(supervisor.llm_settings.candidate(), temperature=0.0, max_tokens=request.max_tokens)
    stream = AnswerStream(
        [candidate],
        request,
        breaker=Circuits(current_schema()),
        deadline=time.monotonic() + ROUTING_SECONDS,
        is_wanted=is_wanted,
    )
    release_connection()
    said = ""
    try:
        with closing(stream.deltas()) as deltas:
            for delta in deltas:
                said += delta.text
                asked.usage = delta.usage or asked.usage
    except ProviderError as error:
        log.warning("routing_without_model", code=error.code)
        asked.failure = f"The model could not say: {error}"
        if not asked.usage.total_tokens:
            return asked  # nobody knows what it cost
    if price := supervisor.llm_settings.price:
        asked.cost, asked.currency = price.of(asked.usage), price.currency
    asked.is_stopped = stream.is_stopped
    place = named_in(said, len(specialists))
    if place is not None:
        asked.specialist = specialists[place]
    elif not asked.failure:
        asked.failure = "The model named none of the list."
    return asked


def _nearest(
    question: str, specialists: Sequence[Specialist], before: Specialist | None, told: Asked | None = None
) -> Route:
    model = embedder(BUILTIN_EMBEDDER)
    asked = np.asarray(model.embed_documents([question])[0])
    scores = []
    for one in specialists:
        vectors, _ = embed(model, BUILTIN_EMBEDDER, _texts_of(one), on_progress=lambda _: None)
        near = float(max(np.asarray([np.asarray(vector) for vector in vectors]) @ asked))
        scores.append(near + (STICKINESS if one == before else 0.0))
    best = max(range(len(scores)), key=scores.__getitem__)  # the first of equals
    chosen = specialists[best]
    failure = told.failure if told else ""
    reason = f"The question is nearest to what {chosen.name} is for ({scores[best]:.2f}). {failure}".strip()
    considered = [
        {"agent": one.name, "similarity": round(score, 4)} for one, score in zip(specialists, scores, strict=True)
    ]
    return _route(chosen, "similarity", reason, told, considered=considered)


def _texts_of(one: Specialist) -> list[str]:
    """All of what it is for, and each sentence: a question is near to one of them, not to the mixture."""
    sentences = [part.strip() for part in re.split(r"(?<=[.!?;])\s+|\n+", one.description) if part.strip()]
    return [f"{one.name}. {one.description}".strip(), *sentences[:20]]
