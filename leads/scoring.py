"""How promising a lead is, told from what it said. Pure: no model, no database, the same answer every time.

Four criteria of at most 25 points each: need, fit, urgency, contactability. Every point rests on a reason, and every
reason on a message or on a fact of the lead's record. A rule counts once, however often it is met, and not where the
words before say no.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_POINTS = 25  # of a criterion
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


@dataclass(frozen=True, slots=True)
class Reason:
    """Why points were given; `message` and `excerpt` are empty where the record itself is the proof."""

    text: str
    points: int
    message: Said | None = None
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Criterion:
    name: str
    points: int
    reasons: Sequence[Reason]

    @property
    def label(self) -> str:
        return self.name.capitalize()


@dataclass(frozen=True, slots=True)
class Score:
    """`points` of 100."""

    points: int
    criteria: Sequence[Criterion]


@dataclass(frozen=True, slots=True)
class Rule:
    text: str
    points: int
    pattern: re.Pattern[str]


def _rule(text: str, points: int, *words: str) -> Rule:
    return Rule(text, points, re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.I))


RULES: dict[str, tuple[Rule, ...]] = {
    "need": (
        _rule(
            "Says what they need", 10,
            r"(?:we|i|i'm|we're) (?:are )?(?:need|looking for|want to|would like to)",
            r"in the market for",
            r"(?:ich|wir) (?:brauche|suche|brauchen|suchen|möchten?)", r"besoin d\w*", r"necesit\w+",
        ),
        _rule(
            "Asks what it costs", 8, r"prices?", r"pricing", r"costs?", r"quote", r"how much", r"preise?", r"kostet",
            r"kosten", r"angebot", r"prix", r"devis", r"precios?",
        ),
        _rule(
            "Wants to try or buy it", 10, r"demo", r"trial", r"buy", r"purchase", r"order", r"sign up", r"subscribe",
            r"kaufen", r"bestellen", r"testen", r"acheter", r"comprar",
        ),
    ),
    "fit": (
        _rule(
            "Speaks for a company", 8, r"(?:our|my) (?:company|team|business|organi[sz]ation|firm|clients|customers)",
            r"(?:unser\w*|mein\w*) (?:firma|unternehmen|team|kunden)", r"(?:notre|mon) (?:entreprise|équipe)",
            r"(?:nuestr[ao]|mi) (?:empresa|equipo)",
        ),
        _rule(
            "Tells its size", 8,
            r"\d[\d.,]* (?:people|employees|users|seats|staff|licen[sc]es|mitarbeiter\w*|personen|employés|empleados)",
        ),
        _rule(
            "Can decide", 9,
            r"(?:i am|i'm|as) (?:the |a |an )?(?:\w+ )?(?:ceo|cto|cfo|coo|owner|founder|director|head|manager|vp)",
            r"(?:geschäftsführer\w*|inhaber\w*|abteilungsleiter\w*|directeur|gerente)",
        ),
        _rule("Speaks of a budget", 8, r"budget", r"presupuesto"),
    ),
    "urgency": (
        _rule(
            "Is in a hurry", 13, r"asap", r"urgent(?:ly)?", r"immediately", r"right away", r"as soon as possible",
            r"dringend", r"sofort", r"so bald wie möglich", r"schnellstmöglich", r"au plus vite", r"urgente",
        ),
        _rule(
            "Names a near date", 12, r"today", r"tomorrow", r"this (?:week|month)", r"next (?:week|month)",
            r"by (?:monday|tuesday|wednesday|thursday|friday|the end of)", r"heute", r"morgen",
            r"(?:diese|nächste)[nr]? (?:woche|monat)", r"demain", r"cette semaine", r"mañana", r"esta semana",
        ),
        _rule("Has a deadline", 8, r"deadlines?", r"due date", r"frist", r"termin", r"échéance", r"plazo"),
    ),
    "contactability": (
        _rule(
            "Asks to be contacted", 8, r"(?:call|contact|e-?mail|reach|ring) (?:me|us)",
            r"get (?:back to|in touch with) (?:me|us)",
            r"(?:speak|talk) (?:to|with) (?:a person|somebody|someone|sales)", r"rufen sie (?:mich|uns)",
            r"(?:melden|kontaktieren) sie", r"rappelez[- ]moi", r"ll[aá]m[ea]\w*",
        ),
    ),
}  # fmt: skip


def score_lead(said: Iterable[Said], known: Known) -> Score:
    """`said` is in order of time: the first message that meets a rule proves it."""
    messages = list(said)
    criteria = []
    for name, rules in RULES.items():
        reasons = [reason for rule in rules if (reason := _met(rule, messages))]
        if name == "contactability":
            reasons = [*_facts(known), *reasons]
        criteria.append(Criterion(name, min(sum(reason.points for reason in reasons), MAX_POINTS), reasons))
    return Score(sum(criterion.points for criterion in criteria), criteria)


def _facts(known: Known) -> list[Reason]:
    facts = (
        (known.has_email, "Has left an e-mail address", 8),
        (known.has_phone, "Has left a telephone number", 8),
        (known.consents_to_marketing, "Consents to marketing", 6),
    )
    return [Reason(text, points) for is_so, text, points in facts if is_so]


def _met(rule: Rule, messages: Iterable[Said]) -> Reason | None:
    for message in messages:
        for found in rule.pattern.finditer(message.text):
            before = message.text[max(found.start() - 40, 0) : found.start()]
            if not NEGATION.search(before):
                return Reason(rule.text, rule.points, message, _excerpt(message.text, found.start(), found.end()))
    return None


def _excerpt(text: str, start: int, end: int) -> str:
    half = (EXCERPT - (end - start)) // 2
    first, last = max(start - half, 0), min(end + half, len(text))
    piece = " ".join(text[first:last].split())
    return f"{'…' if first else ''}{piece}{'…' if last < len(text) else ''}"
