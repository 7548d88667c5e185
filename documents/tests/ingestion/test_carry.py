"""Edits and switches by hand, carried over to another cut of the same text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from documents.ingestion.base import Block, Chunk
from documents.ingestion.carry import Kept, carry
from documents.ingestion.split import MAX_CHUNK_CHARACTERS, split

SENTENCES = [
    f"Sentence number {number} tells of part {number} and its price of {number} euros." for number in range(40)
]
BLOCKS = [
    Block(" ".join(SENTENCES[start : start + 4]), {"type": "lines", "start": start + 1, "end": start + 1})
    for start in range(0, 40, 4)
]
OFF = datetime(2026, 1, 1, tzinfo=UTC)


def cut(size: int, overlap: int = 0) -> list[Chunk]:
    return split(BLOCKS, chunk_size=size, chunk_overlap=overlap)


def edited(chunks: list[Chunk], number: int, text: str) -> list[Kept]:
    rows = [Kept(chunk) for chunk in chunks]
    rows[number] = Kept(replace(chunks[number], text=text, original=chunks[number].text))
    return rows


def texts(kept: list[Kept]) -> str:
    return "\n".join(one.chunk.text for one in kept if one.archived_at is None)


def test_without_changes_the_new_chunks_are_as_they_are() -> None:
    new = cut(80)
    assert carry([Kept(chunk) for chunk in cut(150, 30)], new) == [Kept(chunk) for chunk in new]


@pytest.mark.parametrize(("size", "overlap"), [(40, 0), (80, 20), (150, 30), (220, 40), (600, 100)])
def test_a_small_edit_finds_its_place_in_every_cut(size: int, overlap: int) -> None:
    old = cut(150, 30)
    number = next(index for index, chunk in enumerate(old) if "price of 17 euros" in chunk.text)
    rows = edited(old, number, old[number].text.replace("price of 17 euros", "price of 99 euros"))
    new = cut(size, overlap)
    carried = carry(rows, new)
    said = texts(carried)
    assert ("price of 17 euros" in said, "price of 99 euros" in said) == (False, True)
    changed = [one for one in carried if one.chunk.original is not None]
    assert [one.chunk.original for one in changed] == [chunk.text for chunk in new if "price of 17 euros" in chunk.text]
    assert len(carried) == len(new)
    assert [one.chunk.index for one in carried] == list(range(len(new)))


def test_an_edit_that_fits_nowhere_keeps_its_chunk_and_its_words_are_said_only_there() -> None:
    old = cut(150)
    new = cut(40)
    carried = carry(edited(old, 1, "Written anew."), new)
    [own] = [one for one in carried if one.chunk.text == "Written anew."]
    assert (own.chunk.original, own.chunk.locator) == (old[1].text, old[1].locator)
    said = texts(carried)
    assert [sentence in said for sentence in SENTENCES] == [sentence not in old[1].text for sentence in SENTENCES]
    assert [one.chunk.index for one in carried] == list(range(len(carried)))


def test_two_edits_meet_in_one_larger_chunk() -> None:
    old = cut(40)
    rows = edited(old, 0, old[0].text.replace("part 0", "part zero"))
    rows[1] = Kept(replace(old[1], text=old[1].text + " And more.", original=old[1].text))
    [first, *_] = carry(rows, cut(300))
    assert "part zero" in first.chunk.text
    assert f"{old[1].text} And more." in first.chunk.text


@pytest.mark.parametrize("size", [40, 100, 150, 300])
def test_a_chunk_that_was_switched_off_stays_so_in_every_cut(size: int) -> None:
    old = cut(150)
    rows = [Kept(chunk) for chunk in old]
    rows[1] = Kept(old[1], OFF)
    carried = carry(rows, cut(size))
    assert [(one.chunk.text, one.archived_at) for one in carried if one.archived_at] == [(old[1].text, OFF)]
    said = texts(carried)
    assert [sentence in said for sentence in SENTENCES] == [sentence not in old[1].text for sentence in SENTENCES]


def test_what_a_chunk_that_is_on_says_too_is_not_switched_off() -> None:
    old = cut(150, 40)
    rows = [Kept(chunk) for chunk in old]
    rows[1] = Kept(old[1], OFF)
    said = texts(carry(rows, cut(90)))
    spoken = " ".join(chunk.text for index, chunk in enumerate(old) if index != 1)
    assert [sentence in said for sentence in SENTENCES] == [sentence in spoken for sentence in SENTENCES]


def test_an_edit_under_other_headings_is_not_made_here() -> None:
    text = "The same words stand in both of the sections of this text."
    both = [Chunk(index, text, {"type": "lines", "start": 1, "end": 1}, (name,)) for index, name in enumerate("AB")]
    carried = carry(edited(both, 1, text.replace("both", "two")), both)
    assert [one.chunk.text for one in carried] == [text, text.replace("both", "two")]


def test_an_edit_of_a_text_that_is_gone_stays_at_the_end() -> None:
    gone = Kept(Chunk(0, "New words.", {}, original="Old words that stand nowhere any more."))
    carried = carry([gone], cut(100))
    assert carried[-1].chunk.text == "New words."
    assert len(carried) == len(cut(100)) + 1


def test_no_chunk_grows_longer_than_one_may_be() -> None:
    old = cut(40)
    long = old[0].text + " " + "word " * 700
    carried = carry(edited(old, 0, long.strip()), cut(300))
    assert max(len(one.chunk.text) for one in carried) <= MAX_CHUNK_CHARACTERS
    assert sum("word word" in one.chunk.text for one in carried) == 1
