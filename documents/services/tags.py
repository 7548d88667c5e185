"""Tags: short words that people put on documents, to find them and to narrow searches."""

from __future__ import annotations

from collections.abc import Iterable

from documents.models import MAX_TAG_LENGTH, MAX_TAGS
from knowrithm.errors import InvalidInputError


def clean_tags(given: Iterable[str]) -> list[str]:
    """Each once, without blanks around it, in the order given. Raises `InvalidInputError`."""
    tags = list(dict.fromkeys(tag for tag in (" ".join(tag.split()) for tag in given) if tag))
    if len(tags) > MAX_TAGS or any(len(tag) > MAX_TAG_LENGTH for tag in tags):
        text = f"Give at most {MAX_TAGS} tags of at most {MAX_TAG_LENGTH} characters each."
        raise InvalidInputError(text, fields={"tags": [text]})
    return tags
