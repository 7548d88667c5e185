"""A company that is large by a lowered threshold: indexes come and go, and miss nothing that matters."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone
from pgvector import Vector
from pytest_django import Settings

from conftest import Character
from documents import candidates, scale
from documents.candidates import DENSE, LEXICAL, Candidate, Words, find
from documents.chunks import ALL_CHUNKS, replace_chunks
from documents.enums import DocumentStatus
from documents.ingestion.base import Chunk
from documents.ingestion.lexical import idf, term_id
from documents.models import Document, DocumentChunk, LexicalTerm, SearchIndex
from documents.retrieval import NO_FILTERS, Filters
from documents.scale import TERMS, VectorIndex, tend_indexes

MODEL, DIMENSIONS, LIMIT = "a-model", 32, 20
DOCUMENTS, CHUNKS = 30, 20
COMMON, RARE = "pump", tuple(f"part{number}" for number in range(60))
TYPES = ("txt", "pdf", "html")


@pytest.fixture
def large(in_acme: Character, settings: Settings) -> Character:
    """600 chunks in 40 clusters; each holds a common word, and some rare ones several times."""
    settings.EXACT_SEARCH_UP_TO = 200
    source, dice = np.random.default_rng(7), random.Random(7)
    centres = source.normal(size=(40, DIMENSIONS))
    for number in range(DOCUMENTS):
        document = Document.objects.create(
            agent=in_acme.agent,
            original_filename=f"{number}.txt",
            status=DocumentStatus.PROCESSED,
            document_type=TYPES[number % 3],
            tags=[tag for tag, share in (("most", 0.8), ("few", 0.1)) if dice.random() < share],
            metadata={"group": number % 7},
            chunk_count=CHUNKS,
        )
        vectors = [_unit(centres[dice.randrange(40)] + source.normal(size=DIMENSIONS) * 0.4) for _ in range(CHUNKS)]
        texts = [" ".join([COMMON, *dice.choices(RARE, k=6)]) for _ in range(CHUNKS)]
        chunks = [Chunk(n, text, {"type": "lines", "start": n, "end": n}, word_count=7) for n, text in enumerate(texts)]
        replace_chunks(document, chunks, vectors, MODEL)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no index is built while rows are to be checked
    return in_acme


def _unit(vector: Any) -> list[float]:
    unit: list[float] = (vector / np.linalg.norm(vector)).tolist()
    return unit


def _search(who: Character, seed: int, filters: Filters = NO_FILTERS, *terms: str) -> list[Candidate]:
    """By a vector made from the seed, and by words."""
    vector = Vector(_unit(np.random.default_rng(seed).normal(size=DIMENSIONS)))
    ids = [term_id(term) for term in terms or (COMMON, RARE[seed % 60], RARE[seed % 59])]
    known = dict(LexicalTerm.objects.filter(term__in=[ALL_CHUNKS, *ids]).values_list("term", "chunk_count"))
    total = known.pop(ALL_CHUNKS, 0)
    parameters = {
        "vector": vector.to_text(),
        "asked": vector.to_text(),
        "dimensions": DIMENSIONS,
        "agent": who.agent.pk,
        "datasets": [],
        "indexes": list(SearchIndex.objects.filter(agent=who.agent).values_list("pk", flat=True)),
        "model": MODEL,
        "limit": LIMIT,
        **filters.parameters(),
    }
    return find(parameters, Words({term: idf(known.get(term, 0), total) for term in ids}, known, total))


def _legs(rows: list[Candidate]) -> tuple[set[Any], list[float]]:
    """The best by meaning, and the scores of the best by words: of equal scores it may be any."""
    nearest = sorted(rows, key=lambda row: (-row[DENSE], row[0]))[:LIMIT]
    return {row[0] for row in nearest}, [round(score, 5) for score in sorted(row[LEXICAL] for row in rows)[-LIMIT:]]


def _indexes() -> dict[str, bool]:
    return scale._indexes()


def _use_indexes() -> None:
    """A planner that has seen only 600 rows would rather read them all."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")


