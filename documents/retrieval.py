"""Finding the passages that bear on a question: by meaning and by words, and how sure that is.

Two legs over the agent's live chunks (`documents.candidates`): cosine over embeddings, and BM25 as an inner product of
sparse vectors. Their scores are normalised and combined convexly, which beats rank fusion in and out of domain. Whether
there is evidence at all is decided here, from the scores, never by asking a model.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

import numpy as np
import structlog
from django.db import connection
from pgvector import Vector

from agents.models import Agent
from documents.candidates import DENSE, LEXICAL, Candidate, Words, find
from documents.chunks import ALL_CHUNKS
from documents.embeddings import release_before
from documents.follow_ups import is_self_contained as is_self_contained
from documents.indexes import indexes_that_answer
from documents.ingestion.lexical import idf, term_id, terms
from documents.ingestion.locators import describe
from documents.models import AgentReranker, LexicalTerm
from documents.selectors import get_reranker_of
from knowrithm.db.schema import release_connection
from knowrithm.llm.base import Embedder, ProviderConfig, ProviderError
from knowrithm.llm.fallback import Failure, with_retry
from knowrithm.llm.providers.sentences import split_sentences
from knowrithm.llm.registry import embedder, reranker

log = structlog.get_logger(__name__)

CANDIDATES = 60  # of each leg
# Two passages say the same when nearly all runs of so many words of the shorter one stand in the longer one too.
SHINGLE, SAME = 5, 0.9
TOP_K, DENSE_WEIGHT = 6, 0.5
# Calibrated on questions with and without an answer in the corpus (`make bench`): see `Passage.evidence`.
EVIDENCE_THRESHOLD = 0.41
# Weights of nearness in meaning and of shared terms, then of a passage's nearest sentence where that was looked at.
MEANING, TERMS = 0.7, 0.3
READ_MEANING, READ_TERMS, READ_SENTENCE = 0.2, 0.1, 0.7
# Evidence between these leaves it open whether there is an answer: so many passages are then read, each by so many
# sentences.
DOUBTFUL, READ_PASSAGES, READ_SENTENCES = (0.15, 0.5), 3, 8


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """`dense_weight` is the share of meaning in the fused score, the rest is that of words; both run from 0 to 1."""

    top_k: int = TOP_K
    dense_weight: float = DENSE_WEIGHT
    threshold: float = EVIDENCE_THRESHOLD

    @classmethod
    def of(cls, agent: Agent) -> RetrievalSettings:
        chosen = {name: getattr(agent, f"retrieval_{name}") for name in ("top_k", "dense_weight", "threshold")}
        return cls(**{name: value for name, value in chosen.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved chunk. `score` is the fused one, from 0 to 1 within one search; the others explain it.

    `rerank` is what the agent's reranker thinks of it, and `fused_rank` its place before; None where it was not read.
    `dense_rank` and `lexical_rank` are its places in the two legs, from 1; None beyond the candidates of a leg.
    `dense` is the cosine similarity, `lexical` the BM25 score, `evidence` an absolute measure from 0 to 1 of how much
    the passage speaks of what was asked: comparable between searches. `asked` is the cosine to what was asked,
    `coverage` the share of its terms, weighed by their rarity, that the passage contains.
    """

    chunk_id: uuid.UUID
    document_id: uuid.UUID
    document_name: str
    source_url: str
    content: str
    headings: tuple[str, ...]
    locator: dict[str, Any]
    score: float
    dense: float
    lexical: float
    evidence: float
    asked: float
    coverage: float
    dense_rank: int | None = None
    lexical_rank: int | None = None
    fused_rank: int | None = None
    rerank: float | None = None
    index: int = 0  # of the chunk in its document

    @property
    def locator_label(self) -> str:
        return describe(self.locator)


