"""Checking an answer against the passages it was given."""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MARKER = re.compile(r"\s?\[\s*(?:sources?\s*)?(\d{1,3}(?:\s*[,;&]\s*(?:source\s*)?\d{1,3})*)\s*\]", re.IGNORECASE)
NUMBER = re.compile(r"\d+")
SHORTEST_QUOTE = 25  # characters: below this, agreement is chance
SHORTEST_SPAN = 8  # characters in quotation marks: below this they are a name or a word in doubt, and no quotation
OWN_MARKER = re.compile(r"\s?\[Source ([\d, ]+)\]")
_MARKS = {
    "“": "”“", "„": "“”\"", "”": "”", "«": "»", "»": "«", "‹": "›", "›": "‹", "‚": "‘’", "「": "」", "『": "』",
    "〝": "〟〞", "＂": "＂",
}  # fmt: skip
# In inches, minutes and apostrophes straight marks stand behind a letter or digit.
_STRAIGHT = (r"(?<!\w)\"([^\"\n]{1,2000}?)\"(?!\w)", r"(?<!\w)['‘]((?:[^'‘’\n]|['’](?=\w)){1,2000}?)['’](?!\w)")
QUOTATION = re.compile(
    "|".join([*(f"{o}([^{o}{c}\n]{{1,2000}})[{c}]" for o, c in _MARKS.items()), *_STRAIGHT])
)  # fmt: skip
# With the closing marks and the markers that belong to the sentence.
_CLOSED = r"[\"'”’“‘»«›‹」』)]*(?:\s?\[Source [\d, ]+\])*[.!?…。]?"
SENTENCE_END = re.compile(rf"[.!?…]{_CLOSED}(?:\s+|$)|[。！？]{_CLOSED}\s*")
LEFT_OUT = re.compile(r"\[?(?:…|\.\.\.)\]?")
LIKE = str.maketrans({**dict.fromkeys("‘’‚ʼ`", "'"), **dict.fromkeys("“”„«»", '"'), **dict.fromkeys("‐‑‒–—−", "-")})
EDGES = " \t.,;:!?*_'\"()-…。，、！？"


def without_markers(text: str) -> str:
    """An answer that was checked, without its `[Source N]`."""
    return OWN_MARKER.sub("", text)


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
    warnings = [f"The answer pointed to source {number}, which it was not given." for number in unknown]
    warnings += [
        f"The answer puts words in quotation marks that do not stand in source {' or '.join(map(str, numbers))}."
        for numbers in dict.fromkeys(invented_quotations(text, passages))
    ]
    return CheckedAnswer(text, tuple(cited), quotes, tuple(warnings))


def invented_quotations(text: str, passages: Mapping[int, str]) -> list[tuple[int, ...]]:
    """For each quotation that stands in none of the sources which its marker names: their numbers.

    Its marker is the nearest one in its sentence. Where that has none, any source of the paragraph will do. `text` has
    its markers in the form `[Source N]`. What is left out of a quotation by an ellipsis may be anything.
    """
    invented = []
    plain: dict[int, str] = {}
    for paragraph in text.split("\n"):
        markers = list(OWN_MARKER.finditer(paragraph))
        ends = [end.end() for end in SENTENCE_END.finditer(paragraph)] if markers else []
        for found in QUOTATION.finditer(paragraph) if markers else ():
            quoted = OWN_MARKER.sub("", next(filter(None, found.groups()), ""))
            parts = [part for piece in LEFT_OUT.split(quoted) if (part := _plain(piece).strip(EDGES))]
            if sum(map(len, parts)) < SHORTEST_SPAN:
                continue
            numbers = _sources_of(found, markers, ends)
            for number in numbers:
                plain.setdefault(number, _plain(passages[number]))
            if not any(all(part in plain[number] for part in parts) for number in numbers):
                invented.append(numbers)
    return invented


def _sources_of(found: re.Match[str], markers: Sequence[re.Match[str]], ends: Sequence[int]) -> tuple[int, ...]:
    """Of a quotation. `ends` are where the sentences of its paragraph end; what is quoted may have some of its own."""
    before, after = bisect_right(ends, found.start()), bisect_left(ends, found.end())
    start, end = ends[before - 1] if before else 0, ends[after] if after < len(ends) else math.inf
    own = [marker for marker in markers if start <= marker.start() and marker.end() <= end]

    def distance(marker: re.Match[str]) -> int:
        return max(found.start() - marker.end(), marker.start() - found.end(), 0)

    named = [min(own, key=distance)] if own else markers
    return tuple(dict.fromkeys(int(number) for marker in named for number in NUMBER.findall(marker.group(1))))


def _plain(text: str) -> str:
    """As it is compared: lower case, without emphasis, brackets and invisible characters, kinds of marks as one."""
    kept = "".join(one for one in unicodedata.normalize("NFKC", text) if unicodedata.category(one) != "Cf")
    return " ".join(re.sub(r"[*_\[\]]", "", kept.translate(LIKE)).casefold().split())


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
