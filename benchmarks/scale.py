"""A large company's retrieval: what its indexes miss, what filters do to them, what the product adds to its SQL.

`SCALE_CHUNKS` and `SCALE_FILTERS` name other numbers than 20000,200000 chunks and 10000 filters.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection
from psycopg import ClientCursor

from agents.models import Agent
from benchmarks import corpora
from benchmarks.companies import new_company
from benchmarks.corpora import Corpus, Vectors
from benchmarks.grown import CHUNKS_A_DOCUMENT, GROUPS, SEED, TAGS, TYPES, Grown, grow
from benchmarks.report import Row, at_least, at_most, milliseconds
from documents import retrieval
from documents.candidates import LEXICAL, Candidate
from documents.models import Document
from documents.retrieval import CANDIDATES, NO_FILTERS, Filters, retrieve
from documents.scale import tend_indexes
from knowrithm.llm.providers.builtin import MiniLMEmbedder
from knowrithm.llm.providers.sentences import split_sentences

SIZES = [int(size) for size in os.environ.get("SCALE_CHUNKS", "20000,200000").split(",")]
FILTERS = int(os.environ.get("SCALE_FILTERS", "10000"))
SET = "msmarco"
QUERIES, EXACT_QUERIES, TIMED_QUERIES = 200, 20, 50
DEPTH = 10
CLOSE = 1e-5  # similarities that do not differ by more are those of equals: vectors are kept with five digits


def run() -> list[Row]:
    corpus = corpora.load(SET)
    if corpus is None:
        return [Row(SET, corpora.ABSENT)]
    queries = [*corpus.queries.values(), *_sentences(corpus)][:QUERIES]
    rows: list[Row] = []
    for size in SIZES:
        with new_company() as agent:
            rows += _measure(agent, grow(agent, corpus, size), queries)
    return rows


def _sentences(corpus: Corpus) -> list[str]:
    """Asked for as well: the set has few questions."""
    chosen = random.Random(SEED).sample(list(corpus.entries), QUERIES)
    return [max((one.text for one in split_sentences(entry.text)), key=len, default=entry.text) for entry in chosen]


class _Searches:
    """Questions that are embedded already, to be searched for in both ways."""

    def __init__(self, agent: Agent, queries: Sequence[str]) -> None:
        [self.space] = retrieval._spaces(agent, NO_FILTERS)
        self.prepared = [retrieval._prepare(query, query, self.space) for query in queries]

    def __len__(self) -> int:
        return len(self.prepared)

    def candidates(self, number: int, filters: Filters = NO_FILTERS) -> list[Candidate]:
        return retrieval._candidates(self.space, self.prepared[number], filters)

    def exact(self, number: int) -> list[Candidate]:
        usual, settings.EXACT_SEARCH_UP_TO = settings.EXACT_SEARCH_UP_TO, 10**9
        try:
            return self.candidates(number)
        finally:
            settings.EXACT_SEARCH_UP_TO = usual


def _measure(agent: Agent, grown: Grown, queries: Sequence[str]) -> list[Row]:
    size = len(grown.chunk_ids)
    name, goal = f"{size:,} chunks", 1.0 if size <= settings.EXACT_SEARCH_UP_TO else 0.98
    started = time.perf_counter()
    tend_indexes()
    built = time.perf_counter() - started
    searches = _Searches(agent, queries)
    found = [searches.candidates(number) for number in range(len(searches))]
    asked = np.array([one.vector.to_list() for one in searches.prepared], dtype=np.float32)
    return [
        Row(f"{name}: making the indexes", f"{built:.0f} s"),
        at_least(f"{name}: recall@{DEPTH} by meaning", _recall(grown, asked, found, DEPTH), goal),
        at_least(f"{name}: recall@{CANDIDATES} by meaning", _recall(grown, asked, found, CANDIDATES), goal),
        at_least(f"{name}: recall@{CANDIDATES} by words", _recall_by_words(searches, found), goal),
        *_times(name, agent, queries, searches),
        at_most(f"{name}: short results of {FILTERS:,} random filters", _short_results(grown, searches), 0, ""),
    ]


def _recall(grown: Grown, asked: Vectors, found: Sequence[Sequence[Candidate]], depth: int) -> float:
    """The share of the nearest chunks, by comparing all of them here, that are among the candidates."""
    place = {chunk: number for number, chunk in enumerate(grown.chunk_ids)}
    shares = []
    for vector, rows in zip(asked, found, strict=True):
        similarities = grown.vectors @ vector
        least = np.partition(similarities, -depth)[-depth] - CLOSE
        hits = sum(similarities[place[row[0]]] >= least for row in rows)
        shares.append(min(hits, depth) / depth)
    return statistics.fmean(shares)


def _recall_by_words(searches: _Searches, found: Sequence[Sequence[Candidate]]) -> float:
    """Against comparing all chunks in the database. Chunks of equal scores are as good as each other."""
    shares = []
    for number in range(EXACT_QUERIES):
        best = sorted((row[LEXICAL] for row in searches.exact(number)), reverse=True)[:CANDIDATES]
        hits = sum(row[LEXICAL] >= best[-1] - CLOSE for row in found[number])
        shares.append(min(hits, len(best)) / len(best))
    return statistics.fmean(shares)


def _times(name: str, agent: Agent, queries: Sequence[str], searches: _Searches) -> list[Row]:
    """The whole retrieval but for the embedder's own time, beside the same statements through psycopg."""
    whole, bare, exact = [], [], []
    embedding = _EmbedderTime()
    for query in queries[:TIMED_QUERIES]:
        statements: list[tuple[str, Any]] = []

        def listen(execute: Any, sql: str, parameters: Any, many: bool, context: Any, told: Any = statements) -> Any:
            told.append((sql, parameters))
            return execute(sql, parameters, many, context)

        with connection.execute_wrapper(listen):
            retrieve(agent, query, question=query)
        with embedding:
            started = time.perf_counter()
            retrieve(agent, query, question=query)
            whole.append(time.perf_counter() - started - embedding.seconds)
        bare.append(_run(statements))
    for number in range(EXACT_QUERIES):
        started = time.perf_counter()
        searches.exact(number)
        exact.append(time.perf_counter() - started)
    return [
        Row(f"{name}: retrieve(), embedder left out", milliseconds(whole)),
        Row(f"{name}: the same SQL through psycopg", milliseconds(bare)),
        at_most(f"{name}: retrieve() / SQL", statistics.median(whole) / statistics.median(bare), 1.5, "×"),
        Row(f"{name}: candidates by comparing every chunk", milliseconds(exact)),
    ]