@dataclass(frozen=True, slots=True)
class Filters:
    """What narrows a search to some of the agent's documents; what is left empty does not.

    A document has all of the `tags`, is one of `document_ids`, of one of `document_types`, in one of `dataset_ids`, and
    its metadata holds each of the pairs of `metadata`. Of the datasets granted to the agent only `allowed_datasets` are
    searched (None: all), and its own documents only if `own_documents`: no other filter reaches beyond these.
    """

    tags: Sequence[str] = ()
    document_ids: Sequence[uuid.UUID] = ()
    document_types: Sequence[str] = ()
    dataset_ids: Sequence[uuid.UUID] = ()
    metadata: Mapping[str, str | float | bool | None] = field(default_factory=dict)
    allowed_datasets: frozenset[uuid.UUID] | None = None
    own_documents: bool = True

    def parameters(self) -> dict[str, Any]:
        """Of `candidates.find`. NULL stands for no condition."""
        return {
            "tags": list(self.tags) or None,
            "documents": list(self.document_ids) or None,
            "types": list(self.document_types) or None,
            "wanted_datasets": list(self.dataset_ids) or None,
            "metadata": json.dumps(dict(self.metadata)) if self.metadata else None,
        }


NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class _Space:
    """Documents that were embedded by one model, whose vectors can be compared."""

    model: Embedder
    config: ProviderConfig
    agent_id: uuid.UUID
    dataset_ids: list[uuid.UUID]
    index_ids: list[uuid.UUID]

    def vector_of(self, query: str) -> Vector:
        release_before(self.config)
        return Vector(self.model.embed_query(query))

    def vectors_of(self, texts: Sequence[str]) -> list[list[float]]:
        release_before(self.config)
        return self.model.embed_documents(texts)


@dataclass(frozen=True, slots=True)
class _Query:
    """What is searched for and what evidence is asked of: the same, but for questions that lean on the one before."""

    space: _Space
    vector: Vector
    words: Words
    asked_vector: Vector
    asked_weights: dict[int, float]  # inverse document frequency by term id


@dataclass(frozen=True, slots=True)
class _Found:
    score: float
    row: Candidate
    query: _Query
    dense_rank: int | None
    lexical_rank: int | None
    fused_rank: int | None = None
    rerank: float | None = None


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The best passages, best first; perhaps none. `failure` is of the `reranker`, for the company alone."""

    passages: list[Passage]
    failure: Failure | None = None
    reranker: str = ""

    @property
    def warning(self) -> str:
        """A sentence about what did not work, or empty."""
        return self.failure.error if self.failure else ""


def _spaces(agent: Agent, filters: Filters) -> list[_Space]:
    """The agent's own documents with the datasets embedded as they are, then the other datasets by their models."""
    spaces: dict[tuple[object, ...], _Space] = {}
    allowed = filters.allowed_datasets
    for index, config in indexes_that_answer(agent):
        is_wanted = (
            filters.own_documents if index.dataset_id is None else allowed is None or index.dataset_id in allowed
        )
        if not is_wanted:
            continue
        if index.embedding_identity not in spaces:
            spaces[index.embedding_identity] = _Space(embedder(config), config, agent.id, [], [])
        space = spaces[index.embedding_identity]
        space.index_ids.append(index.id)
        if index.dataset_id:
            space.dataset_ids.append(index.dataset_id)
    return list(spaces.values())


def retrieve(
    agent: Agent,
    query: str,
    *,
    question: str = "",
    settings: RetrievalSettings | None = None,
    filters: Filters = NO_FILTERS,
) -> list[Passage]:
    """The passages of `search`."""
    return search(agent, query, question=question, settings=settings, filters=filters).passages


def search(
    agent: Agent,
    query: str,
    *,
    question: str = "",
    settings: RetrievalSettings | None = None,
    filters: Filters = NO_FILTERS,
) -> Retrieval:
    """The best passages of the agent's documents and of the datasets granted to it.

    `query` may hold more than was asked, such as the question before. `question` is what was asked: the evidence is
    measured by it alone when it says enough on its own, or every follow-up would seem answered by what the earlier
    question found. `settings` are the agent's own unless given.
    """
    settings = settings or RetrievalSettings.of(agent)
    found: list[_Found] = []
    for space in _spaces(agent, filters):
        prepared = _prepare(query, question, space)
        found += _fuse(_candidates(space, prepared, filters), prepared, settings.dense_weight)
    ranked, failure = sorted(found, key=attrgetter("score"), reverse=True), None
    choice = get_reranker_of(agent.id) if ranked else None
    if choice is not None:
        ranked, failure = _reranked(choice, question if is_self_contained(question) else query, ranked)
    best = _without_repeats(ranked, settings.top_k)
    passages = _read_closely([_passage(one) for one in best], [one.query for one in best])
    return Retrieval(passages, failure, str(choice or ""))


