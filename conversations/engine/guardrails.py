"""Rules over what is asked and answered: what is refused, what is masked, and which topics are allowed. Pure.

Texts are compared folded: without invisible characters, compatibility forms as their plain ones, runs of blanks as
one. Expressions given by companies are RE2's, which takes linear time whatever is asked of it, and look at one line
at a time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any

import re2

from conversations.engine.detectors import DETECTORS, PERSONAL, SECRETS, Span

MOST_RULES, MOST_VALUES, LONGEST_VALUE = 50, 200, 500
THRESHOLD = 0.35  # of similarity to the nearest example; benchmarks/topics.py measures it
EXCERPT = 40  # characters before and behind what was found
REFUSAL = "I cannot help with that here."
REMOVED = "[text removed]"
PATTERN_MEMORY = 1 << 20  # bytes, of one expression


class Stage(StrEnum):
    INPUT = "input"
    OUTPUT = "output"


class Kind(StrEnum):
    WORDS = "words"
    PATTERN = "pattern"
    TOPIC = "topic"
    PERSONAL = "personal"
    SECRETS = "secrets"


class Action(StrEnum):
    REFUSE = "refuse"
    MASK = "mask"
    ALLOW = "allow"


class RuleError(ValueError):
    """The rule makes no sense; `str(error)` says what to change."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`values`: words and phrases, RE2 expressions, example sentences, or names of detectors, by kind.

    Of the rules of a guardrail that allow, at least one must fit a question, if there are any.
    """

    name: str
    kind: Kind
    action: Action
    stages: frozenset[Stage]
    values: tuple[str, ...] = ()
    threshold: float = THRESHOLD
    guardrail: str = ""  # whose rule it is: its id
    refusal: str = REFUSAL


@dataclass(frozen=True, slots=True)
class Decision:
    """What a rule has done to a text. `excerpt` shows the place with everything masked that is."""

    stage: Stage
    action: Action
    rule: str
    kind: str
    guardrail: str = ""
    count: int = 1
    excerpt: str = ""
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`text` as it may go on; `refusal` is what is said instead, empty if nothing was refused."""

    text: str
    refusal: str = ""
    decisions: tuple[Decision, ...] = ()


# --- Reading rules ------------------------------------------------------------------------------------------------


def parse_rules(rows: Sequence[Mapping[str, Any]], *, guardrail: str = "", refusal: str = "") -> tuple[Rule, ...]:
    """Rules from their stored form. Raises `RuleError`."""
    if len(rows) > MOST_RULES:
        raise RuleError(f"A guardrail has at most {MOST_RULES} rules.")
    return tuple(_parse(row, guardrail, refusal or REFUSAL) for row in rows)


def _parse(row: Mapping[str, Any], guardrail: str, refusal: str) -> Rule:
    name = str(row.get("name", "")).strip()
    try:
        kind, action = Kind(row["kind"]), Action(row["action"])
        stages = frozenset({Stage.INPUT, Stage.OUTPUT} if row.get("on") == "both" else {Stage(row["on"])})
    except (KeyError, ValueError):
        raise RuleError(f"The rule “{name}” needs a kind, an action, and on which texts it looks.") from None
    values = tuple(dict.fromkeys(value for given in row.get("values") or () if (value := str(given).strip())))
    rule = Rule(name, kind, action, stages, values, float(row.get("threshold") or THRESHOLD), guardrail, refusal)
    _check(rule)
    return rule


