"""Terms, and BM25 as an inner product."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from documents.ingestion.lexical import MAX_ENTRIES, MAX_TERM_ID, idf, term_id, term_weights, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Returns of the returned goods", ["return", "return", "good"]),
        ("Café, CAFE & cafe\u0301", ["cafe", "cafe", "cafe"]),
        ("don't, customer's, customer’s", ["dont", "custom", "custom"]),
        ("Error 0x80070005 in v2.1", ["error", "0x80070005", "v2", "1"]),
        ("snake_case_name", ["snake", "case", "name"]),
        ("Straße", ["strass"]),
        ("退货政策", ["退货", "货政", "政策"]),
        ("GPU加速", ["gpu", "加速"]),
        ("ราคา", ["รา", "าค", "คา"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("the of and", []),
        ("", []),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_other_languages_have_their_own_stems() -> None:
    assert terms("Die Lieferungen", "german") == ["die", "liefer"]


def test_ids_are_stable_and_in_the_index_space() -> None:
    assert [term_id("return"), term_id("refund")] == [term_id("return"), term_id("refund")]
    ids = {term_id(f"term{number}") for number in range(20_000)}
    assert len(ids) > 19_990
    assert min(ids) >= 1
    assert max(ids) <= MAX_TERM_ID


def test_weights_times_idf_is_bm25() -> None:
    texts = ["red pen, red ink", "blue pen with blue ink on white paper", "paper"]
    tokens = [terms(text) for text in texts]
    average = sum(map(len, tokens)) / len(tokens)
    frequency = Counter(term for found in tokens for term in set(found))
    query = ["red", "paper"]

    def bm25(found: list[str]) -> float:
        norm = 0.9 * (1 - 0.4 + 0.4 * len(found) / average)
        score = 0.0
        for term in query:
            n = frequency[term]
            score += math.log(1 + (3 - n + 0.5) / (n + 0.5)) * found.count(term) / (found.count(term) + norm)
        return score

    for text, found in zip(texts, tokens, strict=True):
        weights = term_weights(text, average_length=average)
        product = sum(weights.get(term_id(term), 0.0) * idf(frequency[term], 3) for term in query)
        assert product == pytest.approx(bm25(found))


def test_idf_is_never_negative() -> None:
    assert idf(100, 100) > 0
    assert idf(1, 100) > idf(50, 100) > idf(100, 100)


def test_a_vector_never_has_too_many_entries() -> None:
    text = " ".join(["often"] * 5 + [f"w{number}x" for number in range(MAX_ENTRIES + 500)])
    weights = term_weights(text, average_length=100)
    assert len(weights) == MAX_ENTRIES
    assert term_id("often") in weights
