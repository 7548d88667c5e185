"""How well a sentence answers a question: nearness in meaning, shared terms, and the kind of fact asked for."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise, zip_longest

import numpy as np
import Stemmer

from knowrithm.llm.base import Embedder, Evidence
from knowrithm.llm.providers.sentences import Sentence, split_sentences

# Embedding takes milliseconds a sentence: only the lexically best are compared in meaning.
MAX_EMBEDDED = 24

MEANING_WEIGHT = 0.6
TERMS_WEIGHT = 0.2
CONTEXT_WEIGHT = 0.1
FACT_BONUS = 0.1
OTHER_NAME_PENALTY = 0.25
QUESTION_PENALTY = 0.3

# A sentence that begins so is understood only after the one before it.
LEANS_ON_PREVIOUS = re.compile(
    r"(?:it|its|this|that|these|those|they|their|he|she|however|otherwise|but|also|in addition|in this case|if so"
    r"|additionally|afterwards|then|after that|therefore|unless|except|instead)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:[-'’.,][^\W_]+)*")
# No figure answers these, whatever other words they hold.
_ASKS_WHO_OR_WHY = re.compile(r"\W*(?:who|whom|whose|why)\b", re.IGNORECASE)
_NUMBERING = re.compile(r"^\W*\d+(?:\.\d+)*\.?\s|\s\d+$")
_ORDINARY_WORD = re.compile(r"(?<![\w.])[^\W\d_]{2,}(?![\w(])")
_SOURCE_MARKER = re.compile(r"\[Source \d+\]", re.IGNORECASE)
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a about am an and any are as at be been by can could describe did do does explain for from get give had has "
        "have how i if in into is it its know long many may me much my need no not of on or our please shall should so "
        "some such tell than that the their them there these they this to us want was we were what when where which "
        "who whom whose why will with would you your",
    )
)

_TIME = re.compile(
    r"\d\s*(?:\+|-|–|to)?\s*(?:\d+\s*)?(?:business |working |calendar )?"
    r"(?:second|minute|hour|day|week|month|year|h\b|hr|min\b)"
    r"|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|sixty|ninety)[\w-]*\s"
    r"(?:business |working |calendar )?(?:second|minute|hour|day|week|month|year)"
    r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day|\b\d{1,2}:\d{2}\b|\b\d{1,2}\s?[ap]\.?m\b|\b(?:19|20)\d\d\b"
    r"|\b(?:january|february|march|april|june|july|august|september|october|november|december)\b|\blifetime\b|24/7",
    re.IGNORECASE,
)
_MONEY = re.compile(
    r"[$€£¥₹]\s?\d|\d\s?(?:[$€£¥₹%]|(?:usd|eur|gbp|chf|dollars?|euros?|pounds?|cents?)\b)|\bfree\b", re.IGNORECASE
)
# Not the digits of a name such as X200.
_NUMBER = re.compile(
    r"(?<![^\W\d_])(?<![^\W\d_]-)\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|fifty|hundred|thousand)\b",
    re.IGNORECASE,
)
_WEIGHT = re.compile(r"\d\s?(?:kg|g|mg|lbs?|pounds?|ounces?|oz|t|tons?|tonnes?|kilograms?|grams?)\b", re.IGNORECASE)
_CONTACT = re.compile(r"[\w.+-]+@[\w-]+\.\w|\+?\d[\d ()/-]{6,}\d|https?://|\bwww\.", re.IGNORECASE)
# Words of a question, and the kind of fact that it asks for by them.
_FACTS = tuple(
    (re.compile(words, re.IGNORECASE), fact)
    for words, fact in (
        (r"\bhow (?:long|soon|fast|quickly)\b|\bwhen\b|\bwhat time\b|\bduration\b|\bhours\b|\bdeadline\b", _TIME),
        (r"\bhow much\b|\bcosts?\b|\bpric(?:es?|ing)\b|\bfees?\b|\bcharges?\b", _MONEY),
        (r"\bhow (?:many|often|far|big|large|old|high)\b|\bmaximum\b|\bminimum\b|\bnumber of\b", _NUMBER),
        (r"\bhow heavy\b|\bhow much .* weigh\b|\bweight\b", _WEIGHT),
        (r"\be-?mail\b|\bphone\b|\bcontact\b|\breach\b|\bcall\b|\bwebsite\b", _CONTACT),
    )
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """The sentence at `position` of a piece of evidence.

    `coverage` is the share of the question's term weight found in it, `meaning` the cosine to the question, `score`
    all signs together: near 0 for the unrelated, near 1 for the ideal answer.
    """

    evidence: Evidence
    position: int
    sentence: Sentence
    terms: frozenset[str]
    coverage: float = 0.0
    context_coverage: float = 0.0
    meaning: float = 0.0
    score: float = 0.0


def rank(question: str, evidence: Sequence[Evidence], embedder: Embedder) -> list[Candidate]:
    """The sentences nearest to the question by their terms, at most `MAX_EMBEDDED`, best score first."""
    wanted = terms(question)
    candidates = _with_coverage(_candidates(evidence), wanted)
    facts = [fact for words, fact in _FACTS if words.search(question)]
    stated = [] if _ASKS_WHO_OR_WHY.match(question) else facts
    sayings = [c for c, after in zip_longest(candidates, candidates[1:]) if c and _says_something(c, after, stated)]
    shortlist = sorted(sayings, key=lambda c: -(c.coverage + c.context_coverage))[:MAX_EMBEDDED]
    if not shortlist:
        return []
    vectors = np.asarray(embedder.embed_documents([question, *(_in_context(c.sentence) for c in shortlist)]))
    meanings = vectors[1:] @ vectors[0]
    # A question about an article that no passage mentions is not answered by what holds for another.
    penalty = 0.0 if _mention_names(evidence, wanted) else OTHER_NAME_PENALTY
    scored = [
        replace(c, meaning=float(meaning), score=_score(c, float(meaning), wanted, facts) - penalty)
        for c, meaning in zip(shortlist, meanings, strict=True)
    ]
    return sorted(_with_answers_to_questions(scored), key=lambda c: -c.score)


def _says_something(candidate: Candidate, after: Candidate | None, facts: Sequence[re.Pattern[str]]) -> bool:
    """Whether it can be quoted: it is whole, announces what is, or states just the fact that is asked for."""
    sentence = candidate.sentence
    if sentence.text.endswith(":"):
        return after is not None and after.evidence is candidate.evidence and is_announced(after.sentence)
    if sentence.is_whole:
        return True
    stated = _NUMBERING.sub("", sentence.text)
    return len(_ORDINARY_WORD.findall(stated)) > 1 and any(fact.search(stated) for fact in facts)


def is_announced(sentence: Sentence) -> bool:
    """Whether a line that ends in a colon may stand before it."""
    return (sentence.is_whole or sentence.is_item) and not sentence.text.endswith(":")


def terms(text: str) -> frozenset[str]:
    """The stems of a text's meaningful words, numbers and names such as X-200 (one term, written x200)."""
    words = (word.lower().replace("’", "'") for word in _WORD.findall(text))
    return frozenset(_stem(word) for word in words if word not in _STOP_WORDS)


