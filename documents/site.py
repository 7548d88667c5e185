"""A website from a crawler's side: what it lets us do, and asking it politely."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from django.conf import settings

from documents.exceptions import CrawlError
from documents.ingestion.base import IngestionError
from documents.ingestion.web import robots
from documents.ingestion.web.addresses import canonical, host_of, path_of, site_of
from documents.ingestion.web.reader import PageReader
from documents.ingestion.web.robots import ALLOWS_ALL, ALLOWS_NOTHING, Robots, parse_robots
from documents.ingestion.web.sitemaps import Sitemap
from knowrithm.db.redis import sync_redis
from knowrithm.net.outbound import FetchedPage, OutboundError, OutboundRefusedError, fetch

PRODUCT = "KnowrithmBot"
SECONDS = 20  # for one answer
MAX_PAGE_BYTES = 10 * 2**20
TURN_MILLISECONDS = 60_000  # longer than one answer may take
MAX_SITEMAPS = 20
HTML_TYPES = frozenset({"text/html", "application/xhtml+xml", ""})
FILE_TYPES = {"application/pdf": "pdf", "text/plain": "txt", "text/markdown": "md"}
_SITEMAP_TYPES = frozenset({"application/octet-stream", "application/gzip", "application/x-gzip", "text/plain", ""})


@dataclass(slots=True)
class Sitemaps:
    """How far the reading of a site's sitemaps has come. `problems` are sentences."""

    waiting: list[str]
    asked: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Site:
    """`check` is called before every wait and raises what shall end the crawl. `answer_seconds`: for one answer."""

    def __init__(
        self,
        base_url: str,
        reader: PageReader,
        check: Callable[[], None] = lambda: None,
        *,
        answer_seconds: float | None = None,
    ) -> None:
        self.base_url = base_url
        self.reader = reader
        self.silent: set[str] = set()  # hosts whose robots.txt cannot be had just now
        self.slower = 1.0  # how much longer than usual to wait: the site has complained
        self._check = check
        self._answer_seconds = SECONDS if answer_seconds is None else answer_seconds
        self._robots: dict[str, Robots] = {}

    def allows(self, url: str) -> bool:
        """Raises `CrawlError` when nobody can tell just now."""
        return self.robots_of(url).allows(path_of(url))

    def is_own(self, url: str) -> bool:
        return site_of(url) == site_of(self.base_url)

    def robots_of(self, url: str) -> Robots:
        host = host_of(url)
        if host not in self._robots:
            try:
                self._robots[host] = self._fetch_robots(f"{urlsplit(url).scheme}://{host}/robots.txt")
            except CrawlError:
                if host == host_of(self.base_url):
                    raise
                self.silent.add(host)
                self._robots[host] = ALLOWS_NOTHING
        return self._robots[host]

    def _fetch_robots(self, url: str) -> Robots:
        try:
            page = self._ask(url, delay=0, max_bytes=10 * robots.MAX_BYTES, follow_redirects=True)
        except OutboundRefusedError as error:
            raise CrawlError(str(error), "CRAWL_REFUSED") from error
        except OutboundError as error:
            if error.permanent and "redirects" in str(error):
                return ALLOWS_ALL
            raise CrawlError(str(error), "CRAWL_UNREACHABLE") from error
        if page.status >= 500:
            text = f"The site's robots.txt answers with status {page.status}: until it does not, no page may be read."
            raise CrawlError(text, "CRAWL_ROBOTS_UNAVAILABLE")
        if page.status >= 300:
            return ALLOWS_ALL
        return parse_robots(page.body[: robots.MAX_BYTES].decode("utf-8", "replace"), PRODUCT)

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> FetchedPage:
        """One answer, redirects not followed; the body of a page or file alone. Raises `OutboundError`."""
        delay = max(settings.CRAWL_DELAY_MILLISECONDS / 1000, self.robots_of(url).delay or 0) * self.slower
        return self._ask(
            url,
            delay=delay,
            max_bytes=settings.MAX_FILE_SIZE,
            headers=headers,
            is_wanted=lambda kind: kind in HTML_TYPES or kind in FILE_TYPES,
        )

    def sitemaps(self) -> Sitemaps:
        """Those that robots.txt names, or the usual one; none has been read."""
        named = self.robots_of(self.base_url).sitemaps
        waiting = [address for one in named if (address := canonical(one, self.base_url))]
        return Sitemaps(waiting or [urljoin(self.base_url, "/sitemap.xml")])

    def read_sitemaps(
        self,
        so_far: Sitemaps,
        limit: int,
        *,
        sitemaps: int = MAX_SITEMAPS,
        may_read: Callable[[str], bool] = lambda url: True,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        """Go on with `so_far`, until it has `limit` pages of this site that `may_read`. `keep` is called after each."""
        while so_far.waiting and len(so_far.asked) < sitemaps and len(so_far.pages) < limit:
            found = self._read_sitemap(so_far.waiting[0], so_far.problems)
            so_far.asked.append(so_far.waiting.pop(0))
            own = (address for address in found.pages if self.is_own(address) and may_read(address))
            so_far.pages = list(dict.fromkeys([*so_far.pages, *own]))[:limit]
            further = dict.fromkeys([*so_far.waiting, *found.sitemaps])
            so_far.waiting = [address for address in further if address not in so_far.asked][:sitemaps]
            keep()

    def _read_sitemap(self, url: str, problems: list[str]) -> Sitemap:
        try:
            page = self._ask(
                url,
                delay=settings.CRAWL_DELAY_MILLISECONDS / 1000,
                max_bytes=MAX_PAGE_BYTES,
                follow_redirects=True,
                is_wanted=lambda kind: "xml" in kind or kind in _SITEMAP_TYPES,
            )
            if page.status < 400 and page.body:
                return self.reader.read_sitemap(page.body, url)
            problems.append(f"{url} is no sitemap (status {page.status}).")
        except (OutboundError, IngestionError) as error:
            problems.append(f"{url}: {error}")
        return Sitemap()

    def _ask(
        self,
        url: str,
        *,
        delay: float,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        follow_redirects: bool = False,
        is_wanted: Callable[[str], bool] = lambda content_type: True,
    ) -> FetchedPage:
        with self._turn(host_of(url), delay):
            return fetch(
                url,
                max_bytes=max_bytes,
                timeout=self._answer_seconds,
                accept="text/html,application/xhtml+xml,application/pdf;q=0.9,*/*;q=0.5",
                headers={"User-Agent": f"{PRODUCT}/1.0 (+{settings.CRAWLER_CONTACT})", **(headers or {})},
                follow_redirects=follow_redirects,
                is_wanted=is_wanted,
            )

    @contextmanager
    def _turn(self, host: str, delay: float) -> Iterator[None]:
        """One request at a time to a host, whichever company's crawl it is, and `delay` seconds after each."""
        key, redis = f"crawl-turn:{hashlib.sha256(host.encode()).hexdigest()[:32]}", sync_redis()
        self._check()
        while not redis.set(key, "1", nx=True, px=TURN_MILLISECONDS):
            left = int(redis.pttl(key))  # type: ignore[arg-type]  # the client's types mix in its async twin
            time.sleep(min(max(left / 1000, 0.01), 0.5))
            self._check()
        try:
            yield
        finally:
            redis.pexpire(key, max(int(delay * 1000), 1))
