"""Crawling when something goes wrong: a worker dies, its time is over, a site has a bad moment. Nothing may be lost."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from django.utils import timezone

from conftest import Character
from documents import crawl, site
from documents.crawl import work
from documents.crawl.base import MAX_ATTEMPTS, SliceOverError
from documents.crawl.visits import Round
from documents.enums import DocumentStatus, JobStatus
from documents.models import Crawl, Document, WebsitePage, WebsiteSource
from documents.services import archive_document, create_website_source, start_crawl, update_website_source
from documents.tasks import crawl_website, ingest
from documents.tests.test_crawl import causes, go, go_on, paths, register
from documents.tests.website import Page, Website, html, redirect, serving


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Website]:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    settings.CRAWL_DELAY_MILLISECONDS = 0
    with serving() as server:
        yield server


class WorkerDiedError(BaseException):
    pass


def die_at(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker dies when it writes down this address, the first time."""
    real = WebsitePage.save
    died: list[str] = []

    def save(self: WebsitePage, *arguments: Any, **options: Any) -> None:
        if self.url.endswith(path) and not died:
            died.append(path)
            raise WorkerDiedError
        real(self, *arguments, **options)

    monkeypatch.setattr(WebsitePage, "save", save)


@pytest.mark.parametrize(
    ("mode", "path"), [("links", "/b"), ("links", "/new"), ("links", "/original"), ("sitemap", "/b")]
)
def test_what_a_dead_worker_had_not_written_down_is_found_again(
    in_acme: Character, web: Website, monkeypatch: pytest.MonkeyPatch, mode: str, path: str
) -> None:
    urls = "".join(f"<url><loc>{web.url(path)}</loc></url>" for path in ("/a", "/b", "/moved", "/copy"))
    web.pages |= {
        "/sitemap.xml": Page(f"<urlset>{urls}</urlset>".encode(), headers={"Content-Type": "text/xml"}),
        "/": html("The shop opens at nine.", "/a", "/b", "/moved", "/copy", ETag='"one"'),
        "/a": html("Page a says this."),
        "/b": html("Page b says this."),
        "/moved": redirect("/new"),
        "/new": html("The page has a new address."),
        "/copy": html("This is a copy.", head='<link rel="canonical" href="/original">'),
        "/original": html("This is the original."),
    }
    source = register(in_acme, web, mode=mode)
    go(source)
    read = paths(source)
    assert {"/a", "/b", "/new", "/original"} <= read

    begun = start_crawl(actor=None, source=source)
    die_at(path, monkeypatch)
    with pytest.raises(WorkerDiedError):
        crawl.run(begun.pk, crawl_website, ingest)
    Crawl.objects.filter(pk=begun.pk).update(lease_until=timezone.now())
    done = go_on(source, begun)
    assert (done.status, done.archived_count, paths(source)) == ("completed", 0, read)
    assert Document.objects.live().count() == len(read)


