"""What counts for a lead's score, as it comes and as a company has changed it. Pure.

Four criteria, filled by `FULL` points of their rules each. A rule is met by words that a lead wrote, or by a fact of
its record. How many points it gives is what the company has said by hand, or else what was learned from won and lost
leads, or else what it comes with.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import re2

FULL = 25  # points of its rules that fill a criterion
TOTAL = 100  # the weights of the criteria together
MOST_WORDS, LONGEST_WORD = 50, 100  # of a rule, and characters of each
# Scripts that write no blanks between words: there a word begins and ends anywhere.
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
# RE2's own \w knows ASCII alone.
LETTER = r"[\pL\pM\pN_]"
OTHER = r"[^\pL\pM\pN_]"


class ScoreRuleError(ValueError):
    """What a company wants makes no sense; `str(error)` says what to change. `field`: weights or rules."""

    def __init__(self, text: str, field: str) -> None:
        super().__init__(text)
        self.field = field


class Words:
    """Whole words in any case. By RE2, which takes linear time whatever a visitor writes."""

    def __init__(self, *expressions: str) -> None:
        options = re2.Options()
        options.case_sensitive = False
        either = "|".join(expressions).replace(r"\w", LETTER)
        self._pattern = re2.compile(f"(?:^|{OTHER})({either})(?:{OTHER}|$)", options)

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Where they stand, one after the other."""
        at = 0
        while found := self._pattern.search(text, at):
            yield found.span(1)
            at = found.end(1)  # the sign behind it may be the one before the next


def places_of(word: str, lowered: str) -> Iterator[tuple[int, int]]:
    """Where a company's own word stands as a whole in a text; both are in small letters, with single blanks."""
    at = lowered.find(word)
    while at >= 0:
        end = at + len(word)
        if not (_goes_on(lowered[at - 1 : at], word[0]) or _goes_on(lowered[end : end + 1], word[-1])):
            yield at, end
        at = lowered.find(word, end)


def _goes_on(neighbour: str, edge: str) -> bool:
    is_letter = neighbour == "_" or neighbour.isalnum() or unicodedata.category(neighbour or " ")[0] == "M"
    return is_letter and not UNSPACED.match(edge)


def lowered(text: str) -> str:
    """In small letters, each at its place."""
    small = text.lower()
    return small if len(small) == len(text) else "".join(c if len(c.lower()) > 1 else c.lower() for c in text)


@dataclass(frozen=True, slots=True)
class Rule:
    """`points` as it comes. Without words it is met by a fact of the record, by which `id` is called."""

    id: str
    text: str
    points: int
    words: Words | None = None

    @property
    def is_fact(self) -> bool:
        return self.words is None


@dataclass(frozen=True, slots=True)
class RuleChoice:
    """What a company has said of one rule by hand. `points`: None leaves them to what was learned."""

    points: int | None = None
    is_on: bool = True
    words: tuple[str, ...] = ()

    def as_row(self) -> dict[str, Any]:
        return {"points": self.points, "is_on": self.is_on, "words": list(self.words)}


@dataclass(frozen=True, slots=True)
class Choices:
    """All that a company's scores rest on. `learned`: points of rules by their ids. Empty ones change nothing."""

    weights: Mapping[str, int] = field(default_factory=dict)
    rules: Mapping[str, RuleChoice] = field(default_factory=dict)
    learned: Mapping[str, int] = field(default_factory=dict)

    def weight(self, criterion: str) -> int:
        return self.weights.get(criterion, FULL)

    def choice(self, rule: Rule) -> RuleChoice:
        return self.rules.get(rule.id, AS_IT_COMES)

    def points(self, rule: Rule) -> int:
        by_hand = self.choice(rule).points
        return self.learned.get(rule.id, rule.points) if by_hand is None else by_hand


AS_IT_COMES = RuleChoice()


def _rule(rule_id: str, text: str, points: int, *words: str) -> Rule:
    return Rule(rule_id, text, points, Words(*words))