@lru_cache(maxsize=4096)
def _stem(word: str) -> str:
    if any(character.isdigit() for character in word):
        return re.sub(r"[-'.,](?=\D)|(?<=\D)[-'.,]", "", word)
    # A stemmer keeps a buffer: not to be shared between threads.
    stem: str = Stemmer.Stemmer("english", 0).stemWord(word.removesuffix("'s"))
    return stem


def _candidates(evidence: Iterable[Evidence]) -> list[Candidate]:
    return [
        Candidate(evidence=passage, position=position, sentence=sentence, terms=terms(sentence.text))
        for passage in evidence
        for position, sentence in enumerate(split_sentences(passage.text, passage.heading))
        # A marker inside the quotation would read as a citation of ours.
        if not _SOURCE_MARKER.search(sentence.text)
    ]


def _with_coverage(candidates: Sequence[Candidate], wanted: frozenset[str]) -> list[Candidate]:
    weights = _weights(candidates, wanted)
    total = sum(weights.values())
    if not total:
        return list(candidates)
    around = [_surrounding_terms(candidates, index) for index in range(len(candidates))]
    return [
        replace(
            candidate,
            coverage=_weight(weights, candidate.terms) / total,
            context_coverage=_weight(weights, candidate.terms | context) / total,
        )
        for candidate, context in zip(candidates, around, strict=True)
    ]


