"""Writing chunks, and the counts that BM25 needs beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from django.db import connection
from pgvector import SparseVector, Vector

from documents.ingestion.base import Chunk
from documents.ingestion.lexical import term_id, term_weights, terms
from documents.models import LEXICAL_DIMENSIONS, Document, DocumentChunk, LexicalTerm

ALL_CHUNKS = 0  # the "term" whose row counts every chunk
# Until a company has enough chunks of its own to know their average length, in terms.
ASSUMED_LENGTH, ENOUGH_CHUNKS = 110.0, 100


def replace_chunks(
    document: Document, chunks: Sequence[Chunk], vectors: Sequence[Sequence[float]], embedding_model: str
) -> None:
    """Make `chunks` the document's only ones. Call inside the transaction that finishes the job."""
    _remove_all(document)
    average = _average_length()
    texts = [" ".join((*chunk.headings, chunk.text)) for chunk in chunks]
    rows = [
        DocumentChunk(
            document=document,
            index=chunk.index,
            content=chunk.text,
            headings=list(chunk.headings),
            locator=dict(chunk.locator),
            word_count=chunk.word_count,
            embedding=Vector(list(vector)),
            embedding_model=embedding_model,
            lexical=SparseVector(term_weights(text, average_length=average), LEXICAL_DIMENSIONS),
        )
        for chunk, vector, text in zip(chunks, vectors, texts, strict=True)
    ]
    DocumentChunk.objects.bulk_create(rows, batch_size=500)
    _count_terms(texts, +1)


def _remove_all(document: Document) -> None:
    old = list(document.chunks.values_list("content", "headings"))
    if old:
        document.chunks.all().delete()
        _count_terms([" ".join((*headings, content)) for content, headings in old], -1)


def _average_length() -> float:
    row = LexicalTerm.objects.filter(term=ALL_CHUNKS).first()
    if row is None or row.chunk_count < ENOUGH_CHUNKS:
        return ASSUMED_LENGTH
    return max(row.word_total / row.chunk_count, 1.0)


def _count_terms(texts: Iterable[str], sign: int) -> None:
    frequencies: Counter[int] = Counter()
    chunk_count = word_total = 0
    for text in texts:
        found = terms(text)
        frequencies.update({term_id(term) for term in found})
        chunk_count += 1
        word_total += len(found)
    if not chunk_count:
        return
    # One statement, in the order of the terms: two documents finishing at once wait for each other, never deadlock.
    ordered = sorted(frequencies.items())
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO documents_lexicalterm AS known (term, chunk_count, word_total)
            SELECT * FROM unnest(%s::int[], %s::int[], %s::bigint[])
            ON CONFLICT (term) DO UPDATE
            SET chunk_count = known.chunk_count + excluded.chunk_count,
                word_total = known.word_total + excluded.word_total
            """,
            [
                [ALL_CHUNKS, *(term for term, _ in ordered)],
                [sign * chunk_count, *(sign * count for _, count in ordered)],
                [sign * word_total, *(0 for _ in ordered)],
            ],
        )