def test_a_crawl_that_was_cut_short_at_its_beginning_remembers_it(
    in_acme: Character, web: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.otherwise = lambda path: html(f"Page {path} says this.")
    web.pages["/robots.txt"] = Page(b"", 404)
    source = register(in_acme, web, seed_urls=[web.url(path) for path in ("/a", "/b", "/c")])
    go(source)
    begun = start_crawl(actor=None, source=source, max_pages=2)
    visit = Round._visit

    def die(self: Round, page: WebsitePage) -> None:
        raise WorkerDiedError

    monkeypatch.setattr(Round, "_visit", die)
    with pytest.raises(WorkerDiedError):
        crawl.run(begun.pk, crawl_website, ingest)
    monkeypatch.setattr(Round, "_visit", visit)
    Crawl.objects.filter(pk=begun.pk).update(lease_until=timezone.now())
    done = go_on(source, begun)
    assert (done.is_cut_short, done.archived_count, len(paths(source))) == (True, 0, 4)


def test_sitemaps_that_take_longer_than_one_worker_has_are_read_once_each(
    in_acme: Character, web: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*names: str) -> Callable[[BaseHTTPRequestHandler], None]:
        kind, entry = ("urlset", "url") if "/a" in names else ("sitemapindex", "sitemap")
        entries = "".join(f"<{entry}><loc>{web.url(name)}</loc></{entry}>" for name in names)
        page = Page(f"<{kind}>{entries}</{kind}>".encode(), headers={"Content-Type": "text/xml"})

        def answer(handler: BaseHTTPRequestHandler) -> None:
            time.sleep(work.SLICE)
            page(handler)

        return answer

    monkeypatch.setattr(work, "SLICE", 1.0)
    maps = [f"/{number}.xml" for number in range(3)]
    web.otherwise = lambda path: html(f"Page {path} says this.")
    web.pages |= {
        "/robots.txt": Page(b"", 404),
        "/sitemap.xml": slow(*maps, "/sitemap.xml"),
        **{path: slow("/a", f"/b{path.removesuffix('.xml')}") for path in maps},
    }
    web.pages["/2.xml"] = Page(b"", 500)
    source = register(in_acme, web, mode="sitemap", disallowed_paths=["/b/0"])
    done = go(source)
    assert done.status == "completed"
    assert sorted(path for path in web.asked if path.endswith(".xml")) == ["/0.xml", "/1.xml", "/2.xml", "/sitemap.xml"]
    assert (paths(source), done.sitemaps) == ({"/a", "/b/1"}, {})


def test_the_limit_of_pages_counts_those_of_a_sitemap_that_are_to_be_read(in_acme: Character, web: Website) -> None:
    names = [*(f"/blog/{number}" for number in range(9)), "/docs/a", "/docs/b", "/docs/c"]
    urls = "".join(f"<url><loc>{web.url(name)}</loc></url>" for name in names)
    web.otherwise = lambda path: html(f"Page {path} says this.")
    web.pages |= {
        "/robots.txt": Page(b"", 404),
        "/sitemap.xml": Page(f"<urlset>{urls}</urlset>".encode(), headers={"Content-Type": "text/xml"}),
    }
    source = register(in_acme, web, mode="sitemap", allowed_paths=["/docs"], max_pages=2)
    done = go(source)
    assert (done.status, done.is_cut_short, paths(source)) == ("completed", True, {"/docs/a", "/docs/b"})
    source = register(in_acme, web, "/other", mode="sitemap", allowed_paths=["/other"])
    assert go(source).error_code == "CRAWL_NO_SITEMAP"


# --- What a site answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer", [Page(b"", 403), Page(b"", 400), Page(b"x" * (site.MAX_PAGE_BYTES + 1)), Page(b"", 500)]
)
def test_a_page_that_is_not_shown_today_goes_on_leading_to_others(
    in_acme: Character, web: Website, answer: Page
) -> None:
    web.pages |= {
        "/": html("The shop opens at nine.", "/hub"),
        "/hub": html("The hub says this.", "/a", "/b"),
        "/a": html("Page a says this."),
        "/b": html("Page b says this."),
    }
    source = register(in_acme, web)
    go(source)
    web.pages["/hub"] = answer
    web.pages["/a"] = html("Page a says that.")
    bad = go(source)
    assert (bad.archived_count, bad.changed_count, Document.objects.live().count()) == (0, 1, 4)
    assert source.pages.get(url=web.url("/hub")).status == "failed"


def test_links_that_are_remembered_are_followed_by_the_paths_of_now(in_acme: Character, web: Website) -> None:
    web.pages |= {
        "/": html("The shop opens at nine.", "/a", "/b", ETag='"one"'),
        "/a": html("Page a says this."),
        "/b": html("Page b says this."),
    }
    source = register(in_acme, web, disallowed_paths=["/b"])
    go(source)
    update_website_source(actor=in_acme.principal, source=source, changes={"disallowed_paths": ["/a"]})
    go(source)
    assert source.pages.get(url=web.url("/")).http_status == 304
    assert (paths(source), causes(source)) == ({"/", "/b"}, {"/a": "PAGE_UNLINKED"})


@pytest.mark.parametrize("headers", [{}, {"ETag": '"one"'}])
@pytest.mark.parametrize(("code", "after"), [("LLM_RATE_LIMITED", "processed"), ("DOC_DAMAGED", "failed")])
def test_a_document_that_failed_for_another_cause_than_its_file_is_read_with_the_next_crawl(
    in_acme: Character, web: Website, headers: dict[str, str], code: str, after: str
) -> None:
    web.pages["/"] = html("The shop opens at nine.", **headers)
    source = register(in_acme, web)
    go(source)
    Document.objects.update(status=DocumentStatus.FAILED, error_code=code, processing_error="It failed.")
    done = go(source)
    assert (done.status, done.changed_count) == ("completed", 0)
    document = Document.objects.get()
    assert (document.status, document.error_code) == (after, "" if after == "processed" else code)


def test_what_failed_and_was_archived_by_hand_stays_so(in_acme: Character, web: Website) -> None:
    web.pages["/"] = html("The shop opens at nine.")
    source = register(in_acme, web)
    go(source)
    Document.objects.update(status=DocumentStatus.FAILED, error_code="LLM_RATE_LIMITED")
    archive_document(actor=in_acme.principal, document=Document.objects.get())
    go(source)
    assert Document.objects.get().status == "failed"


