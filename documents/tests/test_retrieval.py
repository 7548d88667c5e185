from __future__ import annotations

import uuid
from collections.abc import Sequence

import pytest

from documents.candidates import Words
from documents.ingestion.lexical import term_id, terms
from documents.retrieval import Passage, _Query, _read_closely, _Space, is_self_contained
from knowrithm.llm.base import ProviderConfig
from knowrithm.llm.providers.builtin import MiniLMEmbedder


@pytest.mark.parametrize(
    "question",
    [
        "What does a spanner cost?",
        "Return policy?",
        "E-mail address?",
        "How long does the warranty of the X200 pump last?",
        "Does the pump that I bought in Lyon have a warranty of five years?",
        "Was kostet ein Schraubenschlüssel?",
        "Combien coûte une clé anglaise ?",
        "Wie lange gilt die Garantie der Pumpe X200?",
        "¿Cuánto dura la garantía de la bomba?",
    ],
)
def test_a_question_that_stands_alone(question: str) -> None:
    assert is_self_contained(question)


@pytest.mark.parametrize(
    "question",
    [
        "And from when?",
        "In winter?",
        "Where is it made?",
        "What about the red ones?",
        "Is that all?",
        "",
        "Und im Winter?",
        "Und was kostet der Versand?",
        "Wo wird es hergestellt?",
        "Et en hiver ?",
        "¿Y en invierno?",
        "E d'inverno?",
        "En in de winter?",
        "А зимой?",
        "那冬天呢？",
        "冬は？",
    ],
)
def test_a_question_that_leans_on_the_one_before(question: str) -> None:
    assert not is_self_contained(question)


ASKED = "How long is the warranty of the pump?"
WARRANTY = "The warranty of the pump lasts two years."
ROWS = [f"Article {number} costs {number} euros in the shop in Lyon." for number in range(40)]


def read(*passages: tuple[float, Sequence[str]]) -> list[float]:
    """The evidence of passages of this evidence and these lines once they were read."""
    space = _Space(MiniLMEmbedder(), ProviderConfig("builtin", "all-MiniLM-L6-v2"), uuid.uuid4(), [], [])
    vector = space.vector_of(ASKED)
    weights = {term_id(term): 1.0 for term in terms(ASKED)}
    query = _Query(space, vector, Words(weights, {}, 0), vector, weights)
    given = [
        Passage(uuid.uuid4(), uuid.uuid4(), "a.txt", "", "\n".join(lines), (), {}, 0.5, 0.3, 1.0, evidence, 0.3, 0.3)
        for evidence, lines in passages
    ]
    return [passage.evidence for passage in _read_closely(given, [query] * len(given))]


def test_reading_closely_never_lowers_evidence() -> None:
    assert read((0.3, ROWS[:2]), (0.49, ROWS[2:4]), (0.2, ROWS[4:5])) == [0.3, 0.49, 0.2]


def test_what_is_not_read_stays_as_it_is() -> None:
    found = read((0.3, [WARRANTY]), (0.31, ROWS[:1]), (0.32, ROWS[1:2]), (0.2, [WARRANTY]))
    assert found[0] > 0.6
    assert found[1:] == [0.31, 0.32, 0.2]


def test_those_of_most_evidence_are_read_wherever_they_stand() -> None:
    found = read((0.2, ROWS[:1]), (0.21, ROWS[1:2]), (0.22, ROWS[2:3]), (0.4, [WARRANTY]))
    assert found[:3] == [0.2, 0.21, 0.22]
    assert found[3] > 0.6


def test_the_telling_line_of_a_long_list_is_read_and_leaves_room_for_the_others() -> None:
    found = read((0.3, ROWS), (0.29, [*ROWS, WARRANTY]), (0.28, [*ROWS[:20], WARRANTY, *ROWS[20:]]))
    assert found[0] == 0.3
    assert min(found[1:]) > 0.6
