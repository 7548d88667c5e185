from __future__ import annotations

import pytest

from documents.retrieval import is_self_contained


@pytest.mark.parametrize(
    "question",
    [
        "What does a spanner cost?",
        "Return policy?",
        "How long does the warranty of the X200 pump last?",
        "Does the pump that I bought in Lyon have a warranty of five years?",
    ],
)
def test_a_question_that_stands_alone(question: str) -> None:
    assert is_self_contained(question)


@pytest.mark.parametrize(
    "question", ["And from when?", "In winter?", "Where is it made?", "What about the red ones?", "Is that all?", ""]
)
def test_a_question_that_leans_on_the_one_before(question: str) -> None:
    assert not is_self_contained(question)
