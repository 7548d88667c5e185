"""What a worker does with a crawl: claim, find the pages, read each, hand what has changed to ingestion, finish.

Pages are rows, found and visited: a crawl whose worker has died goes on where it stopped. A worker gives a long crawl
back now and then, so that others have their turn. A crawl always ends completed, cancelled, or failed with its cause.
"""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from celery import Task
from django.core.files.base import ContentFile
from django.db import OperationalError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest
from django.utils import timezone

from documents.enums import CrawlMode, CrawlStage, DocumentStatus, JobStatus, PageStatus, SourceStatus
from documents.exceptions import CrawlError
from documents.ingestion.base import IngestionError
from documents.ingestion.web.addresses import (
    MAX_QUERIES,
    canonical,
    is_allowed,
    is_media,
    is_trap,
    name_of,
)
from documents.ingestion.web.pages import WebPage
from documents.ingestion.web.reader import PageReader
from documents.jobs import ask_for_worker
from documents.models import Crawl, Document, IngestionJob, WebsitePage, WebsiteSource, owned_by
from documents.site import FILE_TYPES, HTML_TYPES, MAX_PAGE_BYTES, Site
from knowrithm import jobs as task_records
from knowrithm.db.redis import sync_redis
from knowrithm.db.schema import release_connection
from knowrithm.jobs import create_task, enqueue
from knowrithm.net.outbound import FetchedPage, OutboundError
from tenants.audit.services import record_event

log = structlog.get_logger(__name__)

RELATED = ("source__agent", "source__dataset")
MAX_ATTEMPTS = 4
SLOTS = 4  # crawls at a time
SLOT_MILLISECONDS = 90_000  # longer than a crawl is silent
SLICE = 60.0  # seconds that one worker works on one crawl at a stretch
MAX_REDIRECTS = 5
MAX_FORBIDDEN = 200  # addresses that robots.txt forbids, of which a crawl tells
INDEXING_PATIENCE = timedelta(minutes=15)
KEPT_CRAWLS = 20
UNFINISHED = (JobStatus.PENDING, JobStatus.PROCESSING)
GONE, UNLINKED, FORBIDDEN, REDIRECTED = "PAGE_GONE", "PAGE_UNLINKED", "PAGE_FORBIDDEN", "PAGE_REDIRECTED"
NOT_COUNTED = (FORBIDDEN, REDIRECTED)  # against the limit of pages


class LostLeaseError(Exception):
    """The crawl was cancelled, or another worker has taken it over: this one must not write any more."""


class SliceOverError(Exception):
    """Somebody else's turn."""


def run(crawl_id: uuid.UUID, task: Task[Any, Any], ingest: Task[Any, Any]) -> None:
    """Work on a crawl if it is free. `task` is queued again when there is more to do, `ingest` for each document."""
    with _slot() as slot:
        if slot is not None:
            _work_on(crawl_id, task, ingest, slot)
        elif Crawl.objects.filter(pk=crawl_id, status=JobStatus.PENDING).update(updated_at=timezone.now()):
            enqueue(task, str(crawl_id), countdown=3)


@contextmanager
def _slot() -> Iterator[str | None]:
    """The right to crawl now: the threads that crawl are those that answer questions. None: too many crawl already."""
    redis, mine = sync_redis(), None
    for number in random.sample(range(SLOTS), SLOTS):
        key = f"crawl-slot:{number}"
        if redis.set(key, "1", nx=True, px=SLOT_MILLISECONDS):
            mine = key
            break
    try:
        yield mine
    finally:
        if mine is not None:
            redis.delete(mine)


