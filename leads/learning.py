"""What won and lost leads teach about the rules of the score. Pure.

A rule that won leads meet twice as often as lost ones gives twice its points, one that they meet half as often gives
half of them. Few leads teach little: both rates are drawn towards the rate of all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from leads.score_rules import BY_ID, FULL

LEAST = 20  # won leads, and lost ones, before anything is learned
DRAWN = 10  # leads that weigh as much as the rate of all
MOST = 2.0  # times its points


@dataclass(frozen=True, slots=True)
class Outcome:
    """A lead that was won or lost, and the ids of the rules that it met."""

    is_won: bool
    met: frozenset[str]


@dataclass(frozen=True, slots=True)
class Learned:
    """Of one rule: its points, and how many of the won and of the lost leads met it."""

    points: int
    won: int
    lost: int

    def as_row(self) -> dict[str, int]:
        return {"points": self.points, "won": self.won, "lost": self.lost}


def learn(outcomes: Iterable[Outcome], rule_ids: Iterable[str]) -> dict[str, Learned]:
    """Of these rules. Nothing while there are too few leads of either kind."""
    won: list[frozenset[str]] = []
    lost: list[frozenset[str]] = []
    for outcome in outcomes:
        (won if outcome.is_won else lost).append(outcome.met)
    if min(len(won), len(lost)) < LEAST:
        return {}
    return {rule_id: _learned(rule_id, won, lost) for rule_id in rule_ids}


def _learned(rule_id: str, won: list[frozenset[str]], lost: list[frozenset[str]]) -> Learned:
    won_met, lost_met = (sum(rule_id in met for met in side) for side in (won, lost))
    if not won_met + lost_met:
        return Learned(BY_ID[rule_id].points, 0, 0)
    drawn = DRAWN * (won_met + lost_met) / (len(won) + len(lost))
    lift = ((won_met + drawn) / (len(won) + DRAWN)) / ((lost_met + drawn) / (len(lost) + DRAWN))
    points = round(BY_ID[rule_id].points * min(lift, MOST))
    return Learned(min(points, FULL), won_met, lost_met)
