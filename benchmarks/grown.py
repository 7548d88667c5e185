"""A company as large as one likes: a public set, and as many passages between its own as it takes.

A passage that is made up lies between one of the set and a near one, in meaning and in words.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from django.db import connection, transaction
from django.db.models import Model

from agents.models import Agent
from benchmarks.corpora import Corpus, Vectors
from documents.chunks import ALL_CHUNKS
from documents.enums import DocumentStatus
from documents.indexes import hold_or_make_index
from documents.ingestion.lexical import K1, B, term_id, terms
from documents.models import LEXICAL_DIMENSIONS, Document, DocumentChunk, LexicalTerm
from knowrithm.llm.providers.builtin import DIMENSION, MODEL_NAME
from knowrithm.llm.providers.sentences import split_sentences

SEED = 4
NEIGHBOURS = 20
NOISE = 0.35  # length of what is added to a unit vector
CHUNKS_A_DOCUMENT = 40
TYPES = ("txt", "pdf", "docx", "html")
# Tags by the share of documents that have them.
TAGS = {"half": 0.5, "tenth": 0.1, "hundredth": 0.01, "thousandth": 0.001}
GROUPS = 17  # values of `group` in the metadata


@dataclass(frozen=True, slots=True)
class Grown:
    """What the company holds, in order of its chunks."""

    vectors: Vectors
    documents: list[Document]
    chunk_ids: list[uuid.UUID]


@dataclass(frozen=True, slots=True)
class _Text:
    sentences: list[str]
    counts: list[Counter[int]]


def grow(agent: Agent, corpus: Corpus, size: int) -> Grown:
    """Fill the current company, which is empty, with `size` chunks of one agent's documents."""
    source, dice = np.random.default_rng(SEED), random.Random(SEED)
    texts = [_text(chunk.text) for entry in corpus.entries for chunk in entry.chunks][:size]
    base = corpus.vectors[:size]
    near = _neighbours(base)
    documents = [_document(agent, number, dice) for number in range(-(-size // CHUNKS_A_DOCUMENT))]
    Document.objects.bulk_create(documents, batch_size=1000)
    grown = Grown(np.empty((size, DIMENSION), dtype=np.float32), documents, [])
    frequencies: Counter[int] = Counter()
    words = 0

    def chunks() -> Iterator[dict[str, object]]:
        nonlocal words
        for number in range(size):
            one = number % len(texts)
            if number < len(texts):
                vector, parts = base[one], list(zip(texts[one].sentences, texts[one].counts, strict=True))
            else:
                other = int(near[one, dice.randrange(NEIGHBOURS)])
                vector = _between(base[one], base[other], source)
                parts = _some(texts[one], dice) + _some(texts[other], dice)
            vector = np.round(vector, 5)
            grown.vectors[number] = vector
            grown.chunk_ids.append(uuid.UUID(int=dice.getrandbits(128), version=4))
            counts: Counter[int] = Counter()
            for _, found in parts:
                counts.update(found)
            frequencies.update(counts.keys())
            words += counts.total()
            yield {
                "id": grown.chunk_ids[-1],
                "document_id": documents[number // CHUNKS_A_DOCUMENT].pk,
                "index": number % CHUNKS_A_DOCUMENT,
                "content": " ".join(text for text, _ in parts),
                "word_count": counts.total(),
                "embedding": _VECTOR % tuple(vector.tolist()),
                "lexical": _sparse(counts, words / (number + 1)),
            }

    with transaction.atomic():
        index = hold_or_make_index(agent)
    locator = {"type": "lines", "start": 1, "end": 1}
    usual = DocumentChunk(search_index=index, locator=locator, embedding_model=MODEL_NAME)
    _copy(usual, chunks())
    _copy(LexicalTerm(), [{"term": ALL_CHUNKS, "chunk_count": size, "word_total": words}])
    _copy(LexicalTerm(), ({"term": term, "chunk_count": count} for term, count in frequencies.items()))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE documents_documentchunk, documents_document, documents_lexicalterm")
    return grown


def _text(text: str) -> _Text:
    sentences = [sentence.text for sentence in split_sentences(text)] or [text]
    return _Text(sentences, [Counter(map(term_id, terms(sentence))) for sentence in sentences])


def _neighbours(vectors: Vectors) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Of each vector the nearest others."""
    found = [
        np.argpartition(-(vectors[start : start + 1000] @ vectors.T), NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        for start in range(0, len(vectors), 1000)
    ]
    return np.concatenate(found)


def _between(one: Vectors, other: Vectors, source: np.random.Generator) -> Vectors:
    share = source.uniform(0.1, 0.9)
    noise = source.normal(0, NOISE / len(one) ** 0.5, len(one))
    vector = (1 - share) * one + share * other + noise
    made: Vectors = (vector / np.linalg.norm(vector)).astype(np.float32)
    return made


def _some(text: _Text, dice: random.Random) -> list[tuple[str, Counter[int]]]:
    """About half of its sentences, in order; at least one."""
    count = len(text.sentences)
    chosen = sorted(dice.sample(range(count), -(-count // 2)))
    return [(text.sentences[place], text.counts[place]) for place in chosen]


_VECTOR = f"[{','.join(['%.5f'] * DIMENSION)}]"


def _sparse(counts: Counter[int], average: float) -> str:
    """`term_weights` of terms that are counted already, as PostgreSQL reads it: from 1."""
    norm = K1 * (1 - B + B * counts.total() / average)
    entries = ",".join(f"{term + 1}:{count / (count + norm):.5f}" for term, count in sorted(counts.items()))
    return f"{{{entries}}}/{LEXICAL_DIMENSIONS}"


def _document(agent: Agent, number: int, dice: random.Random) -> Document:
    return Document(
        agent=agent,
        original_filename=f"document-{number}",
        document_type=TYPES[number % len(TYPES)],
        status=DocumentStatus.PROCESSED,
        chunk_count=CHUNKS_A_DOCUMENT,
        tags=[tag for tag, share in TAGS.items() if dice.random() < share],
        metadata={"group": number % GROUPS},
    )


def _copy(usual: Model, rows: Iterable[dict[str, object]]) -> None:
    """Rows of a model's table by what differs from the usual one. Twenty times as fast as saving them."""
    fields = usual._meta.concrete_fields
    values = {field.column: field.get_db_prep_save(field.pre_save(usual, True), connection) for field in fields}
    columns = ", ".join(f'"{column}"' for column in values)
    with connection.cursor() as cursor, cursor.copy(f"COPY {usual._meta.db_table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([*(values | row).values()])