def _work_on(crawl_id: uuid.UUID, task: Task[Any, Any], ingest: Task[Any, Any], slot: str) -> None:
    crawl = Crawl.claim(crawl_id, *RELATED)
    if crawl is None:
        return  # finished, cancelled, or another worker's
    try:
        if crawl.stage != CrawlStage.INDEXING:
            with crawl.kept_alive() as held, PageReader() as reader:
                deadline = time.monotonic() + SLICE

                def check() -> None:
                    sync_redis().pexpire(slot, SLOT_MILLISECONDS)
                    if not held.is_set():
                        raise LostLeaseError
                    if time.monotonic() > deadline:
                        raise SliceOverError

                _Round(crawl, reader, check, ingest).work()
            _finish_pages(crawl)
        if not _await_documents(crawl, task):
            _complete(crawl)
    except SliceOverError:
        _go_on_later(crawl, task, 0)
    except LostLeaseError:
        log.warning("crawl_lease_lost", crawl=str(crawl.id))
    except CrawlError as error:
        _fail(crawl, str(error), error.code)
    except OperationalError as error:
        log.warning("crawl_database_unavailable", crawl=str(crawl.id), error=str(error))
        raise  # the lease runs out and the crawl is resumed
    except Exception:
        log.exception("crawl_failed", crawl=str(crawl.id))
        if crawl.attempts >= MAX_ATTEMPTS:
            _fail(crawl, "The website could not be crawled because of a fault on our side.", "CRAWL_INTERNAL_ERROR")
        else:
            _go_on_later(crawl, task, 5.0 * 3**crawl.attempts, is_progress=False)


# --- The round ----------------------------------------------------------------------------------------------------


