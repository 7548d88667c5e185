"""From blocks to chunks: pieces of about one size that end where sentences end and know their place."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from documents.ingestion.base import Block, Chunk, Locator, TooLargeError
from documents.ingestion.limits import MAX_CHUNKS

# No chunk is longer, whatever its words look like.
MAX_CHUNK_CHARACTERS = 4000
SEPARATOR = 2  # characters between two blocks, at most

_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f]")
_CLUSTERED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]+")
# A long word without blanks (an address, a key) is many tokens to a model; so is a run of Thai.
_LONG_WORD, _CLUSTER = 12, 4
_SENTENCE = re.compile(
    r"""(?:(?<=[.!?…])|(?<=[.!?…]["'”’)\]]))[ \t]+(?=["'“‘(\[]?[^\W\d_a-z]|["'“‘(\[]?\d)"""
    r"""|(?<=[。！？])(?![。！？”’」』])|\n+""",
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|no|nos|fig|figs|eq|vs|etc|approx|art|sec|vol|pp|inc|ltd|co|corp|e\.g|i\.e|cf|al)"
    r"|\b[A-Z])\.\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence (or row, or part of either) with the blank that follows it in its block."""

    text: str
    size: int
    block: int


def split(blocks: Sequence[Block], *, chunk_size: int = 220, chunk_overlap: int = 40) -> list[Chunk]:
    """Chunks of at most `chunk_size` words, in the order of the blocks.

    Neighbours under the same headings are merged, also rows; prose is cut at sentence ends and overlaps by at most
    `chunk_overlap` words. A row is cut only when it alone is longer than a chunk. Never empty, never longer than
    MAX_CHUNK_CHARACTERS. Characters of scripts without blanks count as words. Raises `TooLargeError` for too many.
    """
    if not 0 <= chunk_overlap < chunk_size:
        raise ValueError("chunk_overlap must be smaller than chunk_size, and neither negative")
    chunks: list[Chunk] = []
    for start, end in _sections(blocks):
        for pieces in _packed(_pieces(blocks, start, end, chunk_size), blocks, chunk_size, chunk_overlap):
            text = _text(pieces, blocks)
            locators = [blocks[index].locator for index in dict.fromkeys(piece.block for piece in pieces)]
            if len(chunks) == MAX_CHUNKS:
                raise TooLargeError(
                    f"This document makes more than {MAX_CHUNKS:,} passages. Split it into parts, or have its passages "
                    "cut larger."
                )
            chunks.append(Chunk(len(chunks), text, merge_locators(locators), blocks[start].headings, count_words(text)))
    return chunks


def embedding_text(chunk: Chunk, title: str) -> str:
    """What the embedder reads: the document's title and the chunk's headings above its text."""
    path = " › ".join(dict.fromkeys(filter(None, (title, *chunk.headings))))
    return f"{path}\n{chunk.text}" if path else chunk.text


def count_words(text: str) -> int:
    unspaced = len(_UNSPACED.findall(text)) if not text.isascii() else 0
    if not unspaced:
        return len(text.split())
    return unspaced + len(_UNSPACED.sub(" ", text).split())


def _size(text: str) -> int:
    """Words as an embedding model feels them: long ones count more."""
    size = 0
    if not text.isascii():
        size = len(_UNSPACED.findall(text)) + sum(math.ceil(len(run) / _CLUSTER) for run in _CLUSTERED.findall(text))
        text = _CLUSTERED.sub(" ", _UNSPACED.sub(" ", text))
    words = text.split()
    return size + len(words) + sum(len(word) // _LONG_WORD for word in words if len(word) > 2 * _LONG_WORD)


def _sections(blocks: Sequence[Block]) -> Iterator[tuple[int, int]]:
    """Runs of blocks that stand under the same headings, as index ranges."""
    start = 0
    for index in range(1, len(blocks) + 1):
        if index == len(blocks) or blocks[index].headings != blocks[start].headings:
            yield start, index
            start = index


def _pieces(blocks: Sequence[Block], start: int, end: int, chunk_size: int) -> Iterator[_Piece]:
    for index in range(start, end):
        block = blocks[index]
        if not block.text.strip():
            continue
        size = _size(block.text)
        if block.atomic and size <= chunk_size and len(block.text) <= MAX_CHUNK_CHARACTERS:
            yield _Piece(block.text, size, index)
            continue
        for sentence in _sentences(block.text):
            for part in _cut(sentence, chunk_size):
                yield _Piece(part, _size(part), index)


def _sentences(text: str) -> Iterator[str]:
    """The text in sentences or lines; joined they are the text again."""
    start = 0
    for match in _SENTENCE.finditer(text):
        if match.end() == match.start() == len(text) or _ABBREVIATION.search(
            text, max(start, match.start() - 12), match.start()
        ):
            continue
        yield text[start : match.end()]
        start = match.end()
    if text[start:].strip():
        yield text[start:]


def _cut(sentence: str, chunk_size: int) -> Iterator[str]:
    """A sentence that is longer than a chunk, in parts: between words where there are blanks, else anywhere."""
    if _size(sentence) <= chunk_size and len(sentence) <= MAX_CHUNK_CHARACTERS:
        yield sentence
        return
    part: list[str] = []
    size = length = 0
    for word in re.findall(r"\s*\S{1,40}\s*" if " " in sentence else r"\s*\S{1,8}\s*", sentence):
        word_size = _size(word)
        if part and (size + word_size > chunk_size or length + len(word) > MAX_CHUNK_CHARACTERS):
            yield "".join(part)
            part, size, length = [], 0, 0
        part.append(word)
        size += word_size
        length += len(word)
    if part:
        yield "".join(part)


def _packed(
    pieces: Iterator[_Piece], blocks: Sequence[Block], chunk_size: int, chunk_overlap: int
) -> Iterator[list[_Piece]]:
    """Pieces in groups no larger than a chunk; each group begins with the end of the one before where prose goes on."""
    group: list[_Piece] = []
    size = length = 0
    fresh = 0  # pieces of the group that were in no group before
    for piece in pieces:
        if fresh and (size + piece.size > chunk_size or length + len(piece.text) + SEPARATOR > MAX_CHUNK_CHARACTERS):
            yield group
            group = [] if blocks[piece.block].atomic else _tail(group, blocks, chunk_overlap)
            fresh = 0
        # The overlap gives way to a piece that needs the room.
        while (
            group
            and not fresh
            and (
                sum(kept.size for kept in group) + piece.size > chunk_size
                or sum(len(kept.text) + SEPARATOR for kept in group) + len(piece.text) > MAX_CHUNK_CHARACTERS
            )
        ):
            group = group[1:]
        group.append(piece)
        fresh += 1
        size = sum(kept.size for kept in group) if fresh == 1 else size + piece.size
        length = (
            sum(len(kept.text) + SEPARATOR for kept in group) if fresh == 1 else length + len(piece.text) + SEPARATOR
        )
    if fresh:
        yield group


def _tail(group: Sequence[_Piece], blocks: Sequence[Block], chunk_overlap: int) -> list[_Piece]:
    tail: list[_Piece] = []
    size = 0
    for piece in reversed(group[1:]):  # never the whole group again
        size += piece.size
        if size > chunk_overlap or blocks[piece.block].atomic:
            break
        tail.insert(0, piece)
    return tail


def _text(pieces: Sequence[_Piece], blocks: Sequence[Block]) -> str:
    parts = [pieces[0].text]
    for before, piece in itertools.pairwise(pieces):
        if piece.block != before.block and not before.text.endswith("\n"):
            # Rows stand under each other; a blank line tells paragraphs, lists and code apart.
            parts.append("\n" if blocks[before.block].atomic and blocks[piece.block].atomic else "\n\n")
        parts.append(piece.text)
    return "".join(parts).strip()


def merge_locators(locators: Sequence[Locator]) -> Locator:
    """One locator from the first place to the last. All are of one type and in the order of the document."""
    first, last = locators[0], locators[-1]
    if len(locators) == 1:
        return first
    merged: dict[str, Any] = dict(first)
    match first["type"]:
        case "page":
            merged["page_end"] = last["page_end"]
            merged["boxes"] = [box for locator in locators for box in locator["boxes"]]
            merged["ocr"] = any(locator["ocr"] for locator in locators)
        case "image":
            merged["page_end"] = last["page_end"]
            merged["boxes"] = [box for locator in locators for box in locator["boxes"]]
        case "slide":
            merged["slide_end"] = last["slide_end"]
            shapes = [tuple(shape) for locator in locators for shape in locator["shapes"]]
            merged["shapes"] = [list(shape) for shape in dict.fromkeys(shapes)]
        case "sheet":
            merged["end"] = last["end"]
            merged["header"] = last["header"]  # the lines above a table have none
        case "lines" | "section" | "paragraphs" | "rows":
            merged["end"] = last["end"]
        case "element":
            merged["xpath_end"] = last["xpath_end"]
        case "pointer":
            merged["pointer_end"] = last["pointer_end"]
        case "xpath":
            merged["xpath_end"] = last["xpath_end"]
        case kind:
            raise ValueError(f"unknown kind of locator: {kind}")
    return merged
