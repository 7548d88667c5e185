"""Indexes of a large company's chunks: one of vectors for each embedding model, and one of terms (docs/adr/0023).

Up to `EXACT_SEARCH_UP_TO` chunks of a model, comparing a query with every chunk misses nothing and is quick. A company
that has more gets indexes, built in the background beside its work, and loses them when it has become small.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db import connection

from documents.chunks import ALL_CHUNKS
from documents.models import DocumentChunk, LexicalTerm
from knowrithm.db.schema import schema_name

log = structlog.get_logger(__name__)

TABLE = DocumentChunk._meta.db_table
VECTORS, TERMS = "chunk_vectors_", "chunk_terms"  # the beginning of names, and a name
# Numbers of half the size make half the index, and have more dimensions at most. The order is made exact afterwards.
MOST_DIMENSIONS = 4000
KEPT_ABOVE = 0.5  # of the number from which an index is built
BUILD_MEMORY = "1GB"  # taken as needed, about 1.5 kB a chunk of 384 dimensions; without enough a build takes hours
LOCK = 0x6B6E6F78


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """Of the chunks whose vectors are of this model and length."""

    model: str
    dimensions: int

    @property
    def name(self) -> str:
        digest = hashlib.blake2b(f"{self.model}\0{self.dimensions}".encode(), digest_size=12)
        return f"{VECTORS}{digest.hexdigest()}"


def tend_indexes() -> None:
    """Build what the current company needs, drop what it does not. Takes minutes for 200,000 chunks."""
    if not _indexes() and not _may_be_large():
        return
    with _alone() as is_alone:
        if is_alone:  # else another worker is at it
            _tend()


def _may_be_large() -> bool:
    total = LexicalTerm.objects.filter(term=ALL_CHUNKS).values_list("chunk_count", flat=True).first() or 0
    return total > settings.EXACT_SEARCH_UP_TO


def _tend() -> None:
    enough = settings.EXACT_SEARCH_UP_TO
    sizes = {index: size for index, size in _sizes() if index.dimensions <= MOST_DIMENSIONS}
    kept = {index.name for index, size in sizes.items() if size > enough * KEPT_ABOVE}
    wanted = [index for index, size in sizes.items() if size > enough]
    found = _indexes()
    for name, is_valid in found.items():
        if not is_valid or (name not in kept and not (kept and name == TERMS)):  # its builder died, or it is too much
            _run(f'DROP INDEX {_concurrently()} "{name}"')
            log.info("chunk_index_dropped", index=name)
    with _building():
        if wanted and not found.get(TERMS):
            _build(TERMS, "gin (public.lexical_terms(lexical))")
        for index in wanted:
            if not found.get(index.name):
                _build(
                    index.name,
                    f"hnsw ((embedding::halfvec({index.dimensions})) halfvec_cosine_ops)"
                    f" WHERE embedding_model = %s AND vector_dims(embedding) = {index.dimensions}",
                    index.model,
                )


def _build(name: str, definition: str, *parameters: str) -> None:
    _run(f'CREATE INDEX {_concurrently()} "{name}" ON {TABLE} USING {definition}', *parameters)
    _run(f"ANALYZE {TABLE}")  # how often each term occurs is known by the index's own statistics
    log.info("chunk_index_built", index=name)


@contextmanager
def _building() -> Iterator[None]:
    # One process: the other cores answer questions meanwhile, and several would need shared memory for all of it.
    _run(f"SET maintenance_work_mem = '{BUILD_MEMORY}'; SET max_parallel_maintenance_workers = 0")
    try:
        yield
    finally:
        _run("RESET maintenance_work_mem; RESET max_parallel_maintenance_workers")


def _indexes() -> dict[str, bool]:
    """The current company's by name, and whether they can be used: not while they are being built."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT class.relname, index.indisvalid FROM pg_index AS index JOIN pg_class AS class"
            " ON class.oid = index.indexrelid"
            " WHERE index.indrelid = %s::regclass AND (class.relname = %s OR starts_with(class.relname, %s))",
            [TABLE, TERMS, VECTORS],
        )
        return dict(cursor.fetchall())


def _sizes() -> list[tuple[VectorIndex, int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT embedding_model, vector_dims(embedding), count(*) FROM {TABLE}"  # noqa: S608  # our own table's name
            " WHERE embedding IS NOT NULL GROUP BY 1, 2"
        )
        return [(VectorIndex(model, dimensions), size) for model, dimensions, size in cursor.fetchall()]


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether no other worker tends this company's indexes. One that is being built looks like one that broke."""
    key: list[int | str] = [LOCK, schema_name()]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", key)
        [is_alone] = cursor.fetchone()
    try:
        yield is_alone
    finally:
        if is_alone:
            _run("SELECT pg_advisory_unlock(%s, hashtext(%s))", *key)


def _concurrently() -> str:
    """Beside the company's work. Within a transaction that cannot be."""
    return "" if connection.in_atomic_block else "CONCURRENTLY"


def _run(statement: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