def test_indexes_come_when_a_company_is_large_and_go_when_it_is_small(large: Character, settings: Settings) -> None:
    settings.EXACT_SEARCH_UP_TO = 600
    tend_indexes()
    assert _indexes() == {}
    settings.EXACT_SEARCH_UP_TO = 599
    tend_indexes()
    both = {TERMS: True, VectorIndex(MODEL, DIMENSIONS).name: True}
    assert _indexes() == both
    settings.EXACT_SEARCH_UP_TO = 1199  # somewhat too small is no reason to build and drop all the time
    tend_indexes()
    assert _indexes() == both
    settings.EXACT_SEARCH_UP_TO = 1200
    tend_indexes()
    assert _indexes() == {}


def test_an_index_whose_builder_died_is_built_anew(large: Character) -> None:
    tend_indexes()
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [TERMS])
    assert _indexes()[TERMS] is False
    tend_indexes()
    assert _indexes()[TERMS] is True


def test_indexes_find_what_comparing_everything_finds(large: Character, settings: Settings) -> None:
    settings.EXACT_SEARCH_UP_TO = 1000
    exact = [_legs(_search(large, seed)) for seed in range(40)]
    settings.EXACT_SEARCH_UP_TO = 200
    tend_indexes()
    _use_indexes()
    found = [_legs(_search(large, seed)) for seed in range(40)]
    recall = [len(here[0] & there[0]) / LIMIT for here, there in zip(found, exact, strict=True)]
    assert min(recall) >= 0.9
    assert sum(recall) / len(recall) >= 0.98
    assert [words for _, words in found] == [words for _, words in exact]  # that index misses nothing


def test_common_words_alone_are_searched_for_too(large: Character, settings: Settings) -> None:
    tend_indexes()
    _use_indexes()
    assert len(_legs(_search(large, 1, NO_FILTERS, COMMON))[1]) == LIMIT


def test_a_search_through_the_indexes_is_told_by_its_plan(large: Character) -> None:
    tend_indexes()
    _use_indexes()
    plans = []

    def explain(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if sql == candidates._INDEXED:
            with connection.connection.cursor() as cursor:
                plans.append("\n".join(row[0] for row in cursor.execute(f"EXPLAIN {sql}", parameters)))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(explain):
        _search(large, 1, NO_FILTERS, *RARE[:3])
    assert f"Index Scan using {VectorIndex(MODEL, DIMENSIONS).name}" in plans[0]
    assert f"Bitmap Index Scan on {TERMS}" in plans[0]


def test_no_filter_makes_a_search_short(large: Character) -> None:
    tend_indexes()
    _use_indexes()
    dice = random.Random(3)
    documents = list(Document.objects.all())
    for seed in range(100):
        filters = Filters(
            tags=dice.choice([(), (), ("most",), ("few",)]),
            document_types=dice.sample(TYPES, dice.randrange(3)),
            document_ids=[one.pk for one in dice.sample(documents, dice.choice([0, 0, 0, 1, 20]))],
            metadata={"group": dice.randrange(8)} if dice.random() < 0.3 else {},
        )
        matching = sum(CHUNKS for one in documents if _matches(one, filters))
        rows = _search(large, seed, filters)
        assert len(_legs(rows)[0]) == min(LIMIT, matching), filters


def _matches(document: Document, filters: Filters) -> bool:
    return (
        set(filters.tags) <= set(document.tags)
        and (not filters.document_types or document.document_type in filters.document_types)
        and (not filters.document_ids or document.pk in filters.document_ids)
        and filters.metadata.items() <= document.metadata.items()
    )


def test_chunks_that_are_switched_off_do_not_make_a_search_short(large: Character) -> None:
    tend_indexes()
    _use_indexes()
    kept = large.agent.documents.all()[:2].values("pk")
    DocumentChunk.objects.exclude(document__in=kept).update(archived_at=timezone.now())
    assert len(_legs(_search(large, 1))[0]) == LIMIT