def _weights(candidates: Sequence[Candidate], wanted: frozenset[str]) -> dict[str, float]:
    """Rare terms tell more than common ones, names with digits most; those that occur nowhere count as rare."""
    occurrences = Counter(term for candidate in candidates for term in candidate.terms & wanted)
    return {
        term: (1.5 if _is_name(term) else 1.0) * math.log(1.0 + (len(candidates) + 1) / (occurrences[term] + 0.5))
        for term in wanted
    }


def _weight(weights: Mapping[str, float], found: frozenset[str]) -> float:
    return sum(weight for term, weight in weights.items() if term in found)


def _surrounding_terms(candidates: Sequence[Candidate], index: int) -> frozenset[str]:
    """What a reader of the sentence knows: the passage's name, the heading, the two sentences before."""
    candidate = candidates[index]
    before = [c.terms for c in candidates[max(0, index - 2) : index] if c.evidence is candidate.evidence]
    return terms(f"{candidate.evidence.name} {candidate.sentence.heading}").union(*before)


def _in_context(sentence: Sentence) -> str:
    return f"{sentence.heading}: {sentence.text}" if sentence.heading else sentence.text


def _score(candidate: Candidate, meaning: float, wanted: frozenset[str], facts: Sequence[re.Pattern[str]]) -> float:
    # "It weighs 48 kg" is about what was named before.
    leans = LEANS_ON_PREVIOUS.match(candidate.sentence.text) is not None
    score = (
        MEANING_WEIGHT * max(meaning, 0.0)
        + TERMS_WEIGHT * (candidate.context_coverage if leans else candidate.coverage)
        + CONTEXT_WEIGHT * candidate.context_coverage
    )
    if any(fact.search(candidate.sentence.text) for fact in facts):
        score += FACT_BONUS
    names = {term for term in wanted if _is_name(term)}
    others = {term for term in candidate.terms if _is_name(term)}
    if names and others and not names & others:
        score -= OTHER_NAME_PENALTY
    if candidate.sentence.is_question:
        score -= QUESTION_PENALTY
    return score


def _is_name(term: str) -> bool:
    """Whether a term is a product's or an article's name, such as x200."""
    return term[0].isalpha() and any(character.isdigit() for character in term)


def _mention_names(evidence: Iterable[Evidence], wanted: frozenset[str]) -> bool:
    """Whether the evidence has one of the question's names, however it is spaced and hyphenated, or there is none."""
    names = [term for term in wanted if _is_name(term)]
    written = [re.sub(r"[\W_]+", "", f"{passage.name} {passage.text}").lower() for passage in evidence]
    return not names or any(name in text for name in names for text in written)


def _with_answers_to_questions(candidates: Sequence[Candidate]) -> list[Candidate]:
    """What follows a question like the one asked answers it, whatever its own words."""
    by_place = sorted(candidates, key=lambda c: (c.evidence.number, c.position))
    answers = {}
    for asked, answer in pairwise(by_place):
        follows = asked.evidence is answer.evidence and asked.position + 1 == answer.position
        if follows and asked.sentence.is_question and not answer.sentence.is_question:
            answers[id(answer)] = asked.score + QUESTION_PENALTY
    return [replace(c, score=max(c.score, answers.get(id(c), 0.0))) for c in candidates]
