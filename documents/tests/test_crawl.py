"""Crawling a website on loopback: which pages are read, which are not and why, and what a second crawl does."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from django.utils import timezone

from conftest import Character
from documents import crawl, site
from documents.crawl import work
from documents.crawl.visits import Round
from documents.enums import UNFINISHED_JOBS, JobStatus, PageStatus, SourceStatus
from documents.jobs import run as read_document
from documents.models import Crawl, Document, IngestionJob, WebsitePage, WebsiteSource
from documents.retrieval import retrieve
from documents.services import (
    archive_document,
    archive_website_source,
    cancel_crawl,
    create_website_source,
    edit_chunk,
    restore_website_source,
    start_crawl,
    update_website_source,
)
from documents.tasks import crawl_website, ingest
from documents.tests.website import Page, Website, html, redirect, serving
from knowrithm.jobs import read_task

PRIVATE = (
    "Connections to {} are not allowed: it is not a public address. "
    "Who runs this installation can allow it with OUTBOUND_ALLOW."
)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Website]:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    settings.CRAWL_DELAY_MILLISECONDS = 0
    with serving() as server:
        yield server


def register(who: Character, web: Website, path: str = "/", **options: Any) -> WebsiteSource:
    return create_website_source(actor=who.principal, home=who.agent, base_url=web.url(path), options=options)


def go(source: WebsiteSource, *, max_pages: int | None = None) -> Crawl:
    """A whole crawl, its documents included, as the workers would do it."""
    source.refresh_from_db()
    return go_on(source, start_crawl(actor=None, source=source, max_pages=max_pages))


def go_on(source: WebsiteSource, begun: Crawl) -> Crawl:
    for _ in range(20):
        crawl.run(begun.pk, crawl_website, ingest)
        begun.refresh_from_db()
        if begun.status not in UNFINISHED_JOBS:
            break
        for page in source.pages.exclude(document=None).select_related("document"):
            assert page.document is not None
            for job in page.document.jobs.filter(status=JobStatus.PENDING):
                read_document(job.pk, ingest)
    source.refresh_from_db()
    return begun


def paths(source: WebsiteSource, status: PageStatus = PageStatus.CRAWLED) -> set[str]:
    return {crawl_path(page) for page in source.pages.filter(status=status)}


def crawl_path(page: WebsitePage) -> str:
    return "/" + page.url.split("/", 3)[3]


def causes(source: WebsiteSource) -> dict[str, str]:
    return {crawl_path(page): page.cause_code for page in source.pages.all() if page.cause_code}


def texts() -> set[str]:
    return {chunk.content for row in Document.objects.live() for chunk in row.chunks.live()}


def test_links_are_followed_and_what_is_read_is_found(in_acme: Character, web: Website) -> None:
    web.pages |= {
        "/": html("The shop opens at nine. Come in early.", "/pump", "/pump#price", "/pump?utm_source=x", "/photo.jpg"),
        "/pump": html("The pump lifts water. Its warranty lasts seven years.", "http://elsewhere.example/", "/"),
    }
    source = register(in_acme, web)
    done = go(source)

    assert (done.status, done.error, done.processed_count, done.changed_count) == ("completed", "", 2, 2)
    assert sorted(web.asked) == ["/", "/pump", "/robots.txt"]
    assert web.agents == {"KnowrithmBot/1.0 (+http://localhost:8543)"}
    assert paths(source) == {"/", "/pump"}
    assert (source.status, source.pages_count, source.last_error) == ("active", 2, "")
    page = source.pages.get(url=web.url("/pump"))
    assert page.document is not None
    assert (page.document.source_url, page.document.title, page.document.document_type, page.language) == (
        web.url("/pump"), "The pump lifts water", "html", "en",
    )  # fmt: skip
    assert "navigation" not in " ".join(texts())
    assert "footer" not in " ".join(texts())
    in_acme.agent.refresh_from_db()
    assert in_acme.agent.documents_count == 2
    [best, *_] = retrieve(in_acme.agent, "How long is the warranty of the pump?")
    assert best.document_id == page.document_id
    assert (best.locator["type"], best.locator["fragment"]) == ("element", "top")
    record = read_task(str(done.task_id))
    assert record is not None
    assert record.result is not None
    assert record.result["processed_pages"] == 2
    assert sorted(record.result["discovered_urls"]) == [web.url("/"), web.url("/pump")]


def test_what_has_not_changed_is_not_read_again(in_acme: Character, web: Website) -> None:
    web.pages |= {
        "/": html("The shop opens at nine.", "/tagged", "/plain", "/changing"),
        "/tagged": html("The tagged page says this.", "/below", ETag='"one"'),
        "/plain": html("The plain page says this."),
        "/changing": html("The price is ten."),
        "/below": html("The page below says this."),
    }
    source = register(in_acme, web)
    go(source)
    chunks = {chunk.pk for row in Document.objects.all() for chunk in row.chunks.all()}
    web.pages["/changing"] = html("The price is twelve.")
    web.asked.clear()
    again = go(source)

    assert (again.status, again.processed_count, again.changed_count, again.archived_count) == ("completed", 5, 1, 0)
    assert len(web.asked) == 6
    assert paths(source) == {"/", "/tagged", "/plain", "/changing", "/below"}
    now = {chunk.pk for row in Document.objects.live() for chunk in row.chunks.all()}
    assert (len(chunks & now), len(now)) == (4, 5)
    assert "The price is twelve." in " ".join(texts())
    assert "The price is ten." not in " ".join(texts())
    assert source.pages.get(url=web.url("/tagged")).http_status == 304


def test_a_changed_page_is_a_new_version_of_its_document(in_acme: Character, web: Website) -> None:
    web.pages["/"] = html("The shop opens at nine.")
    source = register(in_acme, web)
    go(source)
    old = Document.objects.get()
    old.tags, old.metadata = ["shop"], {"team": "sales"}
    old.save()
    chunk = old.chunks.get()
    edit_chunk(actor=in_acme.principal, chunk=old.chunks.get(), content="Open from nine o'clock on.")
    web.pages["/"] = html("The shop opens at ten.")
    start = start_crawl(actor=None, source=source)
    crawl.run(start.pk, crawl_website, ingest)
    # Until the new version has been read, the old one answers.
    assert Document.objects.filter(archived_at=None, status="processed").get() == old
    for job in IngestionJob.objects.filter(status=JobStatus.PENDING):
        read_document(job.pk, ingest)
    crawl.run(start.pk, crawl_website, ingest)

    new = Document.objects.live().get()
    assert (new.version, new.replaces, new.lineage, new.tags, new.metadata) == (2, old, old.pk, ["shop"], old.metadata)
    assert (new.source_url, source.pages.get().document) == (web.url("/"), new)
    assert "opens at ten" in new.chunks.get().content
    old.refresh_from_db()
    assert (old.is_archived, old.chunks.get().pk) == (True, chunk.pk)
    with old.file.open() as before, new.file.open() as after:
        assert (b"at nine" in before.read(), b"at ten" in after.read()) == (True, True)
    in_acme.agent.refresh_from_db()
    assert in_acme.agent.documents_count == 1


def test_a_new_version_keeps_what_was_edited_by_hand(in_acme: Character, web: Website) -> None:
    hours = "".join(
        f"<p>On day {number} of the week the shop opens at nine and closes late.</p>" for number in range(30)
    )
    web.pages["/"] = html(f"The shop is open.{hours}")
    source = register(in_acme, web)
    go(source)
    first, *_ = Document.objects.get().chunks.order_by("index")
    edit_chunk(actor=in_acme.principal, chunk=first, content="Open from nine o'clock on.")
    web.pages["/"] = html(f"The shop is open.{hours}<p>Bring your dog.</p>")
    go(source)
    new = Document.objects.live().get()
    assert (new.version, new.chunks.order_by("index")[0].content) == (2, "Open from nine o'clock on.")


def test_a_page_that_is_gone_while_its_new_version_waits_leaves_nothing(in_acme: Character, web: Website) -> None:
    web.pages |= {"/": html("The shop opens at nine.", "/a"), "/a": html("Page a says this.")}
    source = register(in_acme, web)
    go(source)
    web.pages["/a"] = html("Page a says that.")
    crawl.run(start_crawl(actor=None, source=source).pk, crawl_website, ingest)
    assert Document.objects.live().count() == 3
    archive_website_source(actor=in_acme.principal, source=source)
    in_acme.agent.refresh_from_db()
    assert (Document.objects.live().count(), in_acme.agent.documents_count) == (0, 0)


def test_what_is_gone_is_archived_and_comes_back(in_acme: Character, web: Website) -> None:
    web.pages |= {
        "/": html("The shop opens at nine.", "/deleted", "/unlinked"),
        "/deleted": html("The deleted page says this."),
        "/unlinked": html("The unlinked page says this."),
    }
    source = register(in_acme, web)
    go(source)
    web.pages["/"] = html("The shop opens at nine.", "/deleted")
    deleted = web.pages.pop("/deleted")
    gone = go(source)
    assert (gone.status, gone.archived_count) == ("completed", 2)
    assert causes(source) == {"/deleted": "PAGE_GONE", "/unlinked": "PAGE_UNLINKED"}
    assert (Document.objects.live().count(), source.pages_count) == (1, 1)
    in_acme.agent.refresh_from_db()
    assert in_acme.agent.documents_count == 1

    web.pages |= {"/deleted": deleted, "/": html("The shop opens at nine.", "/deleted", "/unlinked")}
    back = go(source)
    assert (back.changed_count, causes(source)) == (0, {})
    assert (Document.objects.live().count(), Document.objects.count()) == (3, 3)
    in_acme.agent.refresh_from_db()
    assert in_acme.agent.documents_count == 3


def test_a_bad_day_of_the_site_takes_nothing_away(in_acme: Character, web: Website) -> None:
    web.pages |= {
        "/": html("The shop opens at nine.", "/a"),
        "/a": html("Page a says this.", "/b"),
        "/b": html("Page b says this."),
    }
    source = register(in_acme, web)
    go(source)
    web.pages["/a"] = Page(b"", 500)
    bad = go(source)
    assert (bad.status, bad.has_outages, bad.archived_count) == ("completed", True, 0)
    assert causes(source) == {"/a": "PAGE_ERROR"}
    assert Document.objects.live().count() == 3


def test_a_document_that_a_person_archived_stays_so(in_acme: Character, web: Website) -> None:
    web.pages["/"] = html("The shop opens at nine.")
    source = register(in_acme, web)
    go(source)
    archive_document(actor=in_acme.principal, document=Document.objects.get())
    web.pages["/"] = html("The shop opens at ten.")
    go(source)
    assert Document.objects.live().count() == 0


def test_robots_txt_is_honoured(in_acme: Character, web: Website) -> None:
    robots = b"""User-agent: *\nDisallow: /\n\nUser-agent: KnowrithmBot\nDisallow: /private\nAllow: /private/open
        Disallow: /*?sort=\nDisallow: /*.pdf$\nCrawl-delay: 0.3"""
    web.pages |= {
        "/robots.txt": Page(robots, headers={"Content-Type": "text/plain"}),
        "/": html("The shop opens at nine.", "/private/a", "/private/open", "/list?sort=up", "/x.pdf", "/x.pdf?y=1"),
        "/private/open": html("The open page says this."),
        "/x.pdf?y=1": html("This only looks like a file."),
    }
    source = register(in_acme, web)
    started = timezone.now()
    assert go(source).status == "completed"
    assert (timezone.now() - started).total_seconds() > 0.6
    assert sorted(web.asked_for_pages()) == ["/", "/private/open", "/x.pdf?y=1"]
    forbidden = {"/private/a", "/list?sort=up", "/x.pdf"}
    assert causes(source) == dict.fromkeys(forbidden, "PAGE_FORBIDDEN")


@pytest.mark.parametrize(
    ("robots", "code"),
    [
        (Page(b"", 503), "CRAWL_ROBOTS_UNAVAILABLE"),
        (Page(b"User-agent: *\nDisallow: /"), "CRAWL_FORBIDDEN"),
        (Page(b"", 403), ""),
    ],
)
def test_what_robots_txt_answers(in_acme: Character, web: Website, robots: Page, code: str) -> None:
    web.pages |= {"/robots.txt": robots, "/": html("The shop opens at nine.")}
    source = register(in_acme, web)
    done = go(source)
    assert (done.error_code, source.error_code) == (code, code)
    assert source.status == (SourceStatus.FAILED if code else SourceStatus.ACTIVE)
    assert web.asked_for_pages() == ([] if code else ["/"])


def test_limits_of_pages_and_depth_are_exact(in_acme: Character, web: Website) -> None:
    web.otherwise = lambda path: html(f"Page {path} says this.", f"{path.rstrip('/')}/a", f"{path.rstrip('/')}/b")
    web.pages["/robots.txt"] = Page(b"", 404)
    source = register(in_acme, web, max_depth=2, max_pages=1000)
    assert go(source).processed_count == 7
    assert go(source, max_pages=3).processed_count == 3
    assert Document.objects.live().count() == 7, "a crawl that was cut short archives nothing"
    update_website_source(actor=in_acme.principal, source=source, changes={"max_depth": 0})
    assert (go(source).processed_count, Document.objects.live().count()) == (1, 1)


def test_own_patterns(in_acme: Character, web: Website) -> None:
    web.pages |= {
        "/": html("The shop opens at nine.", "/docs/a", "/docs/old/b", "/blog"),
        "/docs/a": html("Page a says this."),
        "/docs/old/b": html("Page b says this."),
        "/blog": html("The blog says this."),
    }
    source = register(in_acme, web, allowed_paths=["/docs", "/$"], disallowed_paths=["docs/old"])
    go(source)
    assert paths(source) == {"/", "/docs/a"}


def test_letters_of_every_language_are_known_in_patterns(in_acme: Character, web: Website) -> None:
    robots = "User-agent: *\nDisallow: /geheim-ü\nDisallow: /%c3%a4*.html$\nDisallow: /suche?q=für\nDisallow: /private"
    web.otherwise = lambda path: html(f"Page {path} says this.")
    web.pages |= {
        "/robots.txt": Page(robots.encode()),
        "/": html(
            "The shop opens at nine.", "/geheim-ü/a", "/%c3%a4rger.html", "/suche?q=für", "/%70rivate", "/straße/a",
            "/stra%c3%9fe/a", "/straße/alt", "/übersicht", "/weiter",
        ),
    }  # fmt: skip
    source = register(in_acme, web, allowed_paths=["/straße", "/%c3%bc", "/geheim", "/ä", "/suche", "/private"],
                      disallowed_paths=["/straße/alt"])  # fmt: skip
    go(source)
    assert paths(source) == {"/", "/stra%C3%9Fe/a", "/%C3%BCbersicht"}
    forbidden = {"/geheim-%C3%BC/a", "/%C3%A4rger.html", "/suche?q=f%C3%BCr", "/private"}
    assert causes(source) == dict.fromkeys(forbidden, "PAGE_FORBIDDEN")


def test_own_patterns_hold_for_redirects_too(in_acme: Character, web: Website) -> None:
    web.pages |= {
        "/": redirect("/en"),
        "/en": html("The shop opens at nine.", "/docs/a", "/docs/orders", "/docs/blog"),
        "/docs/a": redirect("/docs/b"),
        "/docs/b": html("Page b says this."),
        "/docs/orders": redirect("/docs/login"),
        "/docs/login": html("Sign in to go on."),
        "/docs/blog": redirect("/blog"),
        "/blog": html("The blog says this."),
    }
    source = register(in_acme, web, allowed_paths=["/docs"], disallowed_paths=["/docs/login"])
    go(source)
    assert paths(source) == {"/en", "/docs/b"}
    assert causes(source) == {
        "/": "PAGE_REDIRECTED", "/docs/a": "PAGE_REDIRECTED", "/docs/orders": "PAGE_ELSEWHERE",
        "/docs/blog": "PAGE_ELSEWHERE",
    }  # fmt: skip
    assert not {"/docs/login", "/blog"} & set(web.asked)


def test_a_single_page(in_acme: Character, web: Website) -> None:
    web.pages |= {"/one": html("The one page says this.", "/two"), "/two": html("The second page says this.")}
    source = register(in_acme, web, "/one", mode="single")
    assert go(source).processed_count == 1
    assert web.asked_for_pages() == ["/one"]


def test_sitemaps_with_indexes_and_packed(in_acme: Character, web: Website) -> None:
    index = f"""<?xml version="1.0"?><sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
        <sitemap><loc>{web.url("/packed.xml.gz")}</loc></sitemap><sitemap><loc>{web.url("/missing.xml")}</loc></sitemap>
        <sitemap><loc>{web.url("/index.xml")}</loc></sitemap></sitemapindex>"""
    urls = "".join(f"<url><loc>{url}</loc></url>" for url in (web.url("/a"), web.url("/b"), "http://other.example/"))
    packed = gzip.compress(f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'.encode())
    web.pages |= {
        "/robots.txt": Page(f"Sitemap: {web.url('/index.xml')}".encode()),
        "/index.xml": Page(index.encode(), headers={"Content-Type": "application/xml"}),
        "/packed.xml.gz": Page(packed, headers={"Content-Type": "application/x-gzip"}),
        "/a": html("Page a says this.", "/not-in-the-sitemap"),
        "/b": html("Page b says this."),
    }
    source = register(in_acme, web, mode="sitemap")
    assert go(source).status == "completed"
    assert paths(source) == {"/a", "/b"}


@pytest.mark.parametrize(
    "sitemap",
    [
        Page(b"", 404),
        Page(b"<urlset><url>", headers={"Content-Type": "text/xml"}),
        Page(gzip.compress(b"\0" * 100_000_000), headers={"Content-Type": "application/gzip"}),
        Page(
            b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><urlset><url><loc>&b;</loc>'
            b"</url></urlset>",
            headers={"Content-Type": "text/xml"},
        ),
    ],
)
def test_a_sitemap_that_is_none(in_acme: Character, web: Website, sitemap: Page) -> None:
    web.pages["/sitemap.xml"] = sitemap
    source = register(in_acme, web, mode="sitemap")
    assert go(source).error_code == "CRAWL_NO_SITEMAP"


def test_why_a_page_is_not_read(in_acme: Character, web: Website) -> None:
    web.pages |= {
        "/": html(
            "The shop opens at nine.", "/noindex", "/header", "/copy", "/twin", "/away", "/loop", "/picture", "/empty",
            "/secret", "/lost", "/moved", "/original",
        ),
        "/noindex": html("Nobody shall read this.", "/hidden", head='<meta name="robots" content="noindex">'),
        "/header": html("Nobody shall read this either.", X_Robots_Tag="noindex, nofollow"),
        "/copy": html("This is a copy.", head='<link rel="canonical" href="/original">'),
        "/original": html("This is the original.", head='<link rel="canonical" href="/original">'),
        "/twin": html("The shop opens at nine.", "/noindex", "/header", "/copy", "/twin", "/away", "/loop", "/picture",
                      "/empty", "/secret", "/lost", "/moved", "/original"),
        "/away": redirect("http://elsewhere.example/"),
        "/loop": redirect("/loop2"),
        "/loop2": redirect("/loop"),
        "/moved": redirect("/new"),
        "/new": html("The page has a new address."),
        "/hidden": html("Linked from a page without index."),
        "/picture": Page(b"GIF89a", headers={"Content-Type": "image/gif"}),
        "/empty": Page(b"<html><body><nav>Menu</nav></body></html>"),
        "/secret": Page(b"", 401),
    }  # fmt: skip
    source = register(in_acme, web)
    assert go(source).status == "completed"
    assert causes(source) == {
        "/noindex": "PAGE_NOINDEX", "/header": "PAGE_NOINDEX", "/copy": "PAGE_COPY", "/twin": "PAGE_DUPLICATE",
        "/away": "PAGE_ELSEWHERE", "/loop": "PAGE_REDIRECT_LOOP", "/picture": "PAGE_WRONG_TYPE",
        "/empty": "PAGE_EMPTY", "/secret": "PAGE_REFUSED", "/lost": "PAGE_GONE", "/moved": "PAGE_REDIRECTED",
    }  # fmt: skip
    assert paths(source) == {"/", "/original", "/new", "/hidden"}
    assert all(page.cause.endswith((".", "/", "l", "w")) for page in source.pages.exclude(cause=""))


def test_files_are_documents_of_their_own_kind(in_acme: Character, web: Website) -> None:
    text = Page(b"The price list says twelve.", headers={"Content-Type": "text/plain"})
    web.pages |= {"/": html("The shop opens at nine.", "/prices", "/1.html"), "/prices": text}
    web.pages["/1.html"] = html("The shop closes at six.")
    source = register(in_acme, web)
    go(source)
    kinds = set(Document.objects.values_list("original_filename", "document_type", "status"))
    pages = {(name, "html", "processed") for name in ("127.0.0.1.html", "1.html")}
    assert kinds == {*pages, ("prices.txt", "txt", "processed")}


# --- What sites do to crawlers ------------------------------------------------------------------------------------


def test_a_calendar_that_never_ends(in_acme: Character, web: Website) -> None:
    def day(path: str) -> Page:
        number = int(path.rpartition("=")[2] or 0) if "?" in path else 0
        return html(f"Day {number} of the calendar.", f"/calendar?day={number + 1}", f"/x{path.split('?')[0]}/x")

    web.otherwise = day
    web.pages["/robots.txt"] = Page(b"", 404)
    source = register(in_acme, web, max_pages=200, max_depth=20)
    done = go(source)
    assert done.status == "completed"
    asked = web.asked_for_pages()
    assert len([path for path in asked if path.startswith("/calendar?")]) <= 20
    assert max(path.count("/x") for path in asked) <= 4
    assert len(asked) == len(set(asked)) <= 200


def test_query_strings_that_are_left_out_are_told_and_take_nothing_away(in_acme: Character, web: Website) -> None:
    web.otherwise = lambda path: html(f"Item {path} of the list.", *([f"/of{path[-2:]}"] if "?" in path else []))
    items = [f"/list?page={number}" for number in range(30, 60)]
    urls = "".join(f"<url><loc>{web.url(item)}</loc></url>" for item in items)
    web.pages |= {
        "/robots.txt": Page(b"", 404),
        "/sitemap.xml": Page(f"<urlset>{urls}</urlset>".encode(), headers={"Content-Type": "text/xml"}),
        "/": html("The shop opens at nine.", *items),
    }
    source = register(in_acme, web)
    go(source)
    pages = set(items[:20])
    assert paths(source) == {"/", *pages, *(f"/of{item[-2:]}" for item in pages)}
    assert causes(source) == {items[20]: "PAGE_MANY_QUERIES"}

    web.pages["/"] = html("The shop opens at nine.", *reversed(items))
    again = go(source)
    assert (again.is_cut_short, again.archived_count, Document.objects.live().count()) == (False, 0, 61)

    update_website_source(actor=in_acme.principal, source=source, changes={"mode": "sitemap"})
    assert go(source).processed_count == 30
    assert set(items) <= paths(source)


def never_ending(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.end_headers()
    while True:
        handler.wfile.write(b"<p>and so on</p>")
        handler.server.ended.wait(0.05)  # type: ignore[attr-defined]  # set below


@pytest.fixture
def impatient(web: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds are short in this test."""
    import threading

    web.ended = threading.Event()  # type: ignore[attr-defined]  # for the handler above
    monkeypatch.setattr(site, "SECONDS", 1)


@pytest.mark.usefixtures("impatient")
def test_pages_that_would_harm_us_fail_and_the_others_are_read(in_acme: Character, web: Website) -> None:
    bomb = gzip.compress(b"<html><body>" + b"<p>bomb</p>" * 10_000_000)
    web.pages |= {
        "/": html("The shop opens at nine.", "/bomb", "/endless", "/deep", "/inside", "/metadata", "/fine"),
        "/bomb": Page(bomb, headers={"Content-Encoding": "gzip"}),
        "/endless": never_ending,
        "/deep": Page(b"<html><body>" + b"<div>" * 200_000 + b"deep"),
        "/inside": redirect("http://127.0.0.2/"),
        "/metadata": redirect("http://169.254.169.254/latest/meta-data/"),
        "/fine": html("This page is fine."),
    }
    source = register(in_acme, web)
    done = go(source)
    assert done.status == "completed"
    found = causes(source)
    assert found.pop("/deep") == "PAGE_EMPTY"
    assert found == {
        "/bomb": "PAGE_UNREACHABLE", "/endless": "PAGE_UNREACHABLE", "/inside": "PAGE_ELSEWHERE",
        "/metadata": "PAGE_ELSEWHERE",
    }  # fmt: skip
    assert {"/", "/fine"} <= paths(source)


def test_private_addresses_are_refused(in_acme: Character, web: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    web.pages["/"] = html("The inner page.")
    source = register(in_acme, web)
    monkeypatch.setenv("OUTBOUND_ALLOW", "")
    done = go(source)
    assert (done.status, done.error_code, web.asked) == ("failed", "CRAWL_REFUSED", [])
    assert done.error == PRIVATE.format("127.0.0.1")


def test_a_name_that_changes_its_address_is_refused(
    in_acme: Character, web: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is registered and its robots.txt read at a good address; then the name points inside."""
    import socket

    port = web.server_address[1]
    monkeypatch.setenv("OUTBOUND_ALLOW", "")
    monkeypatch.setattr("knowrithm.net.policy.is_global", lambda address: str(address) == "127.0.0.1")
    answers = iter(["127.0.0.1"] * 2 + ["127.0.0.2"] * 10)
    real = socket.getaddrinfo

    def resolve(host: str, *arguments: Any, **options: Any) -> Any:
        if host != "rebind.example":
            return real(host, *arguments, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr("knowrithm.net.policy.socket.getaddrinfo", resolve)
    address = f"http://rebind.example:{port}/"
    source = create_website_source(actor=in_acme.principal, home=in_acme.agent, base_url=address)
    assert go(source).error_code == "CRAWL_NO_PAGES"
    assert web.asked == ["/robots.txt"]
    assert source.pages.get().cause == PRIVATE.format("rebind.example")


# --- The life of a crawl ------------------------------------------------------------------------------------------


def test_a_crawl_goes_on_where_its_worker_died(
    in_acme: Character, web: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.pages |= {
        "/": html("The shop opens at nine.", "/a", "/b"),
        "/a": html("Page a says this."),
        "/b": html("Page b says this."),
    }
    source = register(in_acme, web)
    begun = start_crawl(actor=None, source=source)
    monkeypatch.setattr(work, "SLICE", 0.0)  # over before the first page
    crawl.run(begun.pk, crawl_website, ingest)
    begun.refresh_from_db()
    assert begun.status == JobStatus.PENDING
    monkeypatch.undo()
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")

    class WorkerDiedError(BaseException):
        pass

    visited = Round._visit

    def die(self: Any, page: WebsitePage) -> None:
        if page.url.endswith("/a"):
            raise WorkerDiedError
        visited(self, page)

    monkeypatch.setattr(Round, "_visit", die)
    with pytest.raises(WorkerDiedError):
        crawl.run(begun.pk, crawl_website, ingest)
    monkeypatch.setattr(Round, "_visit", visited)
    assert source.pages.filter(visited_in=begun.pk).count() == 1
    Crawl.objects.filter(pk=begun.pk).update(lease_until=timezone.now())
    web.asked.clear()
    crawl.crawl_due(crawl_website)
    crawl.run(begun.pk, crawl_website, ingest)
    assert web.asked_for_pages() == ["/a", "/b"]
    assert Document.objects.count() == 3


def test_a_crawl_can_be_stopped(in_acme: Character, web: Website) -> None:
    source = register(in_acme, web)
    begun = start_crawl(actor=in_acme.principal, source=source)

    def stop(handler: BaseHTTPRequestHandler) -> None:
        html("The shop opens at nine.", "/a")(handler)

    web.pages["/"] = stop
    cancel_crawl(actor=in_acme.principal, source=source)
    crawl.run(begun.pk, crawl_website, ingest)
    begun.refresh_from_db()
    assert (begun.status, web.asked) == (JobStatus.CANCELLED, [])
    source.refresh_from_db()
    assert source.status == SourceStatus.ACTIVE


def test_a_crawl_that_is_stopped_meanwhile_writes_no_more(
    in_acme: Character, web: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.pages |= {"/": html("The shop opens at nine.", "/a"), "/a": html("Page a says this.")}
    source = register(in_acme, web)
    begun = start_crawl(actor=in_acme.principal, source=source)
    real = Round._visit

    def visit(self: Any, page: WebsitePage) -> None:
        if page.url.endswith("/a"):
            cancel_crawl(actor=in_acme.principal, source=source)
        real(self, page)

    monkeypatch.setattr(Round, "_visit", visit)
    crawl.run(begun.pk, crawl_website, ingest)
    begun.refresh_from_db()
    assert (begun.status, Document.objects.count()) == (JobStatus.CANCELLED, 1)


def test_schedules(in_acme: Character, web: Website) -> None:
    web.pages["/"] = html("The shop opens at nine.")
    source = register(in_acme, web, crawl_frequency_minutes=60)
    crawl.crawl_due(crawl_website)
    first = Crawl.objects.get()
    crawl.crawl_due(crawl_website)
    assert Crawl.objects.count() == 1
    crawl.run(first.pk, crawl_website, ingest)
    read_document(Document.objects.get().jobs.get().pk, ingest)
    crawl.run(first.pk, crawl_website, ingest)
    source.refresh_from_db()
    assert source.next_crawl_at is not None
    assert 3500 < (source.next_crawl_at - timezone.now()).total_seconds() <= 3600
    crawl.crawl_due(crawl_website)
    assert Crawl.objects.count() == 1
    source = update_website_source(actor=in_acme.principal, source=source, changes={"is_paused": True})
    assert source.next_crawl_at is None
    source = update_website_source(actor=in_acme.principal, source=source, changes={"is_paused": False})
    assert source.next_crawl_at is not None
    WebsiteSource.objects.filter(pk=source.pk).update(next_crawl_at=timezone.now())
    crawl.crawl_due(crawl_website)
    assert Crawl.objects.count() == 2


def test_archiving_a_website_takes_its_documents_along(in_acme: Character, web: Website) -> None:
    web.pages |= {"/": html("The shop opens at nine.", "/a"), "/a": html("Page a says this.")}
    source = register(in_acme, web)
    go(source)
    archive_document(actor=in_acme.principal, document=source.pages.get(url=web.url("/a")).document)  # type: ignore[arg-type]  # it has one
    archive_website_source(actor=in_acme.principal, source=source)
    in_acme.agent.refresh_from_db()
    assert (Document.objects.live().count(), in_acme.agent.documents_count) == (0, 0)
    restore_website_source(actor=in_acme.principal, source=source)
    in_acme.agent.refresh_from_db()
    assert (Document.objects.live().count(), in_acme.agent.documents_count) == (1, 1)