RULES: dict[str, tuple[Rule, ...]] = {
    "need": (
        _rule(
            "need.says", "Says what they need", 10,
            r"(?:we|i|i'm|we're) (?:are )?(?:need|looking for|want to|would like to)",
            r"in the market for",
            r"(?:ich|wir) (?:brauche|suche|brauchen|suchen|möchten?)", r"besoin d\w*", r"necesit\w+",
        ),
        _rule(
            "need.price", "Asks what it costs", 8,
            r"prices?", r"pricing", r"costs?", r"quote", r"how much", r"preise?", r"kostet",
            r"kosten", r"angebot", r"prix", r"devis", r"precios?",
        ),
        _rule(
            "need.buys", "Wants to try or buy it", 10,
            r"demo", r"trial", r"buy", r"purchase", r"order", r"sign up", r"subscribe",
            r"kaufen", r"bestellen", r"testen", r"acheter", r"comprar",
        ),
    ),
    "fit": (
        _rule(
            "fit.company", "Speaks for a company", 8,
            r"(?:our|my) (?:company|team|business|organi[sz]ation|firm|clients|customers)",
            r"(?:unser\w*|mein\w*) (?:firma|unternehmen|team|kunden)", r"(?:notre|mon) (?:entreprise|équipe)",
            r"(?:nuestr[ao]|mi) (?:empresa|equipo)",
        ),
        _rule(
            "fit.size", "Tells its size", 8,
            r"\d[\d.,]* (?:people|employees|users|seats|staff|licen[sc]es|mitarbeiter\w*|personen|employés|empleados)",
        ),
        _rule(
            "fit.decides", "Can decide", 9,
            r"(?:i am|i'm|as) (?:the |a |an )?(?:\w+ )?(?:ceo|cto|cfo|coo|owner|founder|director|head|manager|vp)",
            r"(?:geschäftsführer\w*|inhaber\w*|abteilungsleiter\w*|directeur|gerente)",
        ),
        _rule("fit.budget", "Speaks of a budget", 8, r"budget", r"presupuesto"),
    ),
    "urgency": (
        _rule(
            "urgency.hurry", "Is in a hurry", 13,
            r"asap", r"urgent(?:ly)?", r"immediately", r"right away", r"as soon as possible",
            r"dringend", r"sofort", r"so bald wie möglich", r"schnellstmöglich", r"au plus vite", r"urgente",
        ),
        _rule(
            "urgency.date", "Names a near date", 12,
            r"today", r"tomorrow", r"this (?:week|month)", r"next (?:week|month)",
            r"(?:by|until|before) (?:next |this )?(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|the end of)",
            r"heute", r"morgen",
            r"(?:diese|nächste)[nr]? (?:woche|monat)", r"demain", r"cette semaine", r"mañana", r"esta semana",
        ),
        _rule(
            "urgency.deadline", "Has a deadline", 8,
            r"deadlines?", r"due date", r"frist", r"termin", r"échéance", r"plazo",
        ),
    ),
    "contactability": (
        Rule("contactability.email", "Has left an e-mail address", 8),
        Rule("contactability.phone", "Has left a telephone number", 8),
        Rule("contactability.marketing", "Consents to marketing", 6),
        _rule(
            "contactability.asks", "Asks to be contacted", 8,
            r"(?:call|contact|e-?mail|reach|ring) (?:me|us)",
            r"get (?:back to|in touch with) (?:me|us)",
            r"(?:speak|talk) (?:to|with) (?:a person|somebody|someone|sales)", r"rufen sie (?:mich|uns)",
            r"(?:melden|kontaktieren) sie", r"rappelez[- ]moi", r"ll[aá]m[ea]\w*",
        ),
    ),
}  # fmt: skip


BY_ID = {rule.id: rule for rules in RULES.values() for rule in rules}


# --- Reading what a company wants ---------------------------------------------------------------------------------


def parse_weights(given: Mapping[str, int]) -> dict[str, int]:
    """Of every criterion, from 0 on and 100 together. Those as they come are none. Raises `ScoreRuleError`."""
    if unknown := [name for name in given if name not in RULES]:
        raise ScoreRuleError(f"There is no part {unknown[0][:60]!r}; there are {', '.join(RULES)}.", "weights")
    weights = {name: int(given.get(name, FULL)) for name in RULES}
    if min(weights.values()) < 0 or sum(weights.values()) != TOTAL:
        total = sum(weights.values())
        raise ScoreRuleError(f"The weights of the four parts must be {TOTAL} together; these are {total}.", "weights")
    return {} if set(weights.values()) == {FULL} else weights


def parse_rules(given: Mapping[str, Mapping[str, Any]]) -> dict[str, RuleChoice]:
    """By the rules' ids; those that say nothing are left out. Raises `ScoreRuleError`."""
    if unknown := [rule_id for rule_id in given if rule_id not in BY_ID]:
        raise ScoreRuleError(f"There is no rule {unknown[0][:60]!r}; there are {', '.join(BY_ID)}.", "rules")
    choices = {rule_id: _choice(BY_ID[rule_id], row) for rule_id, row in given.items()}
    return {rule_id: choice for rule_id, choice in choices.items() if choice != AS_IT_COMES}


def _choice(rule: Rule, row: Mapping[str, Any]) -> RuleChoice:
    points = row.get("points")
    if points is not None and not 0 <= points <= FULL:
        raise ScoreRuleError(f"“{rule.text}” may give from 0 to {FULL} points.", "rules")
    cleaned = (" ".join(unicodedata.normalize("NFC", str(word)).split()) for word in row.get("words") or ())
    words = tuple({word.casefold(): word for word in cleaned if word}.values())
    if words and rule.is_fact:
        raise ScoreRuleError(f"“{rule.text}” goes by the lead’s record and takes no words.", "rules")
    if len(words) > MOST_WORDS or any(len(word) > LONGEST_WORD for word in words):
        text = f"“{rule.text}” takes at most {MOST_WORDS} words or phrases of at most {LONGEST_WORD} characters."
        raise ScoreRuleError(text, "rules")
    if bare := [word for word in words if not any(char.isalnum() for char in word)]:
        raise ScoreRuleError(f"“{rule.text}”: {bare[0]!r} has no letter and no digit.", "rules")
    return RuleChoice(points, bool(row.get("is_on", True)), words)
