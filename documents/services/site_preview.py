"""What a crawl of a website would begin with. Somebody waits for it, in a process that others wait for too."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from documents.exceptions import CrawlError
from documents.ingestion.web.addresses import path_of
from documents.ingestion.web.reader import PageReader
from documents.site import Site
from knowrithm.db.schema import release_connection
from knowrithm.errors import UnavailableError

SECONDS, ANSWER_SECONDS = 15.0, 6.0  # for all of it, and for one answer of the site
READING_SECONDS = 4  # of computing time for one sitemap
SITEMAPS, ADDRESSES, SHOWN = 3, 50_000, 5
_places = threading.BoundedSemaphore(2)  # so many at once in one process


@dataclass(frozen=True, slots=True)
class SitePreview:
    """`rules` are those of robots.txt for us, `delay` the seconds it asks for; `examples` are of `sitemap_pages`."""

    is_allowed: bool
    delay: float | None
    rules: int
    sitemap_pages: int
    examples: tuple[str, ...]


def preview_site(url: str) -> SitePreview:
    """Ask the site itself for its robots.txt and a few of its sitemaps.

    Raises `CrawlError` when the site does not answer in time, `UnavailableError` when too many previews are being made.
    """
    if not _places.acquire(blocking=False):
        raise UnavailableError("Several websites are being looked at. Try again in a moment.")
    try:
        release_connection()
        return _preview(url, time.monotonic() + SECONDS)
    finally:
        _places.release()


def _preview(url: str, deadline: float) -> SitePreview:
    def check() -> None:
        if time.monotonic() > deadline:
            text = "The site did not answer in time. Try again later, or add it: a crawl waits longer."
            raise CrawlError(text, "CRAWL_UNREACHABLE")

    with PageReader(seconds=READING_SECONDS) as reader:
        site = Site(url, reader, check, answer_seconds=ANSWER_SECONDS)
        robots = site.robots_of(url)
        found = site.sitemaps()
        site.read_sitemaps(found, ADDRESSES, sitemaps=SITEMAPS)
    return SitePreview(
        is_allowed=robots.allows(path_of(url)),
        delay=robots.delay,
        rules=len(robots.rules),
        sitemap_pages=len(found.pages),
        examples=tuple(found.pages[:SHOWN]),
    )
