"""What is put to a model for one answer, and what is kept of it so that the answer can be made again."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agents.models import Agent, LLMSettings
from agents.selectors import settings_in_order
from conversations.brief import brief_of, from_person, visitor_of
from conversations.engine.prompt import (
    Exchange,
    build_request,
    fingerprint,
    instructions_of,
    retrieval_query,
    template_fingerprint,
)
from conversations.guarding import Guard
from conversations.models import Conversation, Guardrail
from conversations.wording import sentence, topic_of
from documents.neighbours import merge_neighbours
from documents.retrieval import Passage, RetrievalSettings, has_evidence, is_self_contained, search_in_context
from knowrithm.llm.base import ChatRequest, Evidence
from knowrithm.llm.fallback import Failure

LEGS = ("dense", "dense_rank", "lexical", "lexical_rank", "fused_rank", "rerank", "score", "evidence", "coverage")


@dataclass(frozen=True, slots=True)
class Asking:
    """`request` is None where the passages hold no evidence: no model is asked then, and there are no `candidates`.

    `candidates` are the settings whose models are asked, in this order. `kept` is what the message keeps of all this,
    JSON-ready; its citations keep the passages.
    """

    passages: Sequence[Passage]
    candidates: Sequence[LLMSettings] = ()
    request: ChatRequest | None = None
    failures: Sequence[Failure] = ()  # of models that were to help with the search
    kept: dict[str, Any] = field(default_factory=dict)


def prepare(
    agent: Agent,
    question: str,
    history: Sequence[Exchange],
    guard: Guard,
    conversation: Conversation,
) -> Asking:
    """Retrieve, and build the request. Raises `ProviderError` where the question cannot be embedded.

    What a person has settled comes before the history, and what is known of the visitor behind the sources, for the
    model alone: nothing is searched for by them.
    """
    topic = topic_of(question)  # the platform's own words around it are not to be searched for
    in_context = topic or retrieval_query(question, history)
    ranking = RetrievalSettings.of(agent)
    query, found = search_in_context(agent, in_context, topic or question, settings=ranking, filters=guard.filters)
    passages = merge_neighbours(found.passages)
    failures = [found.failure] if found.failure else []
    kept = {
        "query": query,
        "retrieval": asdict(ranking),
        "passages": [_legs(passage) for passage in passages],
        "reranker": found.reranker,
        "guardrails": guardrails_kept(guard.rows),
    }
    if not has_evidence(passages, ranking.threshold):
        return Asking(passages, failures=failures, kept=kept)
    in_order = settings_in_order(agent.llm_settings)
    told, max_context_tokens = from_person(conversation), conversation.max_context_length
    visitor = visitor_facts(conversation, guard) if not all(row.only_quotes for row in in_order) else {}
    request = build_request(
        agent=brief_of(agent),
        question=question,
        standalone_question=question if not topic and is_self_contained(question) else in_context,
        history=[*told, *history],
        evidence=evidence_of(passages),
        temperature=in_order[0].llm_temperature,
        max_tokens=in_order[0].llm_max_tokens,
        max_context_tokens=max_context_tokens,
        no_answer=sentence("no_answer", guard.language),
        visitor=visitor,
    )
    kept["prompt"] = {
        "instructions": instructions_of(request),
        "standalone_question": request.question,
        "length": request.length,
        "told": [[exchange.question, exchange.answer] for exchange in told],
        "history": [exchange.id for exchange in history],
        "visitor": [*visitor.items()],  # in this order, which an object would lose
        "max_context_tokens": max_context_tokens,
        "hash": fingerprint(request),
        "template": template_fingerprint(),
    }
    return Asking(passages, in_order, request, failures, kept)


def visitor_facts(conversation: Conversation, guard: Guard) -> dict[str, str]:
    return {name: fact for name, value in visitor_of(conversation).items() if (fact := guard.fact(value))}


def evidence_of(passages: Iterable[Passage]) -> list[Evidence]:
    return [
        Evidence(number, passage.content, passage.document_name, passage.headings[-1] if passage.headings else "")
        for number, passage in enumerate(passages, 1)
    ]


def guardrails_kept(rows: Iterable[Guardrail]) -> dict[str, dict[str, str]]:
    """By id their names, and a digest of what they say."""
    return {str(row.pk): {"name": row.name, "digest": _digest(row)} for row in rows}


def _digest(row: Guardrail) -> str:
    lists = [sorted(map(str, listed)) if listed is not None else None for listed in (row.dataset_ids, row.link_hosts)]
    said = [row.rules, row.refusal_text, row.allows_own_documents, row.topic_embedder, *lists]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _legs(passage: Passage) -> dict[str, float | int | None]:
    """How a passage was found: its place and score in each leg."""
    values = {name: getattr(passage, name) for name in LEGS}
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}


def as_id(value: uuid.UUID | None) -> uuid.UUID:
    """Of a passage whose row is no more: an id that no row has."""
    return value or uuid.UUID(int=0)
