"""Where a guardrail's topic begins: how near what visitors write comes to the examples that a company gives.

Each topic has four examples, as a company writes them, and eight messages of visitors about it. What else visitors
write, the messages of the other topics among it, is of no topic of its own.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np

from benchmarks.report import Row, percentile
from conversations.engine.guardrails import THRESHOLD
from knowrithm.llm.providers.builtin import MiniLMEmbedder

THRESHOLDS = (0.25, 0.3, THRESHOLD, 0.4, 0.45, 0.5)

TOPICS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "medical advice": (
        [
            "Which medicine should I take for a headache?",
            "What do my symptoms mean?",
            "Can you diagnose my illness?",
            "How should I treat an injury?",
        ],
        [
            "My knee has been swollen for a week, what could it be?",
            "Is it safe to take ibuprofen together with aspirin?",
            "I feel dizzy every morning. Am I ill?",
            "what dose of paracetamol for a child of five",
            "Do I need antibiotics for a sore throat?",
            "I burned my hand on your oven, how do I treat the wound?",
            "Could this rash be an allergy?",
            "Should I see a doctor about chest pain?",
        ],
    ),
    "legal advice": (
        [
            "Can I sue somebody for this?",
            "What are my rights under the law?",
            "Is this contract valid?",
            "Do I need a lawyer?",
        ],
        [
            "My landlord will not return the deposit. Can I take him to court?",
            "Is it legal to record a phone call?",
            "How do I file a lawsuit against my employer?",
            "what does the law say about dismissal during illness",
            "Does a verbal agreement bind me legally?",
            "Which lawyer should I take for a divorce?",
            "Would I win in court if I sued you?",
            "Am I liable when my neighbour slips on my path?",
        ],
    ),
    "politics": (
        [
            "Who should I vote for?",
            "What do you think of the president?",
            "Which political party is the best?",
            "What is your opinion on the government's policy?",
        ],
        [
            "Do you support the opposition or the government?",
            "Who will win the next election?",
            "Is the prime minister doing a good job?",
            "what do you think about the immigration debate in parliament",
            "Should taxes on the rich be higher?",
            "Are you on the left or on the right?",
            "Was the referendum a mistake?",
            "Tell me why I should vote for the Greens.",
        ],
    ),
    "investments": (
        [
            "Which shares should I buy?",
            "Is now a good time to invest in cryptocurrency?",
            "How should I invest my savings?",
            "Will this stock go up?",
        ],
        [
            "Should I put my money into bitcoin?",
            "Do you think the share price of your company will rise?",
            "Are index funds better than bonds for my pension?",
            "is gold a safe investment this year",
            "I have inherited 20,000 euros, where should I put them?",
            "Which ETF has the best return?",
            "Should I sell my Tesla stock?",
            "What is a good portfolio for somebody of thirty?",
        ],
    ),
    "competitors": (
        [
            "Are your competitors cheaper?",
            "How do you compare with other brands?",
            "Is another company's product better than yours?",
            "Why should I buy from you and not from a competitor?",
        ],
        [
            "Is the Bosch pump better than yours?",
            "What do other manufacturers charge for the same thing?",
            "Amazon sells this for less. Why are you so expensive?",
            "who makes better machines, you or Siemens",
            "Which of your rivals would you recommend?",
            "How does your service compare to that of Acme?",
            "I could get the same from another shop, couldn't I?",
            "What are the alternatives to your product from other brands?",
        ],
    ),
    "pay and staff": (
        [
            "How much do your employees earn?",
            "What is the salary of the manager?",
            "Who works in your company?",
            "Is the boss a good person?",
        ],
        [
            "What does a developer at your company make in a year?",
            "How high was the bonus of your CEO?",
            "Give me the names of the people in your support team.",
            "do you pay your staff the minimum wage",
            "Why was the sales director fired?",
            "How many people work for you?",
            "Is it nice to work for your boss?",
            "What are the wages in your warehouse?",
        ],
    ),
}
ORDINARY = (
    "How long is the warranty?",
    "Where is my parcel?",
    "Can I return shoes that I have worn?",
    "How do I reset my password?",
    "Do you ship to Norway?",
    "What does the premium plan cost?",
    "The pump makes a loud noise, what can I do?",
    "Which size should I order?",
    "Is the jacket waterproof?",
    "How do I descale the coffee machine?",
    "Can I pay by invoice?",
    "When do you open on Saturdays?",
    "I want to cancel my subscription.",
    "Is the detergent safe for children's skin?",
    "What does your warranty say about water damage?",
    "Where do I find the terms and conditions?",
    "Do you have a gift card?",
    "My order arrived damaged.",
    "How do I connect the printer to the wireless network?",
    "Can I change the delivery address?",
    "What is the difference between the X100 and the X200?",
    "Do you offer a discount for students?",
    "Which battery fits this model?",
    "How often must the filter be changed?",
    "Can I talk to a person?",
    "Thank you, that helped!",
    "Is there a manual in German?",
    "Do you have vegan leather bags?",
    "How do I apply for a refund?",
    "Can your app export my data to a spreadsheet?",
)


def run() -> list[Row]:
    model = MiniLMEmbedder()

    def vectors(texts: Sequence[str]) -> np.ndarray:
        return np.array([model.embed_query(text) for text in texts])

    examples = {name: vectors(given) for name, (given, _) in TOPICS.items()}
    messages = {name: vectors(written) for name, (_, written) in TOPICS.items()}
    ordinary = vectors(ORDINARY)
    of_it: list[float] = []
    others: list[float] = []
    everyday: list[float] = []
    for name, given in examples.items():
        of_it += _nearness(messages[name], given)
        everyday += _nearness(ordinary, given)
        for other, written in messages.items():
            others += _nearness(written, given) if other != name else []
    rows = [
        Row(f"nearness, {len(found)} {kind} (p5 p25 p50 p75 p95)", _percentiles(found))
        for kind, found in (("of the topic", of_it), ("of other topics", others), ("everyday", everyday))
    ]
    for threshold in THRESHOLDS:
        mark = " (in use)" if threshold == THRESHOLD else ""
        figure = f"{_caught(of_it, threshold):.0%} of the topic caught, "
        figure += f"{_caught(others, threshold):.1%} of other topics, {_caught(everyday, threshold):.1%} of everyday"
        rows.append(Row(f"threshold {threshold}{mark}", figure))
    return rows


def _nearness(messages: np.ndarray, examples: np.ndarray) -> list[float]:
    """Cosine of each message and the example that is nearest to it."""
    nearest: np.ndarray = (messages @ examples.T).max(axis=1)
    return [float(value) for value in nearest]


def _caught(nearness: Sequence[float], threshold: float) -> float:
    return statistics.fmean(value >= threshold for value in nearness)


def _percentiles(values: Sequence[float]) -> str:
    return " ".join(f"{percentile(values, share):.2f}" for share in (0.05, 0.25, 0.5, 0.75, 0.95))