class _EmbedderTime:
    """Seconds spent in the built-in embedder, within a block."""

    def __enter__(self) -> None:
        self.seconds = 0.0
        self._usual = MiniLMEmbedder.embed_query

        def timed(model: MiniLMEmbedder, text: str) -> list[float]:
            started = time.perf_counter()
            vector = self._usual(model, text)
            self.seconds += time.perf_counter() - started
            return vector

        MiniLMEmbedder.embed_query = timed  # type: ignore[method-assign, assignment]  # to be timed, and put back

    def __exit__(self, *_: object) -> None:
        MiniLMEmbedder.embed_query = self._usual  # type: ignore[method-assign]  # as it was


def _run(statements: Sequence[tuple[str, Any]]) -> float:
    """Seconds, on the same connection, whose schema is set."""
    raw = connection.connection
    started = time.perf_counter()
    with raw.transaction(), ClientCursor(raw) as cursor:
        for sql, parameters in statements:
            cursor.execute(sql, parameters)
            if cursor.description:
                cursor.fetchall()
    return time.perf_counter() - started


def _short_results(grown: Grown, searches: _Searches) -> int:
    """Of so many searches with random filters, how many brought fewer than there are."""
    dice = random.Random(SEED)
    short = 0
    for number in range(FILTERS):
        filters = _random_filters(grown, dice)
        chosen = set(filters.document_ids)
        documents = [one for one in grown.documents if not chosen or one.pk in chosen]
        matching = CHUNKS_A_DOCUMENT * sum(_matches(document, filters) for document in documents)
        rows = searches.candidates(number % len(searches), filters)
        short += len(rows) < min(CANDIDATES, matching)
    return short


def _random_filters(grown: Grown, dice: random.Random) -> Filters:
    """One to three conditions, from most documents down to none."""
    chosen = dice.sample(("tags", "documents", "types", "metadata"), dice.randint(1, 3))
    some = dice.choice((1, 5, len(grown.documents) // 10, len(grown.documents) // 2))
    return Filters(
        tags=dice.sample(list(TAGS), dice.choice((1, 1, 2))) if "tags" in chosen else (),
        document_ids=[one.pk for one in dice.sample(grown.documents, some)] if "documents" in chosen else (),
        document_types=dice.sample(TYPES, dice.randint(1, 3)) if "types" in chosen else (),
        metadata={"group": dice.randrange(GROUPS + 1)} if "metadata" in chosen else {},
    )


def _matches(document: Document, filters: Filters) -> bool:
    return (
        set(filters.tags) <= set(document.tags)
        and (not filters.document_types or document.document_type in filters.document_types)
        and filters.metadata.items() <= document.metadata.items()
    )
