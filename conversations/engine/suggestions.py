"""What might be asked next: what the passages are about that were found and not used."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from knowrithm.llm.providers.relevance import terms
from knowrithm.llm.providers.sentences import split_sentences

MOST = 3
SHORTEST, LONGEST = 3, 120  # characters
# "2.1. Files", "3) Files" and "Chapter 4: Files".
_NUMBERING = re.compile(
    r"^(?:\d{1,3}(?:\.\d{1,3})+\.?|\d{1,3}[.)]|(?:chapter|section|part|kapitel|teil|chapitre|capítulo) \w{1,4}[:.])\s+",
    re.IGNORECASE,
)


def topics_beside(
    found: Sequence[tuple[Sequence[str], str]], cited: Collection[int], asked: Sequence[str], answered: str = ""
) -> list[str]:
    """At most three topics or questions, in the order of the passages: their headings, without the numbers before them.

    `found` are the path of headings and the text of each passage, `cited` numbers from 1, `asked` the questions so far,
    the newest last. Nothing that was asked or answered comes again, whatever the form of its words, and nothing twice.
    A heading of a single word stands behind the one above it, which says what it is about. What has no sentence below
    it would not be answered.
    """
    used = [_terms(_topic(path)) for number, (path, _) in enumerate(found, 1) if number in cited]
    used += [_terms(question) for question in asked[:-1]]
    used.append(_terms(" ".join([*asked[-1:], answered])))
    topics: list[str] = []
    for number, (path, text) in enumerate(found, 1):
        if len(topics) == MOST:
            break
        topic = _topic(path)
        about = _terms(topic)
        is_new = number not in cited and not any(about <= other for other in used)
        if is_new and about and SHORTEST <= len(topic) <= LONGEST and _says_something(text, path[-1]):
            topics.append(topic)
            used.append(about)
    return topics


def _topic(path: Sequence[str]) -> str:
    """The last heading, behind the one above it if it is a single word and that one says more."""
    parts = [_NUMBERING.sub("", " ".join(part.split())).strip(" .:") for part in path[-2:]]
    if len(parts) > 1 and " " not in parts[1] and not _terms(parts[0]) <= _terms(parts[1]):
        return parts[0] if _terms(parts[1]) <= _terms(parts[0]) else ": ".join(parts)
    return parts[-1] if parts else ""


def _terms(text: str) -> frozenset[str]:
    return terms(text) or frozenset(text.casefold().split())


def _says_something(text: str, heading: str) -> bool:
    return any(sentence.is_whole for sentence in split_sentences(text, heading))