class _Round:
    def __init__(self, crawl: Crawl, reader: PageReader, check: Callable[[], None], ingest: Task[Any, Any]) -> None:
        self.crawl, self.source, self.ingest = crawl, crawl.source, ingest
        self.reader = reader
        self.site = Site(crawl.source.base_url, reader, check)
        self.check = check
        self.found: set[str] = set()
        self.counted = self.forbidden = self.position = 0
        self.queries: Counter[str] = Counter()

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

    def _begin(self) -> None:
        now = timezone.now()
        if not self.crawl.update_if_held(stage=CrawlStage.CRAWLING, started_at=now):
            raise LostLeaseError
        self.site.robots_of(self.source.base_url)  # raises when nothing may be crawled
        starts = [
            canonical(address, self.source.base_url) for address in [self.source.base_url, *self.source.seed_urls]
        ]
        addresses = [address for address in starts if address is not None and self.site.is_own(address)]
        if self.source.mode == CrawlMode.SITEMAP:
            found = self.site.sitemap_pages(self.crawl.max_pages + 1)
            if not found.addresses:
                why = " ".join(found.problems) or "It names no page of this site."
                raise CrawlError(f"No sitemap with pages was found. {why}", "CRAWL_NO_SITEMAP")
            own = (self.source.allowed_paths, self.source.disallowed_paths)
            addresses = [address for address in found.addresses if is_allowed(address, *own)]
        if self.source.mode == CrawlMode.SINGLE:
            addresses = addresses[:1]
        self._add(addresses, depth=0)
        if not self.counted:
            text = "The site's robots.txt forbids the address that the crawl would begin with."
            raise CrawlError(text, "CRAWL_FORBIDDEN")

    def _next(self) -> WebsitePage | None:
        waiting = self.source.pages.filter(found_in=self.crawl.id).exclude(visited_in=self.crawl.id)
        return waiting.select_related("document").order_by("depth", "position").first()

    def _add(self, addresses: Iterable[str], *, depth: int) -> None:
        """Put addresses on the list, as far as the limits allow."""
        taken: list[tuple[str, str]] = []  # address, why not
        for address in dict.fromkeys(addresses):
            if address in self.found or is_trap(address):
                continue
            code = "" if self.site.allows(address) else FORBIDDEN
            if code and self.forbidden >= MAX_FORBIDDEN:
                continue
            if not code and self.counted >= self.crawl.max_pages:
                self.crawl.is_cut_short = True
                break
            if self.queries[_without_query(address)] >= MAX_QUERIES:
                continue
            self._count(address, code)
            taken.append((address, code))
        known = {page.url: page for page in self.source.pages.filter(url__in=[address for address, _ in taken])}
        now = timezone.now()
        for address, code in taken:
            self.position += 1
            page = known.get(address) or WebsitePage(source=self.source, url=address)
            page.depth, page.position, page.last_seen_at, page.found_in = depth, self.position, now, self.crawl.id
            if page.cause_code in NOT_COUNTED:
                page.status, page.cause, page.cause_code = PageStatus.PENDING, "", ""
            if code:
                _set_aside(page, "The site's robots.txt forbids reading this page.", code)
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
            elif not self.site.allows(target):
                self._aside(page, f"The page redirects to one that robots.txt forbids: {target}", "PAGE_ELSEWHERE")
            else:
                url = target
                passed.add(url)
                continue
            return None

    def _moved(self, page: WebsitePage, response: FetchedPage) -> WebsitePage | None:
        """The row of the page that a redirect has led to; None when it was or will be visited for itself."""
        target = canonical(response.url) or response.url
        is_found = target in self.found
        self._aside(page, f"The page redirects to {target}", REDIRECTED)
        self.counted -= 1
        if is_found:
            return None
        self._count(target, "")
        row = self.source.pages.select_related("document").filter(url=target).first()
        row = row or WebsitePage(source=self.source, url=target)
        row.depth, row.position, row.found_in = page.depth, page.position, self.crawl.id
        row.last_seen_at = timezone.now()
        return row

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
            self._aside(page, f"The page names another one as its original: {read.canonical}", "PAGE_COPY", links)
            self._add([read.canonical], depth=page.depth)
        elif not read.length:
            self._aside(page, "The page holds no text.", "PAGE_EMPTY", links)
        else:
            _remember_version(page, response)
            self._read(page, links, read.digest, (f"{name_of(page.url)}.html", "html", read.html.encode()))

    def _is_copy_of_canonical(self, page: WebsitePage, read: WebPage) -> bool:
        own = read.canonical
        if not own or own == page.url or not self.site.is_own(own) or not self._may_read(own):
            return False
        if self.source.mode == CrawlMode.SINGLE or (own not in self.found and self.counted > self.crawl.max_pages):
            return False
        # Two pages that name each other: the first one visited stays aside, this one is read.
        other = self.source.pages.filter(url=own, visited_in=self.crawl.id).exclude(status=PageStatus.CRAWLED)
        return self.site.allows(own) and not other.exists()

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

    def _own(self, links: Iterable[str]) -> list[str]:
        """Those that this source may follow."""
        return [url for url in links if self.site.is_own(url) and not is_media(url) and self._may_read(url)]

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
        with transaction.atomic():
            if is_new and content is not None:
                _store(page, content, self.ingest)
                page.last_changed_at = timezone.now()
            elif page.is_document_out:
                _bring_back(page)
            page.status, page.cause, page.cause_code, page.content_hash = PageStatus.CRAWLED, "", "", digest
            self._done(page, links, changed=is_new)
        self._follow(page, links)

    def _aside(self, page: WebsitePage, cause: str, code: str, links: list[str] | None = None) -> None:
        with transaction.atomic():
            self.crawl.archived_count += _set_aside(page, cause, code)
            self._done(page, links or [])
        self._follow(page, links or [])

    def _failed(self, page: WebsitePage, cause: str, code: str, *, is_outage: bool = False) -> None:
        """What answers come from stays: the site may have a bad day. The page is asked for anew next time."""
        page.status, page.cause, page.cause_code = PageStatus.FAILED, cause.replace("\0", ""), code
        page.etag = page.last_modified = ""
        self.crawl.has_outages |= is_outage
        with transaction.atomic():
            self._done(page, page.links)

    def _done(self, page: WebsitePage, links: list[str], *, changed: bool = False) -> None:
        page.links = links
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
        if not crawl.update_if_held(attempts=1, updated_at=timezone.now(), **written):
            raise LostLeaseError
        share = 90 * crawl.processed_count // max(min(self.counted, crawl.max_pages), 1)
        task_records.report_progress(str(crawl.task_id), share, f"{crawl.processed_count} pages read")

    def _follow(self, page: WebsitePage, links: list[str]) -> None:
        if self.source.mode == CrawlMode.LINKS and links:
            if page.depth < self.source.max_depth:
                self._add(links, depth=page.depth + 1)
            if self.crawl.is_cut_short:
                Crawl.objects.filter(pk=self.crawl.pk).update(is_cut_short=True)


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


