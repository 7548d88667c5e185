"""Finding the passages that bear on a question: by meaning and by words, and how sure that is.

Two legs over the agent's live chunks, both exact: cosine over embeddings, and BM25 as an inner product of sparse
vectors. Their scores are normalised and combined convexly, which beats rank fusion in and out of domain. Whether
there is evidence at all is decided here, from the scores, never by asking a model.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from pgvector import SparseVector, Vector

from agents.models import Agent
from documents.chunks import ALL_CHUNKS
from documents.ingestion.lexical import idf, term_id, terms
from documents.ingestion.locators import describe
from documents.models import LEXICAL_DIMENSIONS, LexicalTerm
from knowrithm.llm.base import Embedder
from knowrithm.llm.registry import embedder

CANDIDATES = 60  # of each leg
DENSE_WEIGHT = 0.5
# Calibrated on questions with and without an answer in the corpus (benchmarks/retrieval.py): see `evidence`.
EVIDENCE_THRESHOLD = 0.42


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved chunk. `score` is the fused one, from 0 to 1 within one search; the others explain it.

    `dense` is the cosine similarity, `lexical` the BM25 score, `evidence` an absolute measure from 0 to 1 of how much
    the passage speaks of what was asked: comparable between searches.
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

    @property
    def locator_label(self) -> str:
        return describe(self.locator)


@dataclass(frozen=True, slots=True)
class _Query:
    vector: Vector
    weights: dict[int, float]  # inverse document frequency by term id
    model: str

    @property
    def lexical(self) -> SparseVector:
        return SparseVector(self.weights, LEXICAL_DIMENSIONS)


def retrieve(agent: Agent, query: str, *, top_k: int = 8) -> list[Passage]:
    """The `top_k` best passages of the agent's documents, best first; empty when it has none."""
    model = embedder(agent.llm_settings.embedding_config())
    prepared = _prepare(query, model)
    rows = _candidates(agent.id, prepared)
    if not rows:
        return []
    best = sorted(_fuse(rows, prepared), key=lambda passage: passage.score, reverse=True)
    return _without_repeats(best)[:top_k]


def has_evidence(passages: Sequence[Passage], threshold: float = EVIDENCE_THRESHOLD) -> bool:
    return any(passage.evidence >= threshold for passage in passages)


def _prepare(query: str, model: Embedder) -> _Query:
    ids = {term_id(term) for term in terms(query)}
    known = dict(LexicalTerm.objects.filter(term__in=[ALL_CHUNKS, *ids]).values_list("term", "chunk_count"))
    total = known.get(ALL_CHUNKS, 0)
    weights = {identifier: idf(known.get(identifier, 0), total) for identifier in ids}
    return _Query(Vector(model.embed_query(query)), weights, model.name)


_CANDIDATES_SQL = """
WITH scored AS MATERIALIZED (
    SELECT chunk.id, chunk.document_id,
           1 - (chunk.embedding <=> %(vector)s) AS dense,
           -(chunk.lexical <#> %(lexical)s) AS lexical
    FROM documents_documentchunk AS chunk
    JOIN documents_document AS document ON document.id = chunk.document_id
    WHERE document.agent_id = %(agent)s AND document.archived_at IS NULL AND document.status = 'processed'
      AND chunk.archived_at IS NULL AND chunk.embedding_model = %(model)s
), best AS (
    (SELECT * FROM scored ORDER BY dense DESC, id LIMIT %(limit)s)
    UNION
    (SELECT * FROM scored WHERE lexical > 0 ORDER BY lexical DESC, id LIMIT %(limit)s)
)
SELECT best.id, best.document_id, coalesce(nullif(document.title, ''), document.original_filename),
       document.source_url, chunk.content, chunk.headings, chunk.locator, best.dense, best.lexical
FROM best
JOIN documents_documentchunk AS chunk ON chunk.id = best.id
JOIN documents_document AS document ON document.id = best.document_id
"""


def _candidates(agent_id: uuid.UUID, query: _Query) -> list[tuple[Any, ...]]:
    """The best of each leg, with both scores. One exact scan: up to some 20,000 chunks faster than any index."""
    parameters: Any = {
        "vector": query.vector,
        "lexical": query.lexical,
        "agent": agent_id,
        "model": query.model,
        "limit": CANDIDATES,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CANDIDATES_SQL, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _fuse(rows: Sequence[tuple[Any, ...]], query: _Query) -> list[Passage]:
    dense_scores = [row[7] for row in rows]
    low, high = min(dense_scores), max(dense_scores)
    best_lexical = max(row[8] for row in rows) or 1.0
    asked = sum(query.weights.values())
    passages = []
    for chunk, document, name, url, content, headings, locator, dense, lexical in rows:
        normal_dense = (dense - low) / (high - low) if high > low else 1.0
        score = DENSE_WEIGHT * normal_dense + (1 - DENSE_WEIGHT) * max(lexical, 0.0) / best_lexical
        evidence = _evidence(dense, _coverage(content, headings, query.weights, asked))
        passages.append(
            Passage(
                chunk, document, name, url, content, tuple(_json(headings)), _json(locator),
                score, dense, max(lexical, 0.0), evidence,
            )
        )  # fmt: skip
    return passages


def _coverage(content: str, headings: Any, weights: dict[int, float], asked: float) -> float:
    """What share of the question's terms, weighed by their rarity, the passage contains."""
    if not asked:
        return 0.0
    present = {term_id(term) for term in terms(" ".join((*_json(headings), content)))}
    return sum(weight for identifier, weight in weights.items() if identifier in present) / asked


def _evidence(dense: float, coverage: float) -> float:
    return 0.6 * max(dense, 0.0) + 0.4 * coverage


def _json(value: Any) -> Any:
    """A raw cursor hands JSON over as text."""
    return json.loads(value) if isinstance(value, str) else value


def _without_repeats(passages: Sequence[Passage]) -> list[Passage]:
    """Of passages with the same text only the best."""
    seen: set[str] = set()
    kept = []
    for passage in passages:
        text = " ".join(passage.content.lower().split())
        if text not in seen:
            seen.add(text)
            kept.append(passage)
    return kept
