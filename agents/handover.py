"""When an agent hands a conversation over to the company's people. No I/O.

The shape of `Agent.handover`; what is not named is as in `HandoverRules`:

    {"is_offered": true, "phrases": ["talk to a human"], "bad_ratings": 2, "unanswered": 2, "on_guardrail": false,
     "wait_minutes": 5}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_PHRASES, LONGEST_PHRASE = 50, 100
MOST_TIMES, LONGEST_WAIT = 20, 24 * 60


@dataclass(frozen=True, slots=True)
class HandoverRules:
    """0 of `bad_ratings`, or of `unanswered` in a row, means never."""

    is_offered: bool = True  # visitors may ask for a person
    phrases: tuple[str, ...] = ()
    bad_ratings: int = 0
    unanswered: int = 0
    on_guardrail: bool = False
    wait_minutes: int = 5  # until the visitor hears that nobody has come

    def phrase_in(self, text: str) -> str:
        """The first phrase that stands in the text as whole words, in whatever case; empty if none does."""
        words = " ".join(text.casefold().split())
        return next((phrase for phrase in self.phrases if _stands_in(phrase, words)), "")


def _stands_in(phrase: str, words: str) -> bool:
    wanted = re.escape(" ".join(phrase.casefold().split()))
    return bool(wanted) and re.search(rf"(?<!\w){wanted}(?!\w)", words) is not None


def read_handover(value: Any) -> HandoverRules:
    """What makes no sense in a stored value counts as if it were not there."""
    if not isinstance(value, Mapping):
        return HandoverRules()
    phrases = value.get("phrases")
    usual = HandoverRules()
    return HandoverRules(
        is_offered=value.get("is_offered", True) is not False,
        phrases=tuple(str(phrase) for phrase in phrases if str(phrase).strip()) if isinstance(phrases, list) else (),
        bad_ratings=_number(value.get("bad_ratings"), usual.bad_ratings, MOST_TIMES),
        unanswered=_number(value.get("unanswered"), usual.unanswered, MOST_TIMES),
        on_guardrail=value.get("on_guardrail") is True,
        wait_minutes=max(1, _number(value.get("wait_minutes"), usual.wait_minutes, LONGEST_WAIT)),
    )


def _number(value: Any, usual: int, most: int) -> int:
    return value if type(value) is int and 0 <= value <= most else usual