# --- Documents ----------------------------------------------------------------------------------------------------


def _store(page: WebsitePage, content: tuple[str, str, bytes], ingest: Task[Any, Any]) -> None:
    """The page's document with this content, to be read."""
    name, kind, body = content
    source = page.source
    document = page.document
    if document is None:
        document = Document(**owned_by(source.home), source_url=page.url)
        _count(source, +1)
    else:
        document.jobs.filter(status__in=UNFINISHED).update(status=JobStatus.CANCELLED, finished_at=timezone.now())
        if page.is_document_out and document.archived_at is not None:
            document.archived_at = None
            _count(source, +1)
    document.original_filename, document.document_type = name[-300:], kind
    document.title = page.title
    document.status, document.processing_error, document.error_code = DocumentStatus.PENDING, "", ""
    document.file_size, document.sha256 = len(body), hashlib.sha256(body).hexdigest()
    old, storage = document.file.name, document.file.storage
    document.file.save("original", ContentFile(body), save=False)
    if old and old != document.file.name:
        transaction.on_commit(lambda: storage.delete(old), robust=True)
    document.save()
    page.document, page.is_document_out = document, False
    IngestionJob.objects.create(document=document, task_id=create_task(), is_bulk=True)
    ask_for_worker(ingest)


def _set_aside(page: WebsitePage, cause: str, code: str) -> int:
    """No answer comes from this page any more. Returns how many documents were archived for it."""
    page.status, page.cause, page.cause_code = PageStatus.EXCLUDED, cause.replace("\0", ""), code
    page.etag = page.last_modified = ""
    if page.document is None or not archive_documents(page.source, [page.document.pk]):
        return 0
    page.is_document_out = True
    return 1


def _bring_back(page: WebsitePage) -> None:
    rows = Document.objects.archived().filter(pk=page.document_id)
    if rows.update(archived_at=None, updated_at=timezone.now()):
        _count(page.source, +1)
    page.is_document_out = False


def archive_documents(source: WebsiteSource, ids: Iterable[uuid.UUID]) -> int:
    """Take documents of this source's pages out of every answer. Returns how many were not so already."""
    now = timezone.now()
    taken = Document.objects.live().filter(pk__in=list(ids)).update(archived_at=now, updated_at=now)
    if taken:
        _count(source, -taken)
    return taken


def restore_documents(source: WebsiteSource, ids: Iterable[uuid.UUID]) -> int:
    brought = Document.objects.archived().filter(pk__in=list(ids)).update(archived_at=None, updated_at=timezone.now())
    if brought:
        _count(source, brought)
    return brought


def _count(source: WebsiteSource, difference: int) -> None:
    count = Greatest(F("documents_count") + difference, 0)
    type(source.home)._default_manager.filter(pk=source.home.pk).update(documents_count=count)


# --- The end ------------------------------------------------------------------------------------------------------


def _pages_of(crawl: Crawl) -> QuerySet[WebsitePage]:
    return crawl.source.pages.filter(visited_in=crawl.id)


