"""The chunks that may answer a query: the best by meaning and the best by words, each leg with its scores.

In a space of up to `EXACT_SEARCH_UP_TO` chunks every one is compared. In a larger one the nearest vectors come from an
approximate index, and the best by words from an index of terms, which misses none (docs/adr/0023).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from pgvector import SparseVector

from documents.models import LEXICAL_DIMENSIONS
from documents.scale import VectorIndex

# A chunk's id, its document's id, name and address, its content, headings and locator, then the scores: cosine to the
# query, BM25, cosine to what was asked; last its place in the document.
Candidate = tuple[Any, ...]
DENSE, LEXICAL = 7, 8

# Of the index of vectors: how many it keeps in sight, how many it may look at (all, if it must), and memory for that.
EF_SEARCH, MOST_TUPLES, MEMORY, WORK_MEMORY = 200, 2_000_000_000, 2, "32MB"
# How many chunks the rarest terms of a query are looked up in at first: most often the best are among them.
FIRST_TERMS = 4000

_DOCUMENTS = """(document.agent_id = %(agent)s OR document.dataset_id = ANY(%(datasets)s))
      AND document.archived_at IS NULL AND document.status = 'processed'
      AND (%(tags)s::varchar[] IS NULL OR document.tags @> %(tags)s::varchar[])
      AND (%(documents)s::uuid[] IS NULL OR document.id = ANY(%(documents)s::uuid[]))
      AND (%(types)s::text[] IS NULL OR document.document_type = ANY(%(types)s::text[]))
      AND (%(wanted_datasets)s::uuid[] IS NULL OR document.dataset_id = ANY(%(wanted_datasets)s::uuid[]))
      AND (%(metadata)s::jsonb IS NULL OR document.metadata @> %(metadata)s::jsonb)"""
_COMPARABLE = """chunk.search_index_id = ANY(%(indexes)s::uuid[])
      AND chunk.archived_at IS NULL AND chunk.embedding_model = %(model)s
      AND vector_dims(chunk.embedding) = %(dimensions)s"""
_CHUNKS = f"""documents_documentchunk AS chunk
    JOIN documents_document AS document ON document.id = chunk.document_id
    WHERE {_DOCUMENTS} AND {_COMPARABLE}"""
_DENSE = "1 - (chunk.embedding <=> %(vector)s::vector)"
_LEXICAL = "-(chunk.lexical <#> %(lexical)s::sparsevec)"
_COLUMNS = f"""chunk.id, chunk.document_id, coalesce(nullif(document.title, ''), document.original_filename),
       document.source_url, chunk.content, chunk.headings, chunk.locator, {_DENSE}, {_LEXICAL},
       1 - (chunk.embedding <=> %(asked)s::vector), chunk.index"""
_BEST = """best
JOIN documents_documentchunk AS chunk ON chunk.id = best.id
JOIN documents_document AS document ON document.id = chunk.document_id"""
_EXACT = f"""
WITH scored AS MATERIALIZED (
    SELECT chunk.id, {_DENSE} AS dense, {_LEXICAL} AS lexical
    FROM {_CHUNKS}
), best AS (
    (SELECT id FROM scored ORDER BY dense DESC, id LIMIT %(limit)s)
    UNION
    (SELECT id FROM scored WHERE lexical > 0 ORDER BY lexical DESC, id LIMIT %(limit)s)
)
SELECT {_COLUMNS} FROM {_BEST}"""  # noqa: S608  # fragments of this module
# Both legs come from an index. The order of the vectors' is that of numbers of half the size: it is made exact here.
# The terms of a chunk are never taken out of it here: that costs more than all else, and so only the index has them.
# Whether a document is wanted is asked of a hash table, row by row as the indexes hand them out: as a join, it would be
# for the planner to say in which order, and with a long list of documents it has chosen seconds.
_WANTED = "(chunk.document_id IN (SELECT id FROM wanted)) IS TRUE"
_INDEXED = f"""
WITH wanted AS MATERIALIZED (
    SELECT document.id FROM documents_document AS document WHERE {_DOCUMENTS}
), near AS MATERIALIZED (
    SELECT chunk.id, chunk.embedding
    FROM documents_documentchunk AS chunk
    WHERE {_COMPARABLE} AND {_WANTED}
    ORDER BY chunk.embedding::halfvec(%(dimensions)s) <=> %(vector)s::halfvec(%(dimensions)s) LIMIT 2 * %(limit)s
), worded AS MATERIALIZED (
    SELECT chunk.id, {_LEXICAL} AS lexical
    FROM documents_documentchunk AS chunk
    WHERE {_COMPARABLE} AND {_WANTED} AND public.lexical_terms(chunk.lexical) && %(terms)s::integer[]
), best AS (
    (SELECT id FROM near AS chunk ORDER BY {_DENSE} DESC, id LIMIT %(limit)s)
    UNION
    (SELECT id FROM worded WHERE lexical > 0 ORDER BY lexical DESC, id LIMIT %(limit)s)
)
SELECT {_COLUMNS}, (SELECT count(*) FROM near) FROM {_BEST}"""  # noqa: S608  # fragments of this module
# JIT compiles, and other workers start, for longer than they save; with less memory terms would be taken out of chunks.
_SETTINGS = f"""
SET LOCAL hnsw.ef_search = {EF_SEARCH};
SET LOCAL hnsw.iterative_scan = relaxed_order;
SET LOCAL hnsw.max_scan_tuples = {MOST_TUPLES};
SET LOCAL hnsw.scan_mem_multiplier = {MEMORY};
SET LOCAL work_mem = '{WORK_MEMORY}';
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL jit = off
"""
_REACH = f"""
SELECT coalesce(sum(document.chunk_count), 0),
       EXISTS (
           SELECT FROM pg_index WHERE indrelid = 'documents_documentchunk'::regclass AND indisvalid
           AND indexrelid = to_regclass(%(index)s)
       )