def _check(rule: Rule) -> None:
    called = f"The rule “{rule.name}”"
    if not rule.name:
        raise RuleError("Each rule needs a name: it stands in the log.")
    if len(rule.values) > MOST_VALUES or any(len(value) > LONGEST_VALUE for value in rule.values):
        raise RuleError(f"{called} has more than {MOST_VALUES} lines, or one of more than {LONGEST_VALUE} characters.")
    if not 0 < rule.threshold <= 1:
        raise RuleError(f"{called} needs a threshold above 0 and at most 1.")
    if rule.action == Action.ALLOW and (rule.stages != {Stage.INPUT} or rule.kind in {Kind.PERSONAL, Kind.SECRETS}):
        raise RuleError(f"{called} allows: that is possible on questions, by words, patterns or examples.")
    if rule.action == Action.MASK and rule.kind == Kind.TOPIC:
        raise RuleError(f"{called} goes by examples, which can be refused or allowed but not masked.")
    if rule.kind in {Kind.PERSONAL, Kind.SECRETS}:
        known = _detectors_of(rule.kind)
        if unknown := [value for value in rule.values if value not in known]:
            raise RuleError(f"{called} names {unknown[0]!r}; there are {', '.join(known)}.")
    elif not rule.values:
        raise RuleError(f"{called} needs at least one line.")
    if rule.kind == Kind.PATTERN:
        for value in rule.values:
            if _pattern(value).search("") is not None:
                raise RuleError(f"{called}: the expression {value!r} fits the empty text, so it would fit everywhere.")
    if rule.kind == Kind.WORDS and not all(fold(value)[0].strip() for value in rule.values):
        raise RuleError(f"{called} has a line without a character that can be seen.")


def _detectors_of(kind: Kind) -> Sequence[str]:
    return PERSONAL if kind == Kind.PERSONAL else SECRETS


@cache
def _options() -> Any:
    options = re2.Options()
    options.max_mem = PATTERN_MEMORY
    options.log_errors = False
    return options


@cache
def _pattern(value: str) -> Any:
    try:
        return re2.compile(value, _options())
    except re2.error as error:
        reason = error.args[0]
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise RuleError(f"The expression {value!r} cannot be used: {said}.") from None


@cache
def _words(values: tuple[str, ...]) -> re.Pattern[str]:
    """Escaped literals only, longest first: nothing here can run away."""
    folded = sorted((fold(value)[0].strip() for value in values), key=len, reverse=True)
    literals = (r"\s+".join(map(re.escape, value.split())) for value in folded)
    return re.compile(rf"(?<!\w)(?:{'|'.join(literals)})(?!\w)", re.IGNORECASE)


# --- Comparing ----------------------------------------------------------------------------------------------------


def fold(text: str) -> tuple[str, list[int]]:
    """The text as rules see it, and where each of its characters stands in the original."""
    if text.isascii() and "  " not in text and "\t" not in text:
        return text, list(range(len(text)))
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if unicodedata.category(character) == "Cf":  # joiners, soft hyphens, marks of direction
            continue
        for plain in character if character.isascii() else unicodedata.normalize("NFKC", character):
            if plain.isspace() and plain != "\n":
                if characters and characters[-1] == " ":
                    continue
                plain = " "
            characters.append(plain)
            places.append(place)
    return "".join(characters), places


def _found(rule: Rule, folded: str) -> list[tuple[Span, str]]:
    """Places in the folded text, each with what stands there in words."""
    if rule.kind == Kind.WORDS:
        return [(match.span(), "") for match in _words(rule.values).finditer(folded)]
    if rule.kind == Kind.PATTERN:
        return [
            ((start + match.start(), start + match.end()), "")
            for start, line in _lines(folded)
            for value in rule.values
            for match in _pattern(value).finditer(line)
            if match.end() > match.start()
        ]
    if rule.kind == Kind.TOPIC:
        return []
    return [
        (span, detector.label)
        for name in rule.values or _detectors_of(rule.kind)
        for detector in DETECTORS[name]
        for span in detector.spans(folded)
    ]


def _lines(text: str) -> Iterable[tuple[int, str]]:
    start = 0
    for line in text.split("\n"):
        yield start, line
        start += len(line) + 1


@dataclass(slots=True)
class _Hit:
    start: int  # in the original text
    end: int
    rule: Rule
    label: str

    @property
    def is_hidden(self) -> bool:
        """What is refused for personal data or a secret is masked where the text is kept, too."""
        return self.rule.action == Action.MASK or self.rule.kind in {Kind.PERSONAL, Kind.SECRETS}


