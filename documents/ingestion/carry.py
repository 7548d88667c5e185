"""What people have changed by hand, carried over to the chunks of the same document cut anew.

Both cuts are windows on one text. Where a window of the old cut meets one of the new, the words of the one stand at a
known place in the other, and a change can be made there. A change that fits into no new chunk keeps its old one, and
the new ones lose the words that it stands for. Nothing that somebody has done is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from documents.ingestion.base import Chunk
from documents.ingestion.split import MAX_CHUNK_CHARACTERS, count_words

SURE = 24  # characters at an edge of both that must agree for two windows to meet there


@dataclass(frozen=True, slots=True)
class Kept:
    """A chunk as it stands, and since when it is switched off; `chunk.original` is what was read, where edited."""

    chunk: Chunk
    archived_at: datetime | None = None

    @property
    def read(self) -> str:
        return self.chunk.text if self.chunk.original is None else self.chunk.original

    @property
    def is_touched(self) -> bool:
        return self.chunk.original is not None or self.archived_at is not None


@dataclass(frozen=True, slots=True)
class _Meeting:
    """`length` characters from `start` of the old text stand from `place` on in the new chunk `index`."""

    index: int
    start: int
    place: int
    length: int


@dataclass(frozen=True, slots=True)
class _Change:
    """Of a new chunk: what stands from `start` to `end` becomes `text`."""

    start: int
    end: int
    text: str


def carry(old: Sequence[Kept], new: Sequence[Chunk]) -> list[Kept]:
    """The new chunks with the edits of the old ones, which are in the order of the document, and their switches."""
    changes: dict[int, list[_Change]] = {}
    own: list[tuple[int, Kept]] = []  # with the new chunk before which it stands
    for number, kept in enumerate(old):
        if not kept.is_touched:
            continue
        meetings = list(_meetings(kept, new))
        if kept.archived_at is None and _is_rewritten(kept, meetings, new, changes):
            continue
        own.append((meetings[0].index if meetings else len(new), kept))
        _take_out(*_alone(old, number), kept, meetings, new, changes)
    return _written(new, changes, own)


def _is_rewritten(
    kept: Kept, meetings: Sequence[_Meeting], new: Sequence[Chunk], changes: dict[int, list[_Change]]
) -> bool:
    """Make the edit in every new chunk that has all of what was edited. False: it fits into none."""
    start, end, text = _difference(kept.read, kept.chunk.text)
    fitting: dict[int, _Change] = {}
    cut: dict[int, _Change] = {}
    for found in meetings:
        first, last = max(start, found.start), min(end, found.start + found.length)
        if first > last:
            continue
        change = _Change(found.place + first - found.start, found.place + last - found.start, text)
        if (first, last) == (start, end) and _has_room(new[found.index], change, changes.get(found.index, [])):
            fitting[found.index] = change
        elif first < last:
            cut[found.index] = replace(change, text="")
    if not fitting:
        return False
    for index, change in {**cut, **fitting}.items():
        if change not in changes.setdefault(index, []):
            changes[index].append(change)
    return True


def _has_room(chunk: Chunk, change: _Change, others: Sequence[_Change]) -> bool:
    """The change meets no other one, and leaves the chunk no longer than one may be."""
    if change in others:
        return True
    if any(change.start < other.end and other.start < change.end for other in others):
        return False
    if any(other.start == change.start and other.end == change.end for other in others):  # two insertions
        return False
    grown = sum(len(other.text) - (other.end - other.start) for other in (*others, change))
    return len(chunk.text) + grown <= MAX_CHUNK_CHARACTERS


def _take_out(
    start: int,
    end: int,
    kept: Kept,
    meetings: Sequence[_Meeting],
    new: Sequence[Chunk],
    changes: dict[int, list[_Change]],
) -> None:
    """Take the old chunk's own words, those from `start` to `end`, out of the new ones: it stands for them itself."""
    for found in meetings:
        first, last = max(start, found.start), min(end, found.start + found.length)
        if kept.read == new[found.index].text:
            first, last = 0, len(kept.read)
        if first < last:
            place = found.place + first - found.start
            changes.setdefault(found.index, []).append(_Change(place, place + last - first, ""))


def _alone(old: Sequence[Kept], number: int) -> tuple[int, int]:
    """What of an old chunk its neighbours, which are still answered from, do not say as well."""
    kept = old[number]
    start, end = 0, len(kept.read)
    if number and not old[number - 1].is_touched:
        found = _meeting(old[number - 1].read, kept.read)
        if found is not None and found[1] == 0:
            start = found[2]
    if number + 1 < len(old) and not old[number + 1].is_touched:
        found = _meeting(kept.read, old[number + 1].read)
        if found is not None and found[1] == 0:
            end = found[0]
    return (start, end) if start < end else (0, len(kept.read))


def _written(new: Sequence[Chunk], changes: dict[int, list[_Change]], own: Sequence[tuple[int, Kept]]) -> list[Kept]:
    result: list[Kept] = []
    for index, chunk in enumerate(new):
        result += [kept for place, kept in own if place == index]
        text = _applied(chunk.text, changes.get(index, []))
        if text == chunk.text:
            result.append(Kept(chunk))
        elif text:
            result.append(Kept(replace(chunk, text=text, original=chunk.text, word_count=count_words(text))))
    result += [kept for place, kept in own if place == len(new)]
    return [replace(kept, chunk=replace(kept.chunk, index=index)) for index, kept in enumerate(result)]


def _applied(text: str, changes: Sequence[_Change]) -> str:
    if not changes:
        return text
    parts, place = [], 0
    for change in sorted(changes, key=lambda one: (one.start, one.end)):
        parts.append(text[place : max(change.start, place)])
        parts.append(change.text)
        place = max(place, change.end)
    return "".join([*parts, text[place:]]).strip()


def _difference(before: str, after: str) -> tuple[int, int, str]:
    """What stands from `start` to `end` became a text; the rest is the same."""
    most = min(len(before), len(after))
    start = next((index for index in range(most) if before[index] != after[index]), most)
    tail = next((index for index in range(most - start) if before[-1 - index] != after[-1 - index]), most - start)
    return start, len(before) - tail, after[start : len(after) - tail]


def _meetings(kept: Kept, new: Sequence[Chunk]) -> Iterator[_Meeting]:
    for index, chunk in enumerate(new):
        if chunk.headings == kept.chunk.headings and (found := _meeting(kept.read, chunk.text)) is not None:
            yield _Meeting(index, *found)


def _meeting(before: str, after: str) -> tuple[int, int, int] | None:
    """Where two windows on one text meet: the place in the first, that in the second, and how long they agree."""
    if (place := after.find(before)) >= 0:
        return 0, place, len(before)
    if (place := before.find(after)) >= 0:
        return place, 0, len(after)
    for place in _places(before, after[:SURE]):
        if after.startswith(before[place:]):
            return place, 0, len(before) - place
    for place in _places(after, before[:SURE]):
        if before.startswith(after[place:]):
            return 0, place, len(after) - place
    return None


def _places(text: str, part: str) -> Iterator[int]:
    if len(part) < SURE:
        return
    place = text.find(part)
    while place >= 0:
        yield place
        place = text.find(part, place + 1)
