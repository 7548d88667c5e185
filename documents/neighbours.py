"""Retrieved passages that go on one in another, put together: doubled words look like two sources that agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from documents.ingestion.split import merge_locators
from documents.retrieval import Passage

MOST = 3  # a citation of more would be no place any more


def merge_neighbours(passages: Sequence[Passage]) -> list[Passage]:
    """The passages in their order, those that overlap with the next chunk of their document as one.

    It stands where its best one stood, with that one's scores and id; its text and locator are those of all of them.
    """
    merged: dict[int, Passage] = {}
    for run in _runs(passages):
        ordered = [passages[place] for place in run]
        best = min(run)
        text = ordered[0].content
        for before, after in pairwise(ordered):
            text += after.content[_overlap(before, after) :]
        locator = dict(merge_locators([one.locator for one in ordered]))
        evidence = max(one.evidence for one in ordered)
        merged[best] = replace(passages[best], content=text, locator=locator, evidence=evidence)
    return [merged[place] for place in sorted(merged)]


def _runs(passages: Sequence[Passage]) -> list[list[int]]:
    """Places of passages that go on one in another, each run in the order of the document."""
    runs: list[list[int]] = []
    for place in sorted(range(len(passages)), key=lambda place: (passages[place].document_id, passages[place].index)):
        last = passages[runs[-1][-1]] if runs else None
        if last is not None and len(runs[-1]) < MOST and _overlap(last, passages[place]):
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs


def _overlap(before: Passage, after: Passage) -> int:
    """How many characters of the second's beginning are the end of the first; 0 unless it is the next chunk."""
    is_next = before.document_id == after.document_id and before.index + 1 == after.index
    is_same_place = before.headings == after.headings and before.locator.get("type") == after.locator.get("type")
    if not (is_next and is_same_place and before.locator.get("sheet") == after.locator.get("sheet")):
        return 0
    first, second = before.content, after.content
    for length in range(min(len(first), len(second)), 0, -1):
        if first.endswith(second[:length]) and _is_whole(first, len(first) - length) and _is_whole(second, length):
            return length
    return 0


def _is_whole(text: str, place: int) -> bool:
    """No word is cut here."""
    return place in (0, len(text)) or text[place].isspace() or text[place - 1].isspace()