def _hits(text: str, stage: Stage, rules: Iterable[Rule]) -> list[_Hit]:
    folded, places = fold(text)
    hits = [
        _Hit(places[start], places[end - 1] + 1, rule, label)
        for rule in rules
        if stage in rule.stages and rule.action != Action.ALLOW
        for (start, end), label in _found(rule, folded)
    ]
    return sorted(hits, key=lambda hit: (hit.start, -hit.end))


def _mask(text: str, hits: Sequence[_Hit]) -> tuple[str, list[int]]:
    """The text with what is hidden replaced, and where each hit stands in it."""
    pieces: list[str] = []
    starts: list[int] = []
    end = length = 0
    for hit in hits:
        if hit.is_hidden and hit.start >= end:
            shown = f"[{hit.label} removed]" if hit.label else REMOVED
            pieces += [text[end : hit.start], shown]
            length += hit.start - end
            starts.append(length)
            length += len(shown)
            end = hit.end
        elif hit.is_hidden:  # within another one, or reaching beyond its end
            starts.append(max(length - 1, 0))
            end = max(end, hit.end)
        else:
            starts.append(length + max(hit.start - end, 0))
    pieces.append(text[end:])
    return "".join(pieces), starts


def check_text(text: str, stage: Stage, rules: Iterable[Rule]) -> Verdict:
    """By words, patterns, personal data and secrets. The first rule that refuses decides what is said."""
    rules = list(rules)
    hits = _hits(text, stage, rules)
    if not hits:
        return Verdict(text)
    masked, starts = _mask(text, hits)
    decisions = []
    for rule in rules:
        own = [place for place, hit in enumerate(hits) if hit.rule is rule]
        if own:
            excerpt = _excerpt(masked, starts[own[0]])
            decisions.append(Decision(stage, rule.action, rule.name, rule.kind, rule.guardrail, len(own), excerpt))
    refusing = next(
        (rule for rule in rules if rule.action == Action.REFUSE and any(h.rule is rule for h in hits)), None
    )
    return Verdict(masked, refusing.refusal if refusing else "", tuple(decisions))


def _excerpt(text: str, place: int) -> str:
    start, end = max(0, place - EXCERPT), place + 2 * EXCERPT
    return f"{'…' if start else ''}{' '.join(text[start:end].split())}{'…' if end < len(text) else ''}"


# The likeness of a text to the nearest of some examples: 1 for the same meaning.
Similarity = Callable[[Rule, str], float]


def check_topics(text: str, stage: Stage, rules: Iterable[Rule], similarity: Similarity) -> Verdict:
    """By example sentences, and whether a question is about anything that is allowed."""
    rules = [rule for rule in rules if stage in rule.stages]
    for rule in rules:
        if rule.kind == Kind.TOPIC and rule.action == Action.REFUSE:
            nearness = round(similarity(rule, text), 3)
            if nearness >= rule.threshold:
                decision = Decision(
                    stage, rule.action, rule.name, rule.kind, rule.guardrail, 1, _excerpt(text, 0), nearness
                )
                return Verdict(text, rule.refusal, (decision,))
    allowing: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.action == Action.ALLOW:
            allowing.setdefault(rule.guardrail, []).append(rule)
    for guardrail, some in allowing.items():
        best = _nearest_allowed(text, some, similarity)
        if best is not None:
            names = ", ".join(rule.name for rule in some)
            decision = Decision(
                stage, Action.REFUSE, f"Not among: {names}"[:200], Kind.TOPIC, guardrail, 1, _excerpt(text, 0), best
            )
            return Verdict(text, some[0].refusal, (decision,))
    return Verdict(text)