def _finish_pages(crawl: Crawl) -> None:
    """Every page has been visited: archive those that are linked from nowhere any more."""
    source = crawl.source
    if not _pages_of(crawl).filter(status=PageStatus.CRAWLED).exists():
        page = _pages_of(crawl).exclude(cause_code=REDIRECTED).first() or _pages_of(crawl).first()
        cause = f"No page could be read. {page.url}: {page.cause}" if page else "No page could be read."
        raise CrawlError(cause, "CRAWL_NO_PAGES")
    with transaction.atomic():
        if not (crawl.is_cut_short or crawl.has_outages):
            lost = source.pages.exclude(found_in=crawl.id).exclude(cause_code__in=(GONE, UNLINKED))
            for page in lost.select_related("document"):
                page.source = source
                crawl.archived_count += _set_aside(
                    page, "The crawl does not come to this page any more: no other one links to it.", UNLINKED
                )
                page.save()
        crawl.stage, crawl.pages_done_at = CrawlStage.INDEXING, timezone.now()
        source.pages_count = source.pages.filter(status=PageStatus.CRAWLED).count()
        WebsiteSource.objects.filter(pk=source.pk).update(pages_count=source.pages_count)
        if not crawl.update_if_held(
            stage=crawl.stage, pages_done_at=crawl.pages_done_at, archived_count=crawl.archived_count
        ):
            raise LostLeaseError


def _await_documents(crawl: Crawl, task: Task[Any, Any]) -> bool:
    """Come back until what was read can be found, without holding a worker meanwhile. False: nothing to wait for."""
    unfinished = (DocumentStatus.PENDING, DocumentStatus.PROCESSING)
    waiting = _pages_of(crawl).filter(document__status__in=unfinished, document__archived_at=None).count()
    since = crawl.pages_done_at or timezone.now()
    if not waiting or timezone.now() - since > INDEXING_PATIENCE:
        return False
    task_records.report_progress(str(crawl.task_id), 90, CrawlStage.INDEXING.label)
    _go_on_later(crawl, task, min(1 + waiting / 10, 10))
    return True


def _go_on_later(crawl: Crawl, task: Task[Any, Any], seconds: float, *, is_progress: bool = True) -> None:
    with transaction.atomic():
        attempts = 0 if is_progress else crawl.attempts
        if crawl.update_if_held(
            status=JobStatus.PENDING, lease_until=None, attempts=attempts, updated_at=timezone.now()
        ):
            enqueue(task, str(crawl.id), countdown=seconds)


def result_of(crawl: Crawl) -> dict[str, Any]:
    """What the published clients read of a crawl that has ended."""
    pages = list(_pages_of(crawl).values_list("url", "status", "cause", "cause_code")[:2000])
    return {
        "status": "completed" if crawl.status == JobStatus.COMPLETED else str(crawl.status),
        "website_source_id": str(crawl.source_id),
        "processed_pages": crawl.processed_count,
        "changed_pages": crawl.changed_count,
        "archived_pages": crawl.archived_count,
        "is_cut_short": crawl.is_cut_short,
        "discovered_urls": [url for url, _, _, code in pages if code not in NOT_COUNTED],
        "failures": [{"url": url, "error": cause} for url, status, cause, _ in pages if status == PageStatus.FAILED],
    }


def _complete(crawl: Crawl) -> None:
    source, now = crawl.source, timezone.now()
    with transaction.atomic():
        if not crawl.update_if_held(status=JobStatus.COMPLETED, stage=CrawlStage.DONE, finished_at=now):
            raise LostLeaseError
        crawl.status = JobStatus.COMPLETED
        _end(source, SourceStatus.ACTIVE, last_crawl_completed_at=now)
        counts = {name: (None, getattr(crawl, name)) for name in ("processed_count", "changed_count", "archived_count")}
        record_event(actor=None, event_type="website_source.crawled", entity=source, changes=counts)
    task_records.complete_task(str(crawl.task_id), result_of(crawl))


def _fail(crawl: Crawl, cause: str, code: str) -> None:
    cause = cause.replace("\0", "")
    with transaction.atomic():
        if not crawl.update_if_held(
            status=JobStatus.FAILED, error=cause, error_code=code, finished_at=timezone.now(), lease_until=None
        ):
            return
        _end(crawl.source, SourceStatus.FAILED, last_error=cause, error_code=code)
    task_records.fail_task(str(crawl.task_id), cause, code)


