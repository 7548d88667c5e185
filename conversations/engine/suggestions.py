"""What might be asked next: the headings under which passages stand that were found and not used."""

from __future__ import annotations

from collections.abc import Collection, Sequence

MOST = 3
SHORTEST, LONGEST = 3, 120  # characters


def suggestions_from(headings: Sequence[Sequence[str]], cited: Collection[int], question: str) -> list[str]:
    """At most three, in the order of the passages. `headings` are the path of each passage, `cited` numbers from 1.

    A heading of a single word stands behind the one above it, which says what it is about.
    """
    used = {_key(path) for number, path in enumerate(headings, 1) if number in cited}
    found: dict[str, str] = {}
    for number, path in enumerate(headings, 1):
        key = _key(path)
        text = _in_words(path)
        is_new = number not in cited and key not in used and key not in found
        if is_new and SHORTEST <= len(text) <= LONGEST and text.casefold() not in question.casefold():
            found[key] = text
    return list(found.values())[:MOST]


def _key(path: Sequence[str]) -> str:
    return path[-1].strip().casefold() if path else ""


def _in_words(path: Sequence[str]) -> str:
    parts = [" ".join(part.split()) for part in path]
    if not parts:
        return ""
    return ": ".join(parts[-2:]) if len(parts) > 1 and " " not in parts[-1] else parts[-1]