def _nearest_allowed(text: str, rules: Sequence[Rule], similarity: Similarity) -> float | None:
    """None when one of the rules allows the text; else how near it came to the nearest of their examples."""
    folded, _ = fold(text)
    best = 0.0
    for rule in rules:
        if rule.kind != Kind.TOPIC:
            if _found(rule, folded):
                return None
            continue
        nearness = round(similarity(rule, text), 3)
        if nearness >= rule.threshold:
            return None
        best = max(best, nearness)
    return best


# --- The system prompt --------------------------------------------------------------------------------------------

LEAK, LIKENESS = 12, 3  # words in a row that give the prompt away, and that make one wait for what follows
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Secrecy:
    """What must not be told word for word: runs of words of the system prompt."""

    runs: frozenset[tuple[str, ...]] = frozenset()
    beginnings: frozenset[tuple[str, ...]] = frozenset()

    def is_told_in(self, text: str) -> bool:
        words = [word.casefold() for word in WORD.findall(fold(text)[0])]
        return any(run in self.runs for run in _runs(words, LEAK))

    def held_from(self, text: str) -> int:
        """From where on the text may become such a run: its length if it cannot."""
        folded, places = fold(text)
        words = [(match.start(), match.group().casefold()) for match in WORD.finditer(folded)]
        if words and folded and (folded[-1].isalnum() or folded[-1] == "_"):
            words.pop()  # not yet whole
        first = len(words)
        while first >= LIKENESS and tuple(word for _, word in words[first - LIKENESS : first]) in self.beginnings:
            first -= 1
        return places[words[max(first - LIKENESS + 1, 0)][0]] if first < len(words) else len(text)


@lru_cache(maxsize=32)  # an agent's prompt is the same from one question to the next; 0.1 MB for a long one
def secrecy_of(prompt: str) -> Secrecy:
    words = [word.casefold() for word in WORD.findall(fold(prompt)[0])]
    return Secrecy(frozenset(_runs(words, LEAK)), frozenset(_runs(words, LIKENESS)))


def _runs(words: Sequence[str], length: int) -> Iterable[tuple[str, ...]]:
    return (tuple(words[place : place + length]) for place in range(len(words) - length + 1))


def leak(text: str, refusal: str = REFUSAL) -> Verdict:
    decision = Decision(Stage.OUTPUT, Action.REFUSE, "Instructions of the agent", "prompt")
    return Verdict(text, refusal, (decision,))


# --- On its way out -----------------------------------------------------------------------------------------------

CONTEXT = 64  # characters already sent that show whether a word begins, or a run of words goes on
TAIL = 64  # folded characters that words, numbers and addresses may still grow by
LONGEST_TOKEN = 400
OPEN_CONSTRUCT = re.compile(r"!?\[[^\]\n]{0,300}(?:\](?:\([^)\n]{0,400}|\[[^\]\n]{0,300}|:)?)?\Z|<[^<>\n]{0,400}\Z|!\Z")
RISKY_TOKEN = re.compile(r"[\[\]!<:/`\\@&]")
SCHEMES = ("http", "https", "ftp", "www", "mailto", "javascript", "data")


