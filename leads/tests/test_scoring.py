"""The score: every point has a reason, and every reason its message."""

from __future__ import annotations

import uuid

import pytest

from leads.learning import LEAST, Learned, Outcome, learn
from leads.score_rules import FULL as MAX_POINTS
from leads.score_rules import RULES, Choices, parse_rules, parse_weights
from leads.scoring import Known, Said, Score, score_lead

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
        ("We need it by next Friday.", "urgency", 12),
        ("Can it be here before this Sunday?", "urgency", 12),
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


@pytest.mark.parametrize(
    ("word", "text", "is_met"),
    [
        ("Rabatt", "Gibt es RABATT?", True),
        ("Rabatt", "Rabattmarken", False),
        ("no code", "A no\n  code tool", True),
        ("c++", "Do you speak C++?", True),
        ("a.c", "abc", False),
        ("(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", False),
        ("报价", "我们需要报价单", True),
        ("café", "A cafe\u0301, please", True),  # the same letters, written otherwise
        ("خصم", "هل يوجد خصم؟", True),
        ("Rabatt", "Wir wollen keinen Rabatt", False),
        ("Rabatt", "Wir wollen keinen Rabatt, wir sind ja schon Kunden, oder doch Rabatt", True),
        ("\u0130stanbul", "Nach \u0130STANBUL?", True),  # whose small letters are longer
        ("Größe", "Die GRÖSSE", False),  # ß has no capital in every text
        ("ärmel", "Lärmel", False),
        ("# 1 & a-b", "The # 1 & A-B!", True),
    ],
)
def test_own_words(word: str, text: str, is_met: bool) -> None:
    wanted = Choices(rules=parse_rules({"fit.budget": {"words": [word]}}))
    found = score_lead([Said(uuid.uuid4(), CONVERSATION, text)], NOBODY, wanted)
    assert ("Speaks of a budget" in [reason.text for one in found.criteria for reason in one.reasons]) is is_met


def test_words_that_share_a_blank_are_both_found() -> None:
    words = RULES["need"][2].words
    assert words is not None
    assert list(words.places("demo demo demos Demo")) == [(0, 4), (5, 9), (16, 20)]


def test_weights_points_and_switches() -> None:
    said = [Said(uuid.uuid4(), CONVERSATION, "We need a demo. How much? Urgent!")]
    wanted = Choices(
        weights=parse_weights({"need": 33, "urgency": 17}),
        rules=parse_rules({"need.says": {"points": 0}, "urgency.hurry": {"points": 20}, "need.buys": {"is_on": False}}),
        learned={"need.price": 4, "urgency.hurry": 1},
    )
    need, _, urgency, _ = score_lead(said, NOBODY, wanted).criteria
    assert [(reason.text, reason.points) for reason in need.reasons] == [("Asks what it costs", 5)]  # 4 of 25, of 33
    assert (need.points, need.weight, urgency.points) == (5, 33, 14)  # 20 of 25, of 17: by hand, not as learned


def test_reasons_add_up_to_what_they_prove() -> None:
    for weight in range(51):
        wanted = Choices(weights=parse_weights({"need": weight, "fit": 50 - weight}))
        said = [Said(uuid.uuid4(), CONVERSATION, "We need a demo. How much?")]
        need = score_lead(said, NOBODY, wanted).criteria[0]
        assert (need.points, sum(reason.points for reason in need.reasons)) == (weight, weight)


def test_learning_is_careful_with_few_and_bounded() -> None:
    met, unmet = frozenset({"need.buys"}), frozenset[str]()
    few = [Outcome(True, met)] * (LEAST - 1) + [Outcome(False, unmet)] * 100
    assert learn(few, ["need.buys"]) == {}
    sides = [Outcome(True, met)] * 20 + [Outcome(False, met)] * 20
    even = [*sides, *[Outcome(True, unmet)] * 30, *[Outcome(False, unmet)] * 30]
    assert learn(even, ["need.buys"]) == {"need.buys": Learned(10, 20, 20)}
    uneven = [Outcome(True, met)] * 20 + [Outcome(False, met)] * 400
    assert learn(uneven, ["need.buys"])["need.buys"].points == 10  # everybody meets it, however many they are
    clear = [Outcome(True, met)] * 100 + [Outcome(False, unmet)] * 100
    assert learn(clear, ["need.buys"])["need.buys"].points == 20
    assert learn([Outcome(not one.is_won, one.met) for one in clear], ["need.buys"])["need.buys"].points == 0
