"""One round through a website: from page to page, until all have been visited or the limit is reached."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from celery import Task
from django.db import transaction
from django.utils import timezone

from documents.crawl.base import FORBIDDEN, GONE, MANY_QUERIES, NOT_COUNTED, REDIRECTED
from documents.crawl.pages import bring_back, read_again_if_failed, set_aside, store
from documents.enums import CrawlMode, CrawlStage, PageStatus
from documents.exceptions import CrawlError
from documents.ingestion.base import IngestionError
from documents.ingestion.web.addresses import (
    MAX_QUERIES,
    canonical,
    host_of,
    is_allowed,
    is_media,
    is_trap,
    name_of,
)
from documents.ingestion.web.pages import WebPage
from documents.ingestion.web.reader import PageReader
from documents.models import Crawl, WebsitePage
from documents.site import FILE_TYPES, HTML_TYPES, MAX_PAGE_BYTES, Site, Sitemaps
from knowrithm import jobs as task_records
from knowrithm.db.lease import LostLeaseError
from knowrithm.db.schema import release_connection
from knowrithm.net.outbound import FetchedPage, OutboundError

MAX_REDIRECTS = 5
MAX_FORBIDDEN = 200  # addresses that robots.txt forbids, of which a crawl tells

LEFT_OUT = {
    FORBIDDEN: "The site's robots.txt forbids reading this page.",
    MANY_QUERIES: f"A crawl reads {MAX_QUERIES} query strings of one path. This one, and perhaps more, were left out.",
}


@dataclass(frozen=True, slots=True)
class Found:
    """An address to be put on the list. `code` says why it is not read, "" that it will be."""

    url: str
    depth: int
    code: str = ""


class Round:
    def __init__(self, crawl: Crawl, reader: PageReader, check: Callable[[], None], ingest: Task[Any, Any]) -> None:
        self.crawl, self.source, self.ingest = crawl, crawl.source, ingest
        self.reader = reader
        self.site = Site(crawl.source.base_url, reader, check)
        self.check = check
        self.found: set[str] = set()
        self.counted = self.forbidden = self.position = 0
        self.queries: Counter[str] = Counter()
        self.left_out: set[str] = set()  # paths with more query strings

    def work(self) -> None:
        self._remember()
        if not self.found:
            self._begin()
        while (page := self._next()) is not None:
            self.check()
            if self.crawl.requests >= 2 * self.crawl.max_pages + MAX_REDIRECTS:
                self.crawl.is_cut_short = True
                break
            self._visit(page)

    def _remember(self) -> None:
        """What an earlier worker has found."""
        rows = self.source.pages.filter(found_in=self.crawl.id).values_list("url", "cause_code", "position")
        for url, code, position in rows:
            self._count(url, code)
            self.position = max(self.position, position)

    def _count(self, url: str, code: str) -> None:
        self.found.add(url)
        self.queries[_without_query(url)] += 1
        self.forbidden += code == FORBIDDEN
        self.counted += code not in NOT_COUNTED
        if code == MANY_QUERIES:
            self.left_out.add(_without_query(url))

    def _begin(self) -> None:
        now = timezone.now()
        if not self.crawl.update_if_held(stage=CrawlStage.CRAWLING, started_at=self.crawl.started_at or now):
            raise LostLeaseError
        self.site.robots_of(self.source.base_url)  # raises when nothing may be crawled
        starts = [
            canonical(address, self.source.base_url) for address in [self.source.base_url, *self.source.seed_urls]
        ]
        addresses = [address for address in starts if address is not None and self.site.is_own(address)]
        if self.source.mode == CrawlMode.SITEMAP:
            addresses = self._pages_of_sitemaps()
        if self.source.mode == CrawlMode.SINGLE:
            addresses = addresses[:1]
        found = self._choose(addresses, depth=0, are_named=True)
        with transaction.atomic():
            self._put(found)
            names = ("archived_count", "is_cut_short", "has_outages")
            if not self.crawl.update_if_held(**{name: getattr(self.crawl, name) for name in names}, sitemaps={}):
                raise LostLeaseError
        if not self.counted:
            text = "The site's robots.txt forbids the address that the crawl would begin with."
            raise CrawlError(text, "CRAWL_FORBIDDEN")

    def _pages_of_sitemaps(self) -> list[str]:
        known = self.crawl.sitemaps  # what an earlier worker has read: some sites need longer than one has
        found = Sitemaps(**known) if known else self.site.sitemaps()

        def keep() -> None:
            self.crawl.attempts = 1
            if not self.crawl.update_if_held(
                sitemaps=asdict(found), attempts=self.crawl.attempts, updated_at=timezone.now()
            ):
                raise LostLeaseError

        self.site.read_sitemaps(found, self.crawl.max_pages + 1, may_read=self._may_read, keep=keep)
        if not found.pages:
            why = " ".join(found.problems) or "It names no page of this site that is to be read."
            raise CrawlError(f"No sitemap with pages was found. {why}", "CRAWL_NO_SITEMAP")
        return found.pages

    def _next(self) -> WebsitePage | None:
        waiting = self.source.pages.filter(found_in=self.crawl.id).exclude(visited_in=self.crawl.id)
        return waiting.select_related("document").order_by("depth", "position").first()

    def _choose(self, addresses: Iterable[str], *, depth: int, are_named: bool = False) -> list[Found]:
        """Which of them go on the list, as far as the limits allow.

        `are_named` by a sitemap or a person: they are no calendar that never ends, however many queries there are.
        Another host's robots.txt may be asked for: call it outside of transactions.
        """
        chosen: list[Found] = []
        for address in dict.fromkeys(addresses):
            if address in self.found or is_trap(address):
                continue
            code = "" if self.site.allows(address) else FORBIDDEN
            if code and self.forbidden >= MAX_FORBIDDEN:
                continue
            if not code and self.counted >= self.crawl.max_pages:
                self.crawl.is_cut_short = True
                break
            if not are_named and self.queries[_without_query(address)] >= MAX_QUERIES:
                chosen += [] if code else [Found(address, depth, MANY_QUERIES)]
                continue
            self._count(address, code)
            chosen.append(Found(address, depth, code))
        return chosen

    def _put(self, chosen: Sequence[Found]) -> None:
        """Put them on the list. Call in the transaction that says that what they were found on has been visited."""
        known = {page.url: page for page in self.source.pages.filter(url__in=[found.url for found in chosen])}
        now = timezone.now()
        for found in chosen:
            page = known.get(found.url) or WebsitePage(source=self.source, url=found.url)
            is_answering = page.document_id is not None and not page.is_document_out
            if is_answering and (found.code == MANY_QUERIES or host_of(found.url) in self.site.silent):
                self.crawl.has_outages = True
                continue
            if found.code == MANY_QUERIES:
                if _without_query(found.url) in self.left_out:
                    continue  # one tells of all
                self._count(found.url, found.code)
            self.position += 1
            page.depth, page.position, page.last_seen_at, page.found_in = found.depth, self.position, now, self.crawl.id
            if page.cause_code in NOT_COUNTED:
                page.status, page.cause, page.cause_code = PageStatus.PENDING, "", ""
            if found.code:
                self.crawl.archived_count += set_aside(page, LEFT_OUT[found.code], found.code)
                page.visited_in = self.crawl.id
            page.save()

    # --- One page

    def _visit(self, page: WebsitePage) -> None:
        release_connection()
        try:
            response = self._get(page)
        except OutboundError as error:
            self._failed(page, str(error), "PAGE_UNREACHABLE", is_outage=not error.permanent)
            return
        if response is None:
            return  # sent elsewhere
        moved = page if response.url == page.url else self._moved(page, response)
        if moved is None:
            return
        page = moved
        page.http_status = response.status
        if response.status == 304:
            self._read(page, page.links, page.content_hash, None)
        elif response.status in {404, 410}:
            self._aside(page, f"The site says that the page is not there (status {response.status}).", GONE)
        elif response.status in {401, 403, 407}:
            self._failed(page, f"The site refuses to show this page (status {response.status}).", "PAGE_REFUSED")
        elif response.status >= 400:
            if response.status in {429, 503}:
                self.site.slower = min(self.site.slower * 2, 16)
            text = f"The site answered with status {response.status}."
            self._failed(page, text, "PAGE_ERROR", is_outage=response.status >= 500 or response.status == 429)
        elif response.content_type in HTML_TYPES:
            self._read_html(page, response)
        elif response.content_type in FILE_TYPES:
            self._read_file(page, response)
        else:
            kind = response.content_type[:100]
            self._aside(page, f"This is no page but {kind}.", "PAGE_WRONG_TYPE")

    def _get(self, page: WebsitePage) -> FetchedPage | None:
        """The page, redirects followed one by one. None: they lead where nothing is read, which is written down."""
        url, passed = page.url, {page.url}
        headers = _conditions(page)
        while True:
            self.crawl.requests += 1
            response = self.site.get(url, headers)
            location = response.headers.get("location", "")
            if response.status not in {301, 302, 303, 307, 308} or not location:
                return response
            target, headers = canonical(location, url), {}
            if target is None:
                self._failed(page, "The page redirects to an address that is none.", "PAGE_BAD_REDIRECT")
            elif not self.site.is_own(target):
                self._aside(page, f"The page redirects to another site: {target}", "PAGE_ELSEWHERE")
            elif target in passed or len(passed) > MAX_REDIRECTS:
                self._failed(page, "The page redirects in a circle, or too many times.", "PAGE_REDIRECT_LOOP")
            elif not self.site.allows(target) and host_of(target) in self.site.silent:
                text = f"The page redirects to {target}, and the robots.txt there does not answer."
                self._failed(page, text, "PAGE_UNREACHABLE", is_outage=True)
            elif not self.site.allows(target):
                self._aside(page, f"The page redirects to one that robots.txt forbids: {target}", "PAGE_ELSEWHERE")
            elif not self._may_redirect(page, target):
                text = f"The page redirects to one outside of the paths that are to be read: {target}"
                self._aside(page, text, "PAGE_ELSEWHERE")
            else:
                url = target
                passed.add(url)
                continue
            return None

    def _moved(self, page: WebsitePage, response: FetchedPage) -> WebsitePage | None:
        """The row of the page that a redirect has led to; None when it was or will be visited for itself."""
        target = canonical(response.url) or response.url
        is_found = target in self.found
        self.counted -= 1
        if not is_found:
            self._count(target, "")
        found = [] if is_found else [Found(target, page.depth)]
        self._aside(page, f"The page redirects to {target}", REDIRECTED, found=found)
        return None if is_found else self.source.pages.select_related("document").get(url=target)

    def _read_html(self, page: WebsitePage, response: FetchedPage) -> None:
        if len(response.body) > MAX_PAGE_BYTES:
            self._failed(page, "The page is larger than 10 MB.", "PAGE_TOO_LARGE")
            return
        try:
            read = self.reader.read_page(
                response.body,
                page.url,
                content_type=response.headers.get("content-type", ""),
                robots_tag=response.headers.get("x-robots-tag", ""),
            )
        except IngestionError as error:
            self._failed(page, str(error), "PAGE_UNREADABLE")
            return
        page.title, page.language, page.content_length = read.title, read.language, read.length
        links = self._own(read.links)
        if read.is_noindex:
            self._aside(page, "The page asks not to be indexed (noindex).", "PAGE_NOINDEX", links)
        elif self._is_copy_of_canonical(page, read):
            text = f"The page names another one as its original: {read.canonical}"
            self._aside(page, text, "PAGE_COPY", links, found=self._choose([read.canonical], depth=page.depth))
        elif not read.length:
            self._aside(page, "The page holds no text.", "PAGE_EMPTY", links)
        else:
            _remember_version(page, response)
            name = f"{name_of(page.url).removesuffix('.html')}.html"
            self._read(page, links, read.digest, (name, "html", read.html.encode()))

    def _is_copy_of_canonical(self, page: WebsitePage, read: WebPage) -> bool:
        own = read.canonical
        if not own or own == page.url or not self.site.is_own(own) or not self._may_read(own):
            return False
        if self.source.mode == CrawlMode.SINGLE or not self.site.allows(own):
            return False
        if own not in self.found and self.counted >= self.crawl.max_pages:
            self.crawl.is_cut_short = True  # the original would be one too many: this page is better than none
            return False
        # Two pages that name each other: the first one visited stays aside, this one is read.
        other = self.source.pages.filter(url=own, visited_in=self.crawl.id).exclude(status=PageStatus.CRAWLED)
        return not other.exists()

    def _read_file(self, page: WebsitePage, response: FetchedPage) -> None:
        kind = FILE_TYPES[response.content_type]
        page.title = ""
        page.content_length = len(response.body)
        if "noindex" in response.headers.get("x-robots-tag", "").lower():
            self._aside(page, "The file asks not to be indexed (noindex).", "PAGE_NOINDEX")
            return
        if not response.body:
            self._aside(page, "The file is empty.", "PAGE_EMPTY")
            return
        name = name_of(page.url)
        name = name if name.lower().endswith(f".{kind}") else f"{name}.{kind}"
        _remember_version(page, response)
        self._read(page, [], hashlib.sha256(response.body).hexdigest(), (name, kind, response.body))

    def _may_read(self, url: str) -> bool:
        return is_allowed(url, self.source.allowed_paths, self.source.disallowed_paths)

    def _may_redirect(self, page: WebsitePage, target: str) -> bool:
        """As paths go. Where a crawl begins need not be one of those that are to be read, nor where that leads."""
        is_start = page.depth == 0 and self.source.mode != CrawlMode.SITEMAP
        return is_allowed(target, () if is_start else self.source.allowed_paths, self.source.disallowed_paths)

    def _own(self, links: Iterable[str]) -> list[str]:
        """Those that lead to pages of this site."""
        return [url for url in links if self.site.is_own(url) and not is_media(url)]

    # --- What became of it

    def _read(self, page: WebsitePage, links: list[str], digest: str, content: tuple[str, str, bytes] | None) -> None:
        """The page is one that answers come from. `content` (name, type, bytes) is None when it has not changed."""
        others = self.source.pages.filter(content_hash=digest, status=PageStatus.CRAWLED, found_in=self.crawl.id)
        if page.document is not None and not page.is_document_out:
            others = others.filter(visited_in=self.crawl.id)  # else the one that is known stays
        other = others.exclude(pk=page.pk).first()
        if content is not None and other is not None:
            self._aside(page, f"The page says the same as {other.url}", "PAGE_DUPLICATE", links)
            return
        is_new = content is not None and (page.content_hash != digest or page.document is None)
        found = self._follow(page, links)
        with transaction.atomic():
            if is_new and content is not None:
                store(page, content, self.ingest)
                page.last_changed_at = timezone.now()
            else:
                if page.is_document_out:
                    bring_back(page)
                read_again_if_failed(page, self.ingest)
            page.status, page.cause, page.cause_code, page.content_hash = PageStatus.CRAWLED, "", "", digest
            self._done(page, links, found, changed=is_new)

    def _aside(
        self, page: WebsitePage, cause: str, code: str, links: Sequence[str] = (), *, found: Sequence[Found] = ()
    ) -> None:
        """`found` is what it leads to besides its links."""
        found = [*found, *self._follow(page, links)]
        with transaction.atomic():
            self.crawl.archived_count += set_aside(page, cause, code)
            self._done(page, links, found)

    def _failed(self, page: WebsitePage, cause: str, code: str, *, is_outage: bool = False) -> None:
        """What answers come from stays, and what the page has linked to: the site may have a bad day.

        The page is asked for anew next time.
        """
        page.status, page.cause, page.cause_code = PageStatus.FAILED, cause.replace("\0", ""), code
        page.etag = page.last_modified = ""
        self.crawl.has_outages |= is_outage
        found = self._follow(page, page.links)
        with transaction.atomic():
            self._done(page, page.links, found)

    def _done(
        self, page: WebsitePage, links: Sequence[str], found: Sequence[Found] = (), *, changed: bool = False
    ) -> None:
        """It has been visited, and what was `found` on it is on the list: both or neither, should this worker die."""
        self._put(found)
        page.links = list(links)
        page.visited_in, page.last_crawled_at = self.crawl.id, timezone.now()
        page.save()
        crawl = self.crawl
        crawl.processed_count += page.cause_code not in NOT_COUNTED
        crawl.changed_count += changed
        written = {
            name: getattr(crawl, name)
            for name in (
                "requests", "processed_count", "changed_count", "archived_count", "is_cut_short", "has_outages",
            )
        }  # fmt: skip
        crawl.attempts = 1
        if not crawl.update_if_held(attempts=crawl.attempts, updated_at=timezone.now(), **written):
            raise LostLeaseError
        share = 90 * crawl.processed_count // max(min(self.counted, crawl.max_pages), 1)
        task_records.report_progress(str(crawl.task_id), share, f"{crawl.processed_count} pages read")

    def _follow(self, page: WebsitePage, links: Sequence[str]) -> list[Found]:
        if self.source.mode != CrawlMode.LINKS or page.depth >= self.source.max_depth:
            return []
        # By the paths of now: remembered links are older than those.
        return self._choose(filter(self._may_read, links), depth=page.depth + 1)


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}"


def _conditions(page: WebsitePage) -> dict[str, str]:
    """Headers by which the site may answer that nothing has changed."""
    if page.status != PageStatus.CRAWLED or page.document is None:
        return {}
    headers = {"If-None-Match": page.etag, "If-Modified-Since": page.last_modified}
    return {name: value for name, value in headers.items() if value}


def _remember_version(page: WebsitePage, response: FetchedPage) -> None:
    etag, modified = response.headers.get("etag", ""), response.headers.get("last-modified", "")
    page.etag = etag if len(etag) <= 300 and etag.isascii() and etag.isprintable() else ""
    page.last_modified = modified if len(modified) <= 100 and modified.isascii() and modified.isprintable() else ""
