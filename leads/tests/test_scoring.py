"""The score: every point has a reason, and every reason its message."""

from __future__ import annotations

import uuid

import pytest

from leads.scoring import MAX_POINTS, RULES, Known, Said, Score, score_lead

NOBODY = Known(has_email=False, has_phone=False, consents_to_marketing=False)
CONVERSATION = uuid.uuid4()


def score(*texts: str, known: Known = NOBODY) -> Score:
    return score_lead([Said(uuid.uuid4(), CONVERSATION, text) for text in texts], known)


def points(*texts: str) -> dict[str, int]:
    return {criterion.name: criterion.points for criterion in score(*texts).criteria}


def test_who_has_said_nothing_has_no_points() -> None:
    assert (score().points, points()) == (0, dict.fromkeys(RULES, 0))


@pytest.mark.parametrize(
    ("text", "criterion", "expected"),
    [
        ("What does it cost? And what is the price?", "need", 0 + 8),
        ("We are looking for a tool and want a demo.", "need", 20),
        ("Our company has 40 employees.", "fit", 16),
        ("I'm the head of support.", "fit", 9),
        ("We need it ASAP, by Friday, there is a deadline.", "urgency", MAX_POINTS),
        ("Wir brauchen das dringend.", "urgency", 13),
        ("Please call me.", "contactability", 8),
        ("It is not urgent at all.", "urgency", 0),
        ("We don't need a demo.", "need", 0),
        ("Is he a democrat? The priceless order-book.", "need", 10),  # an order
        ("Kein Budget.", "fit", 0),
    ],
)
def test_rules(text: str, criterion: str, expected: int) -> None:
    assert points(text)[criterion] == expected


def test_a_rule_counts_once_and_is_proved_by_the_first_message_that_meets_it() -> None:
    found = score("Hello", "x" * 300 + " what is the price of the large one? " + "y" * 300, "The price again?")
    [reason] = [reason for criterion in found.criteria for reason in criterion.reasons]
    assert reason.message is not None
    assert (found.points, reason.points, reason.message.text[:3]) == (8, 8, "xxx")
    assert "price" in reason.excerpt
    assert (reason.excerpt[0], reason.excerpt[-1], len(reason.excerpt) < 130) == ("…", "…", True)


def test_the_record_proves_what_no_message_does() -> None:
    found = score(known=Known(has_email=True, has_phone=True, consents_to_marketing=True))
    [criterion] = [one for one in found.criteria if one.reasons]
    assert [(reason.points, reason.message) for reason in criterion.reasons] == [(8, None), (8, None), (6, None)]
    assert (criterion.name, criterion.points) == ("contactability", 22)


def test_no_criterion_has_more_than_its_share() -> None:
    everything = " ".join(
        ["We are looking for a demo. How much is it? Our company, 40 employees, I'm the CEO, with a budget.",
         "Urgent, today, deadline. Call me."]
    )  # fmt: skip
    known = Known(has_email=True, has_phone=True, consents_to_marketing=True)
    assert score(everything, known=known).points == 4 * MAX_POINTS
