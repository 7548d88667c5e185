"""Checking an answer against the passages it was given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MARKER = re.compile(r"\s?\[\s*(?:sources?\s*)?(\d{1,3}(?:\s*[,;&]\s*(?:source\s*)?\d{1,3})*)\s*\]", re.IGNORECASE)
NUMBER = re.compile(r"\d+")
SHORTEST_QUOTE = 25  # characters: below this, agreement is chance


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """`text` with every marker in the form `[Source N]` or `[Source N, M]`, and none without its passage.

    `cited` are the numbers in order of first use; `quotes` maps a number to a span of its passage that the answer
    repeats word for word; `warnings` says what was mended.
    """

    text: str
    cited: tuple[int, ...]
    quotes: Mapping[int, str]
    warnings: tuple[str, ...]


def check_citations(answer: str, passages: Mapping[int, str]) -> CheckedAnswer:
    cited: list[int] = []
    unknown: list[int] = []

    def replace(match: re.Match[str]) -> str:
        numbers = [int(number) for number in NUMBER.findall(match.group(1))]
        known = [number for number in dict.fromkeys(numbers) if number in passages]
        unknown.extend(number for number in numbers if number not in passages)
        cited.extend(number for number in known if number not in cited)
        return f" [Source {', '.join(map(str, known))}]" if known else ""

    text = MARKER.sub(replace, answer).strip()
    quotes = {number: quote for number in cited if (quote := longest_quote(text, passages[number]))}
    warnings = tuple(f"The answer pointed to source {number}, which it was not given." for number in unknown)
    return CheckedAnswer(text, tuple(cited), quotes, warnings)


def longest_quote(answer: str, passage: str) -> str:
    """The longest sentence of the answer that stands in the passage, as it stands there; empty if there is none."""
    best = ""
    folded, places = _fold(passage)
    for sentence in re.split(r"\[Source [^\]]*\]|(?<=[.!?…])\s+|\n+", answer):
        wanted = _fold(sentence.strip(" \t\"'“”„«»-*•"))[0]
        if len(wanted) < max(SHORTEST_QUOTE, len(best)):
            continue
        start = folded.find(wanted)
        if start >= 0:
            best = passage[places[start] : places[start + len(wanted) - 1] + 1]
    return best


def _fold(text: str) -> tuple[str, list[int]]:
    """Lower case, with runs of white space as one blank; and where each character stands in the original."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if character.isspace():
            if characters and characters[-1] != " ":
                characters.append(" ")
                places.append(place)
            continue
        for lowered in character.lower():
            characters.append(lowered)
            places.append(place)
    while characters and characters[-1] == " ":
        characters.pop()
        places.pop()
    return "".join(characters), places