def begun_and_given_back(who: Character, web: Website, monkeypatch: pytest.MonkeyPatch) -> tuple[WebsiteSource, Crawl]:
    """A crawl that has read the first of three pages when its time was over."""
    web.pages |= {
        "/": html("The shop opens at nine.", "/a", "/b"),
        "/a": html("Page a says this."),
        "/b": html("Page b says this."),
    }
    source = register(who, web)
    go(source)
    begun = start_crawl(actor=None, source=source)
    visit = Round._visit

    def visit_last(self: Round, page: WebsitePage) -> None:
        visit(self, page)
        raise SliceOverError

    monkeypatch.setattr(Round, "_visit", visit_last)
    crawl.run(begun.pk, crawl_website, ingest)
    monkeypatch.setattr(Round, "_visit", visit)
    return source, begun


def test_a_bad_moment_of_robots_txt_does_not_end_a_crawl_that_goes_on(
    in_acme: Character, web: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, begun = begun_and_given_back(in_acme, web, monkeypatch)
    web.pages["/robots.txt"] = Page(b"", 503)
    crawl.run(begun.pk, crawl_website, ingest)
    begun.refresh_from_db()
    assert (begun.status, begun.attempts, begun.due_at is not None) == (JobStatus.PENDING, 1, True)
    web.pages["/robots.txt"] = Page(b"", 404)
    done = go_on(source, begun)
    assert (done.status, done.processed_count, done.archived_count) == ("completed", 3, 0)


def test_a_crawl_whose_robots_txt_stays_away_fails_and_takes_nothing_away(
    in_acme: Character, web: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, begun = begun_and_given_back(in_acme, web, monkeypatch)
    web.pages["/robots.txt"] = Page(b"", 503)
    done = go_on(source, begun)
    assert (done.status, done.error_code, done.attempts) == ("failed", "CRAWL_ROBOTS_UNAVAILABLE", MAX_ATTEMPTS)
    assert web.asked.count("/robots.txt") == 2 + MAX_ATTEMPTS
    assert Document.objects.live().count() == 3


def test_a_bad_moment_of_robots_txt_on_the_other_host_takes_nothing_away(
    in_acme: Character, web: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site has two names, with and without `www.`, and pages at both."""
    port, real = web.server_address[1], socket.getaddrinfo

    def resolve(host: str, *arguments: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host.endswith("shop.example") else host, *arguments, **options)

    monkeypatch.setattr("knowrithm.net.policy.socket.getaddrinfo", resolve)
    other = f"http://www.shop.example:{port}"
    web.otherwise = lambda path: html(f"Page {path} says this.")
    web.pages |= {
        "/robots.txt": Page(b"", 404),
        "/": html("The shop opens at nine.", f"{other}/a", "/moved"),
        "/a": html("Page a says this.", f"{other}/below"),
        "/moved": redirect(f"{other}/new"),
        "/new": html("The page has a new address.", f"{other}/beside"),
    }
    address = f"http://shop.example:{port}/"
    source = create_website_source(actor=in_acme.principal, home=in_acme.agent, base_url=address)
    go(source)
    assert paths(source) == {"/", "/a", "/below", "/new", "/beside"}

    def robots(handler: BaseHTTPRequestHandler) -> None:
        Page(b"", 503 if handler.headers["Host"].startswith("www.") else 404)(handler)

    web.pages["/robots.txt"] = robots
    done = go(source)
    assert (done.status, done.archived_count, Document.objects.live().count()) == ("completed", 0, 5)
    assert source.pages.get(url=f"{address}moved").cause_code == "PAGE_UNREACHABLE"


def test_a_page_whose_original_is_beyond_the_limit_of_pages_is_read_itself(in_acme: Character, web: Website) -> None:
    copy = '<link rel="canonical" href="/original">'
    web.pages |= {
        "/": html("The shop opens at nine.", head=copy),
        "/original": html("The shop opens at nine, says the original.", head=copy),
    }
    source = register(in_acme, web)
    done = go(source, max_pages=1)
    assert (done.status, done.error_code, done.processed_count, paths(source)) == ("completed", "", 1, {"/"})
    assert done.is_cut_short
    assert (go(source, max_pages=2).archived_count, paths(source)) == (1, {"/original"})
    assert causes(source) == {"/": "PAGE_COPY"}
    again = go(source, max_pages=1)
    assert (again.status, again.archived_count, paths(source)) == ("completed", 0, {"/", "/original"})


def test_what_robots_txt_forbids_from_now_on_is_counted_with_what_is_archived(in_acme: Character, web: Website) -> None:
    web.pages |= {
        "/": html("The shop opens at nine.", "/a", "/b"),
        "/a": html("Page a says this."),
        "/b": html("Page b says this.", "/c"),
        "/c": html("Page c says this."),
    }
    source = register(in_acme, web, seed_urls=[web.url("/a")])
    go(source)
    web.pages["/robots.txt"] = Page(b"User-agent: *\nDisallow: /a\nDisallow: /c")
    done = go(source)
    assert (done.archived_count, causes(source)) == (2, dict.fromkeys(("/a", "/c"), "PAGE_FORBIDDEN"))
    assert Document.objects.live().count() == 2
    assert go(source).archived_count == 0
