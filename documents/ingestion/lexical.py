"""Terms and weights of the lexical leg: the inner product of a chunk's weights and a query's idf is BM25."""

from __future__ import annotations

import functools
import hashlib
import math
import re
import threading
import unicodedata
from collections import Counter

import Stemmer

# BM25 as the field compares it on passages (Anserini). Lucene and bm25s begin with other values by default.
K1, B = 0.9, 0.4
MAX_TERM_ID = 999_999_999
MAX_ENTRIES = 16_000  # pgvector's limit on the non-zero entries of a sparsevec
MAX_TERM_LENGTH = 64

# Vowel signs and other marks are not \w, but part of the word in Arabic, Hebrew, Indic and South-East Asian scripts.
_MARKS = (
    "\u0300-\u036f\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0eff\u1000-\u109f\u1780-\u17d3"
)
_CHARACTER = rf"(?:[^\W_]|[{_MARKS}])"
_TOKEN = re.compile(rf"{_CHARACTER}+(?:['’]{_CHARACTER}+)*")
# Scripts without blanks between words are indexed by pairs of characters.
_UNSPACED = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]+"
)
_ENGLISH_STOPWORDS = """
a about above after again against all am an and any are as at be because been before being below between both but by
can could did do does doing down during each few for from further had has have having he her here hers herself him
himself his how i if in into is it its itself just me more most my myself no nor not now of off on once only or other
our ours ourselves out over own same she should so some such than that the their theirs them themselves then there
these they this those through to too under until up very was we were what when where which while who whom why will
with would you your yours yourself yourselves
"""
_STOPWORDS = {"english": frozenset(_ENGLISH_STOPWORDS.split())}
_local = threading.local()


def terms(text: str, language: str = "english") -> list[str]:
    """The text's terms in order, with repetitions: case and accents folded, stopwords dropped, stemmed."""
    stopwords = _STOPWORDS.get(language, frozenset())
    found: list[str] = []
    for token in words(text):
        if token.isascii():
            word = token.removesuffix("'s")
            if word and word not in stopwords:
                found.append(_stem(word.replace("'", "")[:MAX_TERM_LENGTH], language))
        else:
            found.extend(_terms_of_other_scripts(token, language))
    return found


def words(text: str) -> list[str]:
    """The text's words in order, case and accents folded."""
    return _TOKEN.findall(_fold(text))


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.replace("’", "'").casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed))


# Accents of Latin, Greek and Cyrillic letters; the marks of other scripts are letters of their own.
_ACCENTS = re.compile("(?<=[\u0041-\u052f])[\u0300-\u036f]+")


def _terms_of_other_scripts(token: str, language: str) -> list[str]:
    found: list[str] = []
    position = 0
    for run in _UNSPACED.finditer(token):
        if position < run.start():
            found.append(_stem(token[position : run.start()][:MAX_TERM_LENGTH], language))
        characters = run[0]
        found += [characters[i : i + 2] for i in range(len(characters) - 1)] or [characters]
        position = run.end()
    if position < len(token):
        found.append(_stem(token[position:][:MAX_TERM_LENGTH], language))
    return found


@functools.lru_cache(maxsize=100_000)
def _stem(word: str, language: str) -> str:
    # A stemmer must not be used by two threads at once.
    stemmers: dict[str, Stemmer.Stemmer] = _local.__dict__.setdefault("stemmers", {})
    if language not in stemmers:
        stemmers[language] = Stemmer.Stemmer(language)
    return str(stemmers[language].stemWord(word))


@functools.lru_cache(maxsize=100_000)
def term_id(term: str) -> int:
    """A stable number from 1 to MAX_TERM_ID: the term's index in the sparse vector."""
    digest = hashlib.blake2b(term.encode("utf-8", errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % MAX_TERM_ID + 1


def term_weights(text: str, *, average_length: float) -> dict[int, float]:
    """Term id → saturated frequency. `average_length` is that of all texts, in terms."""
    found = terms(text)
    norm = K1 * (1 - B + B * len(found) / max(average_length, 1.0))
    counts = Counter(map(term_id, found)).most_common(MAX_ENTRIES)
    return {term: count / (count + norm) for term, count in counts}


def idf(document_frequency: int, total: int) -> float:
    """How much a term tells that stands in `document_frequency` of `total` texts (Lucene's form: never negative)."""
    return math.log(1 + (total - document_frequency + 0.5) / (document_frequency + 0.5))
