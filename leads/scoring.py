"""How promising a lead is, told from what it said. Pure: no model, no database, the same answer every time.

Four criteria: need, fit, urgency, contactability. Every point rests on a reason, and every reason on a message or on a
fact of the lead's record. A rule counts once, however often it is met, and not where the words before say no.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from leads.score_rules import FULL, RULES, Choices, Rule, lowered, places_of

EXCERPT = 120  # characters around the words that count
NEGATION = re.compile(
    r"\b(no|not|never|without|don't|doesn't|isn't|kein\w*|nicht|ohne|pas|sans|sin)\W+(\w+\W+){0,2}$", re.I
)


@dataclass(frozen=True, slots=True)
class Said:
    """A message that the lead wrote."""

    id: uuid.UUID
    conversation_id: uuid.UUID
    text: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the lead's record says."""

    has_email: bool
    has_phone: bool
    consents_to_marketing: bool

    def fact(self, rule: Rule) -> bool:
        return {
            "contactability.email": self.has_email,
            "contactability.phone": self.has_phone,
            "contactability.marketing": self.consents_to_marketing,
        }[rule.id]


@dataclass(frozen=True, slots=True)
class Met:
    """A rule that is met; `message` and `excerpt` are empty where the record itself is the proof."""

    rule: Rule
    message: Said | None = None
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why points were given: those that it added to the score. Together they are the criterion's."""

    text: str
    points: int
    message: Said | None = None
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Criterion:
    """`points` of `weight`."""

    name: str
    points: int
    weight: int
    reasons: Sequence[Reason]

    @property
    def label(self) -> str:
        return self.name.capitalize()


@dataclass(frozen=True, slots=True)
class Score:
    """`points` of 100."""

    points: int
    criteria: Sequence[Criterion]


def score_lead(said: Iterable[Said], known: Known, choices: Choices | None = None) -> Score:
    """`said` is in order of time: the first message that meets a rule proves it."""
    choices = choices or Choices()
    return score_met(met_rules(said, known, choices), choices)


def met_rules(said: Iterable[Said], known: Known, choices: Choices) -> list[Met]:
    """Of the rules that are on, in their order. What it costs is here: the points can be told anew from the same."""
    messages = [_Heard.of(one) for one in said]
    rules = [rule for rules in RULES.values() for rule in rules if choices.choice(rule).is_on]
    return [met for rule in rules if (met := _met(rule, choices.choice(rule).words, messages, known))]


@dataclass(frozen=True, slots=True)
class _Heard:
    """A message as rules see it: letters put together, runs of blanks as one; and the same in small letters."""

    said: Said
    text: str
    lowered: str

    @classmethod
    def of(cls, said: Said) -> _Heard:
        text = " ".join(unicodedata.normalize("NFC", said.text).split())
        return cls(said, text, lowered(text))

    def places(self, rule: Rule, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        if rule.words is not None:
            yield from rule.words.places(self.text)
        for word in words:
            yield from places_of(word, self.lowered)


def score_met(met: Iterable[Met], choices: Choices) -> Score:
    by_rule = {one.rule.id: one for one in met}
    criteria = []
    for name, rules in RULES.items():
        reasons: list[Reason] = []
        weight, raw, given = choices.weight(name), 0, 0
        for one in (by_rule[rule.id] for rule in rules if rule.id in by_rule):
            if points := choices.points(one.rule):
                raw += points
                # Rounded as a whole, so that the reasons add up to what the criterion has.
                added = _share(raw, weight) - given
                given += added
                reasons.append(Reason(one.rule.text, added, one.message, one.excerpt))
        criteria.append(Criterion(name, given, weight, reasons))
    return Score(sum(criterion.points for criterion in criteria), criteria)


def _share(points: int, weight: int) -> int:
    return (2 * min(points, FULL) * weight + FULL) // (2 * FULL)


def _met(rule: Rule, words: Sequence[str], messages: Iterable[_Heard], known: Known) -> Met | None:
    if rule.is_fact:
        return Met(rule) if known.fact(rule) else None
    small = [lowered(word) for word in words]
    for message in messages:
        for start, end in message.places(rule, small):
            if not NEGATION.search(message.text[max(start - 40, 0) : start]):
                return Met(rule, message.said, _excerpt(message.text, start, end))
    return None


def _excerpt(text: str, start: int, end: int) -> str:
    half = (EXCERPT - (end - start)) // 2
    first, last = max(start - half, 0), min(end + half, len(text))
    piece = " ".join(text[first:last].split())
    return f"{'…' if first else ''}{piece}{'…' if last < len(text) else ''}"
