"""The chat model that needs no key and no network: it quotes the sentences that answer best, and invents nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from knowrithm.llm.base import ChatDelta, ChatRequest, Embedder, Evidence, ProviderConfig, ProviderRequestError, Usage
from knowrithm.llm.providers.builtin import MiniLMEmbedder
from knowrithm.llm.providers.relevance import LEANS_ON_PREVIOUS, Candidate, is_announced, rank
from knowrithm.llm.providers.sentences import Sentence, record_of, split_sentences

MODEL_NAME = "extractive"
NO_ANSWER = "I do not know: the documents I have been given do not answer this question."

MAX_SENTENCES = {"short": 1, "balanced": 3, "detailed": 6}  # by the length that is asked for
MAX_LIST_ITEMS = 8
# Below this the best sentence is about something else.
MIN_SCORE = 0.33
# How near to the best another sentence has to come to be quoted beside it.
NEAR_BEST = {"short": 0.9, "balanced": 0.9, "detailed": 0.75}
NEAR_THOUGHT = 0.5
# "No." or "Yes, it does." is followed by what it means.
SHORT_SENTENCE = 5
NEAR_DUPLICATE = 0.75
WORDS_PER_DELTA = 3

_ASKS_FOR_LIST = re.compile(
    r"\bhow (?:do|can|to|should)\b|\bsteps?\b|\blist\b|\bwhich\b|\bwhat (?:are|do)\b", re.IGNORECASE
)


class ExtractiveChatModel:
    """A `ChatModel` that answers `request.question` from `request.evidence` only.

    One to three sentences, one for a short answer and up to six for a detailed one (or a list with the line that
    announces it), are quoted word for word, white space collapsed, each followed by ` [Source N]`; else the answer is
    `request.no_answer`, or `NO_ANSWER`. Tokens are counted as words.
    """

    def __init__(self, config: ProviderConfig, embedder: Embedder | None = None) -> None:
        if config.model.lower() not in ("", MODEL_NAME):
            raise ProviderRequestError(f"The built-in provider has no model {config.model!r}; {MODEL_NAME} is its own.")
        self._embedder = embedder or MiniLMEmbedder()

    def stream(self, request: ChatRequest) -> Iterator[ChatDelta]:
        question = request.question or _last_question(request)
        text = _answer(question, request.evidence, self._embedder, request.length) or request.no_answer or NO_ANSWER
        pieces = re.findall(r"\s*\S+", text)
        for start in range(0, len(pieces), WORDS_PER_DELTA):
            yield ChatDelta(text="".join(pieces[start : start + WORDS_PER_DELTA]))
        read = sum(len(passage.text.split()) for passage in request.evidence) + len(question.split())
        yield ChatDelta(usage=Usage(input_tokens=read, output_tokens=len(pieces)), finish_reason="stop")


def _last_question(request: ChatRequest) -> str:
    return next((m.content for m in reversed(request.messages) if m.role == "user"), "")


def _answer(question: str, evidence: Sequence[Evidence], embedder: Embedder, length: str) -> str:
    """Empty if the evidence has no answer."""
    ranked = rank(question, evidence, embedder)
    if not ranked or ranked[0].score < MIN_SCORE:
        return ""
    most, near_best = (by_length.get(length, by_length["balanced"]) for by_length in (MAX_SENTENCES, NEAR_BEST))
    is_list_wanted = _ASKS_FOR_LIST.search(question) is not None
    scores = {(c.evidence.number, c.position): c.score for c in ranked}
    quoted: dict[int, set[int]] = {}
    chosen: list[Candidate] = []
    for candidate in ranked:
        if sum(map(len, quoted.values())) >= most or candidate.score < near_best * ranked[0].score:
            break
        if candidate is ranked[0] or _adds_something(candidate, chosen, quoted):
            thought = _thought(candidate, scores, is_list_wanted=is_list_wanted)
            quoted.setdefault(candidate.evidence.number, set()).update(thought)
            chosen.append(candidate)
    passages = {passage.number: passage for passage in evidence}
    return "".join(_quotation(passages[number], sorted(positions)) for number, positions in quoted.items()).strip()


def _adds_something(candidate: Candidate, chosen: Sequence[Candidate], quoted: Mapping[int, set[int]]) -> bool:
    return not (
        candidate.position in quoted.get(candidate.evidence.number, ())
        or candidate.sentence.is_question
        or candidate.sentence.text.endswith(":")
        or any(_is_near_duplicate(candidate, other) for other in chosen)
    )


def _thought(candidate: Candidate, scores: Mapping[tuple[int, int], float], *, is_list_wanted: bool) -> list[int]:
    """The positions of a sentence and of the neighbours without which it says half."""
    sentences = split_sentences(candidate.evidence.text, candidate.evidence.heading)
    position = candidate.position
    text = sentences[position].text
    if sentences[position].is_item:
        return _list_around(sentences, position, is_whole=is_list_wanted)
    if record := record_of(text):
        return _record_around(sentences, position, record)
    if text.endswith(":"):
        return [position, *_items_after(sentences, position)]
    positions = [position]
    if position and LEANS_ON_PREVIOUS.match(text) and _belong_together(sentences, position - 1):
        positions.insert(0, position - 1)
    following = position + 1
    if following < len(sentences) and _belong_together(sentences, position):
        near = scores.get((candidate.evidence.number, following), 0.0) >= NEAR_THOUGHT * candidate.score
        is_short = len(text.split()) < SHORT_SENTENCE
        if is_short or (near and LEANS_ON_PREVIOUS.match(sentences[following].text)):
            positions.append(following)
    return positions


def _belong_together(sentences: Sequence[Sentence], position: int) -> bool:
    """Whether a sentence and the next stand in one paragraph, and both tell something instead of asking."""
    both = sentences[position : position + 2]
    return both[0].block == both[1].block and all(one.is_whole and not one.is_question for one in both)


def _list_around(sentences: Sequence[Sentence], position: int, *, is_whole: bool) -> list[int]:
    """A list item with the line that announces it or, in a table, the row of headings."""
    start = position
    while start and sentences[start - 1].is_item:
        start -= 1
    if sentences[position].text.startswith("|"):
        return sorted({start, position})
    lead = [start - 1] if start and sentences[start - 1].text.endswith(":") else []
    if is_whole:
        return [*lead, *_items_after(sentences, start - 1)]
    return [*lead, position]


def _record_around(sentences: Sequence[Sentence], position: int, record: str) -> list[int]:
    """The lines of one record: that of a shop's town says nothing without that of its telephone."""
    start = end = position
    while start and record_of(sentences[start - 1].text) == record and end - start < MAX_LIST_ITEMS - 1:
        start -= 1
    while (
        end + 1 < len(sentences) and record_of(sentences[end + 1].text) == record and end - start < MAX_LIST_ITEMS - 1
    ):
        end += 1
    return list(range(start, end + 1))


def _items_after(sentences: Sequence[Sentence], position: int) -> list[int]:
    end = position + 1
    while end < len(sentences) and sentences[end].is_item:
        end += 1
    # What a line ending in ":" announces may also be a plain sentence.
    if end == position + 1 < len(sentences) and is_announced(sentences[end]):
        end += 1
    return list(range(position + 1, min(end, position + 1 + MAX_LIST_ITEMS)))


def _is_near_duplicate(one: Candidate, other: Candidate) -> bool:
    shared = len(one.terms & other.terms)
    return shared >= NEAR_DUPLICATE * min(len(one.terms), len(other.terms))


def _quotation(passage: Evidence, positions: Sequence[int]) -> str:
    sentences = split_sentences(passage.text, passage.heading)
    quoted = ""
    for position in positions:
        sentence = sentences[position]
        is_listed = len(positions) > 1 and (sentence.is_item or bool(record_of(sentence.text)))
        opening = "\n" if sentence.text.startswith("|") else "\n- " if is_listed else " "
        quoted += f"{opening}{sentence.text} [Source {passage.number}]"
    return quoted