@dataclass(slots=True)
class Outflow:
    """An answer that is streamed: what comes in pieces goes out once it is certain that it may.

    `clean` makes a piece safe to show and is told whether it begins in a block of code. After a refusal nothing more
    goes out; the whole answer is checked once more at its end by whoever keeps it.
    """

    rules: Sequence[Rule]
    clean: Callable[[str, bool], str]
    secrecy: Secrecy = field(default_factory=Secrecy)
    own_refusal: str = REFUSAL
    raw: str = ""
    refusal: str = ""
    _sent: int = 0
    _next: int = 0
    _is_in_code: bool = False
    _tail: int = TAIL

    def __post_init__(self) -> None:
        self.rules = [rule for rule in self.rules if Stage.OUTPUT in rule.stages and rule.action != Action.ALLOW]
        phrases = [len(value) for rule in self.rules if rule.kind == Kind.WORDS for value in rule.values]
        self._tail = max([TAIL, *phrases]) + 1

    @property
    def is_withheld(self) -> bool:
        """What an answer is about shows only when it is whole."""
        return any(rule.kind == Kind.TOPIC for rule in self.rules)

    @property
    def has_spoken(self) -> bool:
        return self._sent > 0

    def push(self, text: str) -> str:
        """The part that may be shown now; often empty."""
        self.raw += text
        if self.refusal or self.is_withheld or len(self.raw) < self._next:
            return ""
        if self._waits_for_lines() and "\n" not in text:
            return ""
        return self._release(is_end=False)

    def close(self) -> str:
        return "" if self.refusal or self.is_withheld else self._release(is_end=True)

    def _waits_for_lines(self) -> bool:
        return any(rule.kind == Kind.PATTERN for rule in self.rules)

    def _release(self, *, is_end: bool) -> str:
        start = max(0, self._sent - CONTEXT)
        if self._waits_for_lines():
            start = self.raw.rfind("\n", 0, start) + 1
        window = self.raw[start:]
        sent = self._sent - start
        hits = _hits(window, Stage.OUTPUT, self.rules) if self.rules else []
        length = len(window)
        certain = [hit for hit in hits if is_end or hit.end < length]
        if self.secrecy.is_told_in(window):
            self.refusal = self.own_refusal
            return ""
        if refusing := next((hit for hit in certain if hit.rule.action == Action.REFUSE), None):
            self.refusal = refusing.rule.refusal
            return ""
        cut = length if is_end else self._cut(window, sent, hits)
        if cut <= sent:
            self._next = len(self.raw) + (length - sent) // 8  # a long wait is not looked at again with each word
            return ""
        inside = [_within(hit, sent, cut) for hit in hits if hit.end > sent and hit.start < cut]
        masked, _ = _mask(window[sent:cut], inside)
        was_in_code = self._is_in_code
        self._is_in_code ^= window.count("```", sent, cut) % 2 == 1
        self._sent = start + cut
        return self.clean(masked, was_in_code)

    def _cut(self, window: str, sent: int, hits: Sequence[_Hit]) -> int:
        """Up to where the window may go out: nothing behind it can change what is before."""
        length = len(window)
        cut = min(length, self.secrecy.held_from(window))
        if self._waits_for_lines():
            cut = min(cut, window.rfind("\n") + 1)
        if self.rules:
            _, places = fold(window)
            tail = places[-self._tail] if len(places) >= self._tail else 0
            cut = min(cut, tail, max(window.rfind(" "), window.rfind("\n"), length - LONGEST_TOKEN) + 1)
        before = length + 1
        while sent < cut < before:  # moving it out of one thing may move it into another
            before = cut
            cut = _outside_constructs(window, sent, cut)
            for hit in reversed(hits):
                if hit.start < cut and (hit.end > cut or hit.end >= length):
                    cut = hit.start
        return max(cut, sent)


def _outside_constructs(text: str, start: int, cut: int) -> int:
    """`cut`, or the beginning of the link, image, tag or address that it would cut in two."""
    cut = min(cut, _token_start(text[:cut]))
    opened = OPEN_CONSTRUCT.search(text[:cut], max(start, cut - 800))
    return opened.start() if opened else cut


def _token_start(text: str) -> int:
    """Where the last word begins, if it may be the beginning of an address, a link, an image or a tag."""
    start = max(text.rfind(" "), text.rfind("\n"), text.rfind("\t"), len(text) - LONGEST_TOKEN) + 1
    token = text[start:].lower()
    word = token.lstrip("*_~(\"'")
    is_scheme = bool(word) and any(scheme.startswith(word) or word.startswith(scheme) for scheme in SCHEMES)
    return start if is_scheme or RISKY_TOKEN.search(token) else len(text)


def _within(hit: _Hit, start: int, end: int) -> _Hit:
    return replace(hit, start=max(hit.start, start) - start, end=min(hit.end, end) - start)
