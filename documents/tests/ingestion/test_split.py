"""Chunks: their sizes, their borders and their places."""

from __future__ import annotations

import random

import pytest

from documents.ingestion.base import Block, Chunk, TooLargeError
from documents.ingestion.split import MAX_CHUNK_CHARACTERS, count_words, embedding_text, merge_locators, split


def line(number: int, text: str, *headings: str, atomic: bool = False) -> Block:
    return Block(text, {"type": "lines", "start": number, "end": number}, headings, atomic)


def row(number: int, text: str) -> Block:
    return Block(text, {"type": "rows", "start": number, "end": number, "header": ["a"]}, atomic=True)


def spans(chunks: list[Chunk]) -> list[tuple[int, int]]:
    return [(chunk.locator["start"], chunk.locator["end"]) for chunk in chunks]


def test_neighbours_under_one_heading_are_merged() -> None:
    blocks = [line(1, "One two.", "A"), line(3, "Three four.", "A"), line(5, "Five.", "A", "B"), line(7, "Six.", "A")]
    chunks = split(blocks, chunk_size=50, chunk_overlap=10)
    assert [(chunk.index, chunk.text, chunk.headings, chunk.word_count) for chunk in chunks] == [
        (0, "One two.\n\nThree four.", ("A",), 4),
        (1, "Five.", ("A", "B"), 1),
        (2, "Six.", ("A",), 1),
    ]
    assert spans(chunks) == [(1, 3), (5, 5), (7, 7)]


def test_long_prose_is_cut_at_sentence_ends_and_overlaps() -> None:
    sentences = [f"Sentence number {number} has exactly seven words." for number in range(6)]
    chunks = split([line(1, " ".join(sentences))], chunk_size=21, chunk_overlap=7)
    assert [chunk.text for chunk in chunks] == [
        " ".join(sentences[0:3]),
        " ".join(sentences[2:5]),
        " ".join(sentences[4:6]),
    ]


def test_nothing_overlaps_across_headings_or_rows() -> None:
    blocks = [line(1, "Some words here. And more of them.", "A"), line(2, "Other words there. And more.", "B")]
    chunks = split(blocks, chunk_size=4, chunk_overlap=3)
    assert [chunk.text for chunk in chunks if chunk.headings == ("B",)] == ["Other words there.", "And more."]
    rows = split([row(number, f"name: {number}; city: Oslo") for number in range(1, 5)], chunk_size=8, chunk_overlap=4)
    assert [chunk.text for chunk in rows] == [
        "name: 1; city: Oslo\nname: 2; city: Oslo",
        "name: 3; city: Oslo\nname: 4; city: Oslo",
    ]
    assert spans(rows) == [(1, 2), (3, 4)]


def test_a_row_is_cut_only_when_it_is_longer_than_a_chunk() -> None:
    chunks = split([row(1, "a: 1"), row(2, "b: " + "word " * 25), row(3, "c: 3")], chunk_size=10, chunk_overlap=2)
    assert max(chunk.word_count for chunk in chunks) <= 10
    assert sum(chunk.text.count("word") for chunk in chunks) == 25
    assert {chunk.locator["start"] for chunk in chunks} == {1, 2}


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Dr. Smith came. He left.", ["Dr. Smith came.", "He left."]),
        ("Pay 3.50 EUR, e.g. by card. Thanks!", ["Pay 3.50 EUR, e.g. by card.", "Thanks!"]),
        ("J. R. Tolkien wrote it. We read it.", ["J. R. Tolkien wrote it.", "We read it."]),
        ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
        ("今日は晴れです。明日は雨です。", ["今日は晴れです。", "明日は雨です。"]),
        ("первое предложение. Второе?", ["первое предложение.", "Второе?"]),
    ],
)
def test_sentence_ends(text: str, sentences: list[str]) -> None:
    size = max(map(count_words, sentences))
    assert [chunk.text for chunk in split([line(1, text)], chunk_size=size, chunk_overlap=0)] == sentences


@pytest.mark.parametrize(
    "text",
    [
        "中文没有空格" * 500,
        "ภาษาไทยไม่มีช่องว่างระหว่างคำ" * 200,
        "x" * 20_000,
        "https://example.com/" + "a/" * 3000,
        "word " * 5000,
        "a\n" * 3000,
        "a.b" * 4000,
        "\u00e9" * 9000,
    ],
)
def test_chunks_are_never_empty_or_too_long(text: str) -> None:
    chunks = split([line(1, text)])
    assert len(chunks) > 1
    assert all(0 < len(chunk.text) <= MAX_CHUNK_CHARACTERS for chunk in chunks)
    assert max(chunk.word_count for chunk in chunks) <= 220


def test_characters_without_blanks_count_as_words() -> None:
    assert [count_words(text) for text in ("", "two words", "三个字", "GPU 加速", "한국어 문장")] == [0, 2, 3, 3, 5]
    chunks = split([line(1, "价格是十元。" * 100)], chunk_size=60, chunk_overlap=12)
    assert {chunk.word_count for chunk in chunks[:-1]} == {55, 50} or max(c.word_count for c in chunks) <= 60


def test_no_word_is_lost() -> None:
    source = random.Random(7)
    for _ in range(40):
        blocks = []
        for number in range(source.randint(1, 12)):
            words = [
                f"w{source.randint(0, 10**6)}{source.choice(['', '', '.', '?'])}" for _ in range(source.randint(1, 90))
            ]
            words = [word.capitalize() for word in words]
            blocks.append(line(number, " ".join(words), source.choice("AB"), atomic=source.random() < 0.3))
        chunks = split(blocks, chunk_size=source.randint(5, 40), chunk_overlap=source.randint(0, 4))
        wanted = [word for block in blocks for word in block.text.split()]
        found = iter([word for chunk in chunks for word in chunk.text.split()])
        assert [word for word in wanted if word not in found] == []


def test_pages_are_merged_with_all_their_boxes() -> None:
    def page(number: int, *, ocr: bool = False) -> dict[str, object]:
        box = [number, 1.0, 2.0, 3.0, 4.0]
        return {"type": "page", "page": number, "page_end": number, "boxes": [box], "ocr": ocr}

    assert merge_locators([page(1), page(2, ocr=True)]) == {
        "type": "page",
        "page": 1,
        "page_end": 2,
        "boxes": [[1, 1.0, 2.0, 3.0, 4.0], [2, 1.0, 2.0, 3.0, 4.0]],
        "ocr": True,
    }


def test_the_embedder_reads_title_and_headings_too() -> None:
    chunk = Chunk(0, "Text.", {}, ("Guide", "Returns"))
    assert embedding_text(chunk, "Guide") == "Guide › Returns\nText."
    assert embedding_text(Chunk(0, "Text.", {}), "") == "Text."


@pytest.mark.parametrize(("size", "overlap"), [(10, 10), (0, 0), (10, -1)])
def test_sizes_that_make_no_sense(size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="chunk_overlap must be smaller"):
        split([line(1, "a")], chunk_size=size, chunk_overlap=overlap)


def test_a_document_of_too_many_passages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("documents.ingestion.split.MAX_CHUNKS", 3)
    blocks = [line(number, f"Line {number} says this.") for number in range(8)]
    assert len(split(blocks[:6], chunk_size=8, chunk_overlap=0)) == 3
    with pytest.raises(TooLargeError) as caught:
        split(blocks, chunk_size=8, chunk_overlap=0)
    assert str(caught.value) == (
        "This document makes more than 3 passages. Split it into parts, or have its passages cut larger."
    )
