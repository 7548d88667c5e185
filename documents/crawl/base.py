from __future__ import annotations

RELATED = ("source__agent", "source__dataset")
MAX_ATTEMPTS = 4
GONE, UNLINKED, FORBIDDEN, REDIRECTED = "PAGE_GONE", "PAGE_UNLINKED", "PAGE_FORBIDDEN", "PAGE_REDIRECTED"
NOT_COUNTED = (FORBIDDEN, REDIRECTED)  # against the limit of pages


class LostLeaseError(Exception):
    """The crawl was cancelled, or another worker has taken it over: this one must not write any more."""


class SliceOverError(Exception):
    """Somebody else's turn."""