def search_in_context(
    agent: Agent, query: str, question: str, *, settings: RetrievalSettings, filters: Filters = NO_FILTERS
) -> tuple[str, Retrieval]:
    """As a turn searches: what was searched for, and what was found. `query` holds the question before, where there is
    one. It may lead the search astray: a question that says enough is looked for alone then.
    """

    def look_for(query: str) -> Retrieval:
        return with_retry(lambda: search(agent, query, question=question, settings=settings, filters=filters))

    found = look_for(query)
    if query != question and is_self_contained(question) and not has_evidence(found.passages, settings.threshold):
        return question, look_for(question)
    return query, found


def _reranked(choice: AgentReranker, query: str, found: Sequence[_Found]) -> tuple[list[_Found], Failure | None]:
    """The best of them in the reranker's order, then the others. An order is never worth an answer: without it the
    passages stay as they are."""
    head = found[: choice.passages]
    texts = ["\n".join((*_json(one.row[5]), one.row[4])) for one in head]
    release_connection()
    try:
        scores = reranker(choice.config()).rerank(query, texts)
    except ProviderError as error:
        log.warning("rerank_failed", code=error.code, error=str(error))
        return list(found), Failure(
            choice.model or choice.provider, error.code, f"The passages were not put in order anew. {error}"
        )
    read = [
        replace(one, fused_rank=rank, rerank=score)
        for rank, (one, score) in enumerate(zip(head, scores, strict=True), 1)
    ]
    return [*sorted(read, key=attrgetter("rerank"), reverse=True), *found[choice.passages :]], None


def has_evidence(passages: Sequence[Passage], threshold: float = EVIDENCE_THRESHOLD) -> bool:
    return any(passage.evidence >= threshold for passage in passages)


def _prepare(query: str, question: str, space: _Space) -> _Query:
    ids = {term_id(term) for term in terms(query)}
    known = _chunk_counts([ALL_CHUNKS, *ids])
    total = known.get(ALL_CHUNKS, 0)
    weights = {identifier: idf(known.get(identifier, 0), total) for identifier in ids}
    words = Words(weights, known, total)
    vector = space.vector_of(query)
    if question == query or not is_self_contained(question):
        return _Query(space, vector, words, vector, weights)
    asked_weights = {identifier: weights.get(identifier, 0.0) for identifier in map(term_id, terms(question))}
    return _Query(space, vector, words, space.vector_of(question), asked_weights)


def _chunk_counts(term_ids: Sequence[int]) -> dict[int, int]:
    """In how many chunks each of the terms stands; those in none are left out."""
    with connection.cursor() as cursor:
        table = LexicalTerm._meta.db_table
        cursor.execute(f"SELECT term, chunk_count FROM {table} WHERE term = ANY(%s)", [list(term_ids)])  # noqa: S608  # our own table's name
        return dict(cursor.fetchall())


def _candidates(space: _Space, query: _Query, filters: Filters) -> list[Candidate]:
    """The best of each leg, with both scores."""
    parameters: dict[str, Any] = {
        "vector": query.vector.to_text(),
        "asked": query.asked_vector.to_text(),
        "dimensions": query.vector.dimensions(),
        "agent": space.agent_id,
        "datasets": space.dataset_ids,
        "indexes": space.index_ids,
        "model": space.model.name,
        "limit": CANDIDATES,
        **filters.parameters(),
    }
    return find(parameters, query.words)


def _fuse(rows: Sequence[Candidate], query: _Query, dense_weight: float) -> list[_Found]:
    if not rows:
        return []
    dense, lexical = [row[DENSE] for row in rows], [max(row[LEXICAL], 0.0) for row in rows]
    low, high, best = min(dense), max(dense), max(lexical) or 1.0
    dense_ranks, lexical_ranks = _ranks(dense), _ranks(lexical)
    found = []
    for place, row in enumerate(rows):
        meaning = (dense[place] - low) / (high - low) if high > low else 1.0
        score = dense_weight * meaning + (1 - dense_weight) * lexical[place] / best
        lexical_rank = lexical_ranks[place] if lexical[place] else None
        found.append(_Found(score, row, query, dense_ranks[place], lexical_rank))
    return found