FROM documents_document AS document
WHERE {_DOCUMENTS}
"""  # noqa: S608  # fragments of this module


@dataclass(frozen=True, slots=True)
class Words:
    """A query's terms: the inverse document frequency of each, in how many chunks of the company it stands, of all."""

    weights: Mapping[int, float]
    frequencies: Mapping[int, int]
    total: int

    def rarest(self, chunks: int) -> list[int]:
        """The rarest of them that stand in so many chunks together; all, where that is not so many."""
        found, reached = [], 0
        for term in sorted(self.weights, key=lambda term: self.frequencies.get(term, 0)):
            if reached >= chunks:
                break
            found.append(term)
            reached += self.frequencies.get(term, 0)
        return found

    def enough_for(self, score: float) -> list[int]:
        """The rarest of them: a chunk that holds none of these scores less, for no term's share exceeds its weight."""
        found, left = [], sum(self.weights.values())
        for term in sorted(self.weights, key=lambda term: self.frequencies.get(term, 0)):
            if left <= score:
                break
            found.append(term)
            left -= self.weights[term]
        return found


def find(parameters: dict[str, Any], words: Words) -> list[Candidate]:
    """The best `limit` of each leg, in no order. `parameters` are those of the statements above."""
    parameters |= {"lexical": SparseVector(dict(words.weights), LEXICAL_DIMENSIONS).to_text()}
    with connection.cursor() as cursor:
        if words.total > settings.EXACT_SEARCH_UP_TO and (found := _indexed(cursor, parameters, words)) is not None:
            return found
        return _rows(cursor, _EXACT, parameters)


def _indexed(cursor: CursorWrapper, parameters: dict[str, Any], words: Words) -> list[Candidate] | None:
    """None: there is no index, or so few chunks are in question that all of them are better compared."""
    limit = parameters["limit"]
    index = VectorIndex(parameters["model"], parameters["dimensions"])
    [(matching, is_indexed)] = _rows(cursor, _REACH, parameters | {"index": index.name})
    if not is_indexed or matching <= settings.EXACT_SEARCH_UP_TO:
        return None
    terms = words.rarest(FIRST_TERMS)
    with transaction.atomic():
        cursor.execute(_SETTINGS)
        rows = _rows(cursor, _INDEXED, parameters | {"terms": terms})
        scores = sorted((row[LEXICAL] for row in rows), reverse=True)
        needed = words.enough_for(scores[limit - 1] if len(scores) >= limit else 0.0)
        if len(needed) > len(terms):
            rows = _rows(cursor, _INDEXED, parameters | {"terms": needed})
    # Fewer near ones than there are documents for: many chunks are switched off, or the index has given up.
    if not rows or rows[0][-1] < limit:
        return None
    return [row[:-1] for row in rows]


def _rows(cursor: CursorWrapper, statement: str, parameters: dict[str, Any]) -> list[Candidate]:
    cursor.execute(statement, parameters)
    found: list[Candidate] = cursor.fetchall()
    return found
