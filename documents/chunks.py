"""Writing chunks, and the counts that BM25 needs beside them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest
from numpy.typing import NDArray
from pgvector import SparseVector, Vector

from documents.indexes import count_change, hold_or_make_index, record
from documents.ingestion.base import Chunk
from documents.ingestion.carry import Kept
from documents.ingestion.lexical import term_id, term_weights, terms
from documents.ingestion.sandbox import Chunking
from documents.ingestion.split import count_words
from documents.models import LEXICAL_DIMENSIONS, Document, DocumentChunk, LexicalTerm, SearchIndex
from knowrithm.db.models import ArchivableQuerySet

ALL_CHUNKS = 0  # the "term" whose row counts every chunk
# Until a company has enough chunks of its own to know their average length, in terms.
ASSUMED_LENGTH, ENOUGH_CHUNKS = 110.0, 100
ROWS = 500  # that are written at a time


def replace_chunks(
    document: Document,
    chunks: Sequence[Chunk],
    vectors: Sequence[Sequence[float] | NDArray[np.float32]],
    embedding_model: str,
    *,
    chunking: Chunking | None = None,
) -> None:
    """Make `chunks` the document's only ones that answer. Call inside the transaction that finishes the job.

    A chunk that had been switched off stays so, where the same text was read again. `chunking` is how they were cut, if
    not as the document's home says.
    """
    index = hold_or_make_index(document.home)
    revision = count_change(document)
    switched_off = _by_text(_read_before(document).archived())
    kept = [Kept(chunk, _taken(switched_off, _read_text(chunk)).archived_at) for chunk in chunks]
    write_chunks(index, document, kept, vectors, embedding_model)
    home = document.home
    record(index, document, revision, chunking or Chunking(home.chunk_size, home.chunk_overlap))


def write_chunks(
    index: SearchIndex,
    document: Document,
    kept: Sequence[Kept],
    vectors: Sequence[Sequence[float] | NDArray[np.float32]],
    model_name: str,
) -> None:
    """Make these the document's only chunks in this index."""
    _remove(DocumentChunk.everywhere.filter(document=document, search_index=index))
    average = _average_length()
    rows = (
        DocumentChunk(
            document=document,
            search_index=index,
            index=one.chunk.index,
            content=one.chunk.text,
            headings=list(one.chunk.headings),
            locator=dict(one.chunk.locator),
            word_count=one.chunk.word_count,
            embedding=Vector(np.asarray(vector, dtype=np.float32)),
            embedding_model=model_name,
            lexical=SparseVector(term_weights(_searched(one.chunk), average_length=average), LEXICAL_DIMENSIONS),
            original_content=one.chunk.original,
            archived_at=one.archived_at,
        )
        for one, vector in zip(kept, vectors, strict=True)
    )
    while some := list(itertools.islice(rows, ROWS)):  # never all rows of a long document at once
        DocumentChunk.everywhere.bulk_create(some)
    _count_terms((_searched(one.chunk) for one in kept), +1)


def _searched(chunk: Chunk) -> str:
    return " ".join((*chunk.headings, chunk.text))


def _read_before(document: Document) -> ArchivableQuerySet:
    """The chunks of its last reading; those of the version that it replaces when it has not been read yet."""
    has_been_read = document.replaces_id is None or document.chunks.exists()
    return DocumentChunk.objects.filter(document=document.pk if has_been_read else document.replaces_id)


def kept_chunks(index: SearchIndex, document: Document) -> list[Kept]:
    """The document's chunks in this index, as they stand."""
    rows = DocumentChunk.everywhere.filter(document=document, search_index=index)
    return [
        Kept(
            Chunk(row.index, row.content, row.locator, tuple(row.headings), row.word_count, row.original_content),
            row.archived_at,
        )
        for row in rows.defer("embedding", "lexical").order_by("index")
    ]


def delete_some_chunks(index: SearchIndex, count: int) -> bool:
    """Delete at most so many chunks of an index that does not answer. False: there are none left."""
    with transaction.atomic():
        rows = DocumentChunk.everywhere.filter(search_index=index).order_by("pk")
        ids = list(rows.select_for_update().values_list("pk", flat=True)[:count])
        _remove(DocumentChunk.everywhere.filter(pk__in=ids))
    return bool(ids)


def with_edits(document: Document, chunks: Sequence[Chunk]) -> list[Chunk]:
    """The chunks as a person had edited them, where the text that was edited has been read again."""
    edits = _by_text(_read_before(document).exclude(original_content=None))
    if not edits:
        return list(chunks)
    edited = []
    for chunk in chunks:
        text = _taken(edits, chunk.text).content
        edited.append(replace(chunk, text=text, original=chunk.text, word_count=count_words(text)) if text else chunk)
    return edited


def rewrite_chunk(chunk: DocumentChunk, text: str, vector: Sequence[float]) -> None:
    """Give a chunk another text, embedded by the same model as before; what was read stays beside it."""
    original = chunk.content if chunk.original_content is None else chunk.original_content
    _count_terms([" ".join((*chunk.headings, chunk.content))], -1)
    words = count_words(text)
    word_count = Greatest(F("word_count") + words - chunk.word_count, 0)  # a figure that is off must not stop an edit
    Document.objects.filter(pk=chunk.document_id).update(word_count=word_count)
    searched = " ".join((*chunk.headings, text))
    chunk.content, chunk.word_count = text, words
    chunk.original_content = None if text == original else original
    chunk.embedding = Vector(list(vector))
    chunk.lexical = SparseVector(term_weights(searched, average_length=_average_length()), LEXICAL_DIMENSIONS)
    chunk.save(update_fields=["content", "original_content", "word_count", "embedding", "lexical", "updated_at"])
    _count_terms([searched], +1)


def count_copies(texts: Iterable[str]) -> None:
    """Tell BM25's counts of chunks that were copied as rows, by their headings and content."""
    _count_terms(texts, +1)


def _by_text(rows: QuerySet[DocumentChunk]) -> dict[str, list[DocumentChunk]]:
    """By the text that was read, in the order of the document: a text may stand in it several times."""
    found: dict[str, list[DocumentChunk]] = {}
    for row in rows.defer("embedding", "lexical").order_by("-index"):
        found.setdefault(row.content if row.original_content is None else row.original_content, []).append(row)
    return found


def _taken(rows: dict[str, list[DocumentChunk]], text: str) -> DocumentChunk:
    """The first chunk of this text, which is then no more there for the next one; an empty one where there is none."""
    return rows[text].pop() if rows.get(text) else DocumentChunk()


def _read_text(chunk: Chunk) -> str:
    return chunk.text if chunk.original is None else chunk.original


def remove_chunks(document: Document) -> None:
    """Delete the document's chunks in all indexes, some at a time: a long one's would take much memory."""
    _count_terms(_taken_out(document), -1)


def _taken_out(document: Document) -> Iterator[str]:
    rows = DocumentChunk.everywhere.filter(document=document).order_by("pk")
    while some := list(rows.values_list("pk", "content", "headings")[:ROWS]):
        yield from (" ".join((*headings, content)) for _, content, headings in some)
        DocumentChunk.everywhere.filter(pk__in=[pk for pk, _, _ in some]).only("pk").delete()


def _remove(rows: QuerySet[DocumentChunk]) -> None:
    old = list(rows.values_list("content", "headings"))
    if old:
        rows.delete()
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