def _ranks(scores: Sequence[float]) -> list[int | None]:
    """Places from 1, best first. Only those of a leg's own candidates are known: the others came by the other leg."""
    ranks: list[int | None] = [None] * len(scores)
    for rank, place in enumerate(sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[:CANDIDATES], 1):
        ranks[place] = rank
    return ranks


def _passage(found: _Found) -> Passage:
    """Reading a text's terms costs more than finding it: done only for what is handed out."""
    chunk, document, name, url, content, headings, locator, dense, lexical, asked, index = found.row
    meaning, coverage = max(asked, 0.0), _coverage(content, headings, found.query.asked_weights)
    return Passage(
        chunk, document, name, url, content, tuple(_json(headings)), _json(locator),
        found.score, dense, max(lexical, 0.0), MEANING * meaning + TERMS * coverage, meaning, coverage,
        found.dense_rank, found.lexical_rank, found.fused_rank, found.rerank, index,
    )  # fmt: skip


def _coverage(content: str, headings: Any, weights: dict[int, float]) -> float:
    """What share of the question's terms, weighed by their rarity, the passage contains."""
    total_weight = sum(weights.values())
    if not total_weight:
        return 0.0
    present = {term_id(term) for term in terms(" ".join((*_json(headings), content)))}
    return sum(weight for identifier, weight in weights.items() if identifier in present) / total_weight


def _read_closely(passages: Sequence[Passage], queries: Sequence[_Query]) -> list[Passage]:
    """The passages in their order, those of most evidence measured by their nearest sentences, where all leave doubt.

    A price list or a page of questions has one line that matters; all the others hide it from the embedding. Reading
    never lowers evidence: a passage that speaks of the matter as a whole may have no single sentence that does.
    """
    low, high = DOUBTFUL
    if not low <= max((passage.evidence for passage in passages), default=0.0) < high:
        return list(passages)
    places = sorted(range(len(passages)), key=lambda place: passages[place].evidence, reverse=True)[:READ_PASSAGES]
    sentences = [
        (place, text)
        for place in places
        for text in _telling_sentences(passages[place].content, queries[place].asked_weights)
    ]
    told = list(passages)
    for space in {id(query.space): query.space for query in queries}.values():
        own = [(place, text) for place, text in sentences if queries[place].space is space]
        vectors = space.vectors_of([text for _, text in own]) if own else []
        for (place, _), vector in zip(own, vectors, strict=True):
            passage, nearness = passages[place], float(queries[place].asked_vector.to_numpy() @ np.asarray(vector))
            evidence = READ_MEANING * passage.asked + READ_TERMS * passage.coverage + READ_SENTENCE * nearness
            told[place] = replace(passage, evidence=max(told[place].evidence, evidence))
    return told


def _telling_sentences(text: str, weights: dict[int, float]) -> list[str]:
    """The sentences with most of what was asked, of which the rarer terms count more; the earlier ones of equals."""
    sentences = [sentence.text for sentence in split_sentences(text)]
    if len(sentences) > READ_SENTENCES:
        sentences.sort(key=lambda sentence: _coverage(sentence, (), weights), reverse=True)
    return sentences[:READ_SENTENCES]


def _json(value: Any) -> Any:
    """A raw cursor hands JSON over as text."""
    return json.loads(value) if isinstance(value, str) else value


def _without_repeats(found: Iterable[_Found], count: int) -> list[_Found]:
    """The first `count`, of passages with nearly the same text only the best: a repeat would crowd another one out."""
    kept: list[_Found] = []
    seen: list[set[tuple[str, ...]]] = []
    for one in found:
        if len(kept) == count:
            break
        shingles = _shingles(one.row[4])
        if any(len(shingles & other) >= SAME * min(len(shingles), len(other)) for other in seen):
            continue
        seen.append(shingles)
        kept.append(one)
    return kept


def _shingles(text: str) -> set[tuple[str, ...]]:
    """The runs of `SHINGLE` words of a text; a shorter text is one run."""
    words = text.lower().split()
    return {tuple(words[start : start + SHINGLE]) for start in range(max(len(words) - SHINGLE + 1, 1))}