def _end(source: WebsiteSource, status: SourceStatus, **values: Any) -> None:
    now = timezone.now()
    source.refresh_from_db(fields=["crawl_frequency_minutes", "is_paused"])
    minutes = source.crawl_frequency_minutes if source.is_scheduled else 0
    values = {"last_error": "", "error_code": "", **values}
    next_at = now + timedelta(minutes=minutes) if minutes else None
    rows = WebsiteSource.objects.filter(pk=source.pk)
    rows.update(last_crawl_status=status, next_crawl_at=next_at, updated_at=now, **values)
    kept = source.crawls.order_by("-created_at").values_list("pk", flat=True)[:KEPT_CRAWLS]
    source.crawls.exclude(pk__in=list(kept)).delete()


def cancel(source: WebsiteSource) -> bool:
    """End the crawl that goes on. What it has read stays. False when there is none."""
    crawl = source.crawls.filter(status__in=UNFINISHED).first()
    if crawl is None:
        return False
    stopped = Crawl.objects.filter(pk=crawl.pk, status__in=UNFINISHED).update(
        status=JobStatus.CANCELLED, finished_at=timezone.now(), lease_until=None
    )
    if stopped:
        _end(source, SourceStatus.ACTIVE)
        pages_count = source.pages.filter(status=PageStatus.CRAWLED).count()
        WebsiteSource.objects.filter(pk=source.pk).update(pages_count=pages_count)
        task_id = str(crawl.task_id)
        transaction.on_commit(lambda: task_records.fail_task(task_id, "The crawl was stopped.", "CRAWL_CANCELLED"))
    return bool(stopped)


# --- Beginning ----------------------------------------------------------------------------------------------------


def begin(source: WebsiteSource, task: Task[Any, Any], *, max_pages: int | None = None) -> Crawl | None:
    """Queue a crawl; None when one goes on already. Call inside a transaction."""
    locked = WebsiteSource.objects.select_for_update().get(pk=source.pk)
    if locked.crawls.filter(status__in=UNFINISHED).exists():
        return None
    limit = 1 if source.mode == CrawlMode.SINGLE else max_pages or source.max_pages
    crawl = Crawl.objects.create(source=source, max_pages=limit, task_id=create_task())
    now = timezone.now()
    source.last_crawl_status, source.last_crawl_started_at = SourceStatus.CRAWLING, now
    WebsiteSource.objects.filter(pk=source.pk).update(
        last_crawl_status=SourceStatus.CRAWLING, last_crawl_started_at=now, next_crawl_at=None
    )
    enqueue(task, str(crawl.id))
    return crawl


def crawl_due(task: Task[Any, Any]) -> None:
    """What beat asks for: crawls whose worker has died or whose message was lost, and sources whose time has come."""
    now = timezone.now()
    lost = Crawl.objects.filter(status=JobStatus.PENDING, updated_at__lt=now - timedelta(minutes=5))
    for crawl in [*Crawl.abandoned(), *lost]:
        if crawl.attempts >= MAX_ATTEMPTS and crawl.status == JobStatus.PROCESSING:
            claimed = Crawl.claim(crawl.pk, *RELATED)
            if claimed is not None:
                _fail(claimed, "Crawling this website failed several times.", "CRAWL_INTERNAL_ERROR")
            continue
        Crawl.objects.filter(pk=crawl.pk).update(updated_at=now)
        enqueue(task, str(crawl.id))
    due = WebsiteSource.objects.live().filter(next_crawl_at__lte=now, is_paused=False, crawl_frequency_minutes__gt=0)
    due = due.filter(Q(agent__isnull=False, agent__archived_at=None) | Q(dataset__archived_at=None, agent=None))
    for source in due.select_related("agent", "dataset")[:100]:
        with transaction.atomic():
            begin(source, task)
