"""Passages that overlap come to the model as one, with a place that covers them all."""

from __future__ import annotations

import random
import uuid

from documents.ingestion.base import Block, Chunk
from documents.ingestion.split import split
from documents.neighbours import MOST, merge_neighbours
from documents.retrieval import Passage

DOCUMENT = uuid.uuid4()


def _chunks() -> tuple[list[str], list[Chunk]]:
    """Twenty paragraphs of three sentences, a line each, cut into chunks that overlap."""
    dice = random.Random(2)
    words = [f"word{number}" for number in range(400)]
    lines = [
        " ".join(f"The {' '.join(dice.choices(words, k=9))} is in line {line}." for _ in range(3)) for line in range(20)
    ]
    blocks = [Block(text, {"type": "lines", "start": line, "end": line}) for line, text in enumerate(lines, 1)]
    return lines, split(blocks, chunk_size=120, chunk_overlap=40)


def _passage(chunk: Chunk, evidence: float = 0.5, document: uuid.UUID = DOCUMENT) -> Passage:
    return Passage(
        chunk_id=uuid.uuid5(document, str(chunk.index)),
        document_id=document,
        document_name="a.txt",
        source_url="",
        content=chunk.text,
        headings=tuple(chunk.headings),
        locator=dict(chunk.locator),
        score=evidence,
        dense=0.0,
        lexical=0.0,
        evidence=evidence,
        asked=0.0,
        coverage=0.0,
        index=chunk.index,
    )


def test_overlapping_chunks_become_one_passage_without_doubled_words() -> None:
    lines, chunks = _chunks()
    assert len(chunks) > 4
    found = [_passage(chunks[2], 0.9), _passage(chunks[3], 0.6), _passage(chunks[1], 0.8)]
    [merged] = merge_neighbours(found)
    whole = "\n\n".join(lines)
    assert merged.content in whole
    assert merged.content.startswith(chunks[1].text)
    assert merged.content.endswith(chunks[3].text)
    first, last = chunks[1].locator["start"], chunks[3].locator["end"]
    assert merged.locator == {"type": "lines", "start": first, "end": last}
    # The place holds the text: no word of it lies outside.
    assert merged.content in "\n\n".join(lines[first - 1 : last])
    assert (merged.chunk_id, merged.evidence, merged.score) == (found[0].chunk_id, 0.9, 0.9)


def test_the_order_stays_that_of_the_best() -> None:
    _, chunks = _chunks()
    other = uuid.uuid4()
    found = [_passage(chunks[0], 0.9, other), _passage(chunks[3]), _passage(chunks[0]), _passage(chunks[4])]
    merged = merge_neighbours(found)
    assert [one.chunk_id for one in merged] == [found[0].chunk_id, found[1].chunk_id, found[2].chunk_id]
    assert merged[1].content.endswith(chunks[4].text)
    assert (merged[0], merged[2]) == (found[0], found[2])


def test_a_passage_covers_no_more_than_a_place() -> None:
    _, chunks = _chunks()
    merged = merge_neighbours([_passage(chunk) for chunk in chunks[: MOST + 1]])
    assert [one.index for one in merged] == [0, MOST]


def test_what_does_not_overlap_stays_apart() -> None:
    _, chunks = _chunks()
    next_document = _passage(chunks[1], document=uuid.uuid4())
    not_next = [_passage(chunks[0]), _passage(chunks[2]), next_document]
    assert merge_neighbours(not_next) == not_next
    rows = [Chunk(n, f"row {n}", {"type": "rows", "start": n, "end": n}) for n in range(2)]
    assert len(merge_neighbours([_passage(row) for row in rows])) == 2
    headings = [Chunk(n, "The same words.", chunks[0].locator, (f"Heading {n}",)) for n in range(2)]
    assert len(merge_neighbours([_passage(one) for one in headings])) == 2
