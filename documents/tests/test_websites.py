"""Websites in the API and on the dashboard's pages; how they are crawled is tested in test_crawl."""

from __future__ import annotations

import hashlib
import socket
import threading
import uuid
from typing import Any

import pytest
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from conftest import Character
from documents.models import Crawl, WebsitePage, WebsiteSource
from documents.services import create_dataset, create_website_source, site_preview
from documents.tests.website import Page, html, serving
from knowrithm.db.redis import sync_redis
from knowrithm.jobs import read_task

SOURCES = "/api/v1/website/source"


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server for `.example`, which no real one knows: all public but `inner.example`."""
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *arguments: Any, **options: Any) -> Any:
        if not host.endswith(".example") or host.startswith("unknown."):
            return real(host, port, *arguments, **options)
        address = "10.0.0.7" if host.startswith("inner.") else "8.8.8.8"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr("knowrithm.net.policy.socket.getaddrinfo", resolve)


def register(who: Character, url: str = "https://shop.example/", **options: Any) -> WebsiteSource:
    with tenant_context(who.company):
        return create_website_source(actor=who.principal, home=who.agent, base_url=url, options=options)


def test_the_life_of_a_website(acme_api: APIClient, acme: Character) -> None:
    agent_id = str(acme.agent.pk)
    body = {
        "agent_id": agent_id, "base_url": "HTTPS://Shop.example:443/a/../#top", "seed_urls": ["https://shop.example/b"],
        "allowed_paths": ["docs", ""], "disallowed_paths": ["/old"], "crawl_frequency_minutes": 60, "max_pages": 50,
        "max_depth": 2, "notes": " Ours. ",
    }  # fmt: skip
    made = acme_api.post(SOURCES, body)
    assert made.status_code == 201
    record = made.json()["website_source"]
    shown = {name: record[name] for name in ("base_url", "domain", "allowed_paths", "last_crawl_status", "notes")}
    assert shown == {
        "base_url": "https://shop.example/", "domain": "shop.example", "allowed_paths": ["/docs"],
        "last_crawl_status": "active", "notes": "Ours.",
    }  # fmt: skip
    again = acme_api.post(SOURCES, {"agent_id": agent_id, "url": "shop.example"})
    assert (again.status_code, again.json()["error_code"]) == (409, "WEBSITE_EXISTS")

    for url in (SOURCES, f"{SOURCES}?agent_id={agent_id}", f"/api/v1/website/agent/{agent_id}/sources"):
        listed = acme_api.get(url).json()
        assert [row["id"] for row in listed["website_sources"]] == [record["id"]]
        assert listed["sources"] == listed["website_sources"]
    one = f"{SOURCES}/{record['id']}"
    assert acme_api.put(one, {"max_pages": 7, "include_patterns": []}).json()["website_source"]["max_pages"] == 7
    assert acme_api.get(f"/api/v1/website/{record['id']}").json()["website_source"]["allowed_paths"] == []

    begun = acme_api.post(f"{one}/crawl", {"max_pages": 3})
    assert (begun.status_code, begun.json()["status"]) == (202, "queued")
    task = read_task(begun.json()["task_id"])
    assert task is not None
    assert task.status == "pending"
    assert acme_api.get(f"/api/v1/website/{record['id']}").json()["website_source"]["status"] == "crawling"
    assert acme_api.post(f"/api/v1/sdk/website/source/{record['id']}/crawl").json()["error_code"] == "CRAWL_RUNNING"
    assert acme_api.post(f"{one}/crawl/cancel").status_code == 200
    assert acme_api.post(f"{one}/crawl/cancel").json()["error_code"] == "CRAWL_NOT_RUNNING"
    assert acme_api.post(f"/api/v1/sdk/website/source/{record['id']}/crawl").status_code == 202

    deleted = acme_api.delete(one)
    assert (deleted.status_code, deleted.json()["website_source_id"]) == (202, record["id"])
    task = read_task(deleted.json()["task_id"])
    assert task is not None
    assert task.result == {"status": "deleted", "website_source_id": record["id"]}
    with tenant_context(acme.company):
        assert set(Crawl.objects.values_list("status", flat=True)) == {"cancelled"}
    assert acme_api.delete(f"/api/v1/sdk/website/source/{record['id']}").json()["status"] == "already_inactive"
    assert acme_api.get(f"/api/v1/website/{record['id']}").status_code == 404
    assert [row["status"] for row in acme_api.get(f"{SOURCES}/deleted").json()["website_sources"]] == ["inactive"]
    assert acme_api.patch(f"{one}/restore").json()["website_source"]["status"] == "active"


def test_what_cannot_be_a_website(acme_api: APIClient, acme: Character) -> None:
    agent = {"agent_id": str(acme.agent.pk)}
    good = {**agent, "base_url": "https://a.example"}
    for body, field in (
        ({"base_url": "https://a.example"}, "agent_id"),
        (agent, "base_url"),
        ({**agent, "base_url": "ftp://a.example"}, "base_url"),
        ({**agent, "base_url": "https://user:secret@a.example"}, "base_url"),
        ({**agent, "base_url": "https://"}, "base_url"),
        ({**good, "seed_urls": ["https://b.example"]}, "seed_urls"),
        ({**good, "max_pages": 0}, "max_pages"),
        ({**good, "max_pages": 10**12}, "max_pages"),
        ({**good, "max_depth": 21}, "max_depth"),
        ({**good, "crawl_frequency_minutes": 1}, "crawl_frequency_minutes"),
        ({**good, "mode": "all"}, "mode"),
        ({**good, "allowed_paths": "all"}, "allowed_paths"),
    ):
        refused = acme_api.post(SOURCES, body)
        assert (refused.status_code, list(refused.json()["errors"])) == (400, [field])
    for body in ({**good, "agent_id": str(uuid.uuid4())}, {"dataset_id": str(uuid.uuid4()), "url": "a.example"}):
        assert acme_api.post(SOURCES, body).status_code == 404
    source = register(acme)
    assert acme_api.post(f"{SOURCES}/{source.pk}/crawl", {"max_pages": 0}).status_code == 400
    assert acme_api.post(f"{SOURCES}/{uuid.uuid4()}/crawl").status_code == 404


def test_the_page_of_an_agent_lists_its_websites(acme_client: Client, acme: Character) -> None:
    page = f"/agents/{acme.agent.pk}?tab=websites"
    add = f"/websites/new?home={acme.agent.pk}"
    assert [words in acme_client.get(page).content.decode() for words in ("No websites yet", add)] == [True, True]
    assert f'<option value="{acme.agent.pk}" selected>' in acme_client.get(add).content.decode()
    with tenant_context(acme.company):
        dataset = create_dataset(actor=acme.principal, name="Terms")
        create_website_source(actor=acme.principal, home=dataset, base_url="https://terms.example")
    register(acme)
    text = acme_client.get(page).content.decode()
    assert [words in text for words in ("https://shop.example/", "terms.example", add)] == [True, False, True]


PRIVATE = (
    "Connections to {} are not allowed: it is not a public address. "
    "Who runs this installation can allow it with OUTBOUND_ALLOW."
)


@pytest.mark.parametrize(
    ("url", "code", "sentence"),
    [
        ("http://127.0.0.1:8000/", "CRAWL_REFUSED", PRIVATE.format("127.0.0.1")),
        ("http://169.254.169.254/latest", "CRAWL_REFUSED", PRIVATE.format("169.254.169.254")),
        ("https://inner.example", "CRAWL_REFUSED", PRIVATE.format("inner.example")),
        ("https://unknown.invalid", "CRAWL_UNREACHABLE", "The host name unknown.invalid could not be found."),
    ],
)
def test_what_no_crawl_could_reach_is_refused_at_once(
    acme_api: APIClient, acme_client: Client, acme: Character, url: str, code: str, sentence: str
) -> None:
    refused = acme_api.post(SOURCES, {"agent_id": str(acme.agent.pk), "base_url": url})
    assert (refused.status_code, refused.json()["error_code"]) == (400, code)
    assert refused.json()["errors"] == {"base_url": [sentence]}
    form = {
        "base_url": url, "home": str(acme.agent.pk), "mode": "links", "max_pages": "10", "max_depth": "2",
        "crawl_frequency_minutes": "0",
    }  # fmt: skip
    assert sentence.encode() in acme_client.post("/websites/new", form).content
    known = register(acme)
    changed = acme_api.put(f"{SOURCES}/{known.pk}", {"base_url": url})
    assert (changed.status_code, changed.json()["error_code"]) == (400, code)
    with tenant_context(acme.company):
        assert list(WebsiteSource.objects.values_list("base_url", flat=True)) == ["https://shop.example/"]


def test_a_private_website_that_the_operator_allows_is_taken(
    acme_api: APIClient, acme: Character, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_ALLOW", "10.0.0.0/8")
    made = acme_api.post(SOURCES, {"agent_id": str(acme.agent.pk), "base_url": "https://inner.example"})
    assert made.status_code == 201


def test_a_name_server_that_never_answers_holds_nobody_up(
    acme_api: APIClient, acme: Character, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def wait(*arguments: Any, **options: Any) -> Any:
        answered.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "late")

    monkeypatch.setattr("knowrithm.net.policy.socket.getaddrinfo", wait)
    monkeypatch.setattr("knowrithm.net.policy.RESOLVING_SECONDS", 0.05)
    refused = acme_api.post(SOURCES, {"agent_id": str(acme.agent.pk), "base_url": "https://slow.example"})
    answered.set()
    assert refused.json()["errors"] == {"base_url": ["The host name slow.example could not be found in time."]}


def test_a_website_of_a_dataset(acme_api: APIClient, acme: Character) -> None:
    with tenant_context(acme.company):
        dataset = create_dataset(actor=acme.principal, name="Terms")
    made = acme_api.post(SOURCES, {"dataset_id": str(dataset.pk), "url": "https://a.example"}).json()["website_source"]
    assert (made["agent_id"], made["dataset_id"]) == (None, str(dataset.pk))


@pytest.mark.parametrize("count", [1, 3])
def test_lists_cost_the_same_however_long_they_are(
    acme_api: APIClient, acme: Character, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sources = [register(acme, f"https://a{number}.example/") for number in range(count)]
    with tenant_context(acme.company):
        for number in range(count):
            WebsitePage.objects.create(source=sources[0], url=f"https://a0.example/{number}")
    acme_api.get(SOURCES)
    with django_assert_num_queries(3):
        assert len(acme_api.get(SOURCES).json()["website_sources"]) == count
    with django_assert_num_queries(4):
        assert len(acme_api.get(f"{SOURCES}/{sources[0].pk}/pages").json()["pages"]) == count


def test_the_handshake_knows_the_websites_of_granted_datasets(acme: Character, anonymous: APIClient) -> None:
    with tenant_context(acme.company):
        granted, other = (
            create_dataset(actor=acme.principal, name=name, agent_ids=ids)
            for name, ids in (("Shared", [acme.agent.pk]), ("Others", []))
        )
        mine = create_website_source(actor=acme.principal, home=granted, base_url="https://docs.example/")
        create_website_source(actor=acme.principal, home=other, base_url="https://inside.example/")
    found = [
        anonymous.post("/api/v1/website/handshake", {"agent_id": str(acme.agent.pk), "url": url}).json()
        for url in ("https://docs.example/a", "https://inside.example/a")
    ]
    assert [one["website_source"] and one["website_source"]["id"] for one in found] == [str(mine.pk), None]


def test_the_handshake_tells_a_visitor_what_a_visitor_may_know(acme: Character, anonymous: APIClient) -> None:
    source = register(acme, notes="secret", disallowed_paths=["/secret"])
    with tenant_context(acme.company):
        page = WebsitePage.objects.create(source=source, url="https://shop.example/a", status="crawled")

    def shake(**body: Any) -> dict[str, Any]:
        answer = anonymous.post("/api/v1/website/handshake", {"agent_id": str(acme.agent.pk), **body})
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    greeting = shake(url="https://www.shop.example/other")
    assert greeting["website_source"] == {
        "id": str(source.pk), "domain": "shop.example", "base_url": "https://shop.example/",
    }  # fmt: skip
    assert (greeting["website_page"], greeting["crawl_task_id"]) == (None, None)
    assert shake(url="https://shop.example/a?utm_source=x#b")["website_page"]["id"] == str(page.pk)
    assert shake(url="https://other.example/") == {
        "website_source": None, "website_page": None, "crawl_task_id": None,
    }  # fmt: skip
    assert shake(domain="shop.example")["website_source"] is not None
    assert shake(url="http://[")["website_source"] is None
    first = shake(url="https://shop.example/a", trigger_crawl=True)["crawl_task_id"]
    assert read_task(first) is not None
    with tenant_context(acme.company):
        Crawl.objects.update(status="completed")
        WebsiteSource.objects.update(last_crawl_status="active")
    assert shake(url="https://shop.example/a", trigger_crawl=True)["crawl_task_id"] is None


def test_the_pages(acme_client: Client, acme: Character) -> None:
    assert b"Add your first website" in acme_client.get("/websites").content
    form = {
        "base_url": "https://shop.example", "home": str(acme.agent.pk), "mode": "links", "max_pages": "10",
        "max_depth": "2", "crawl_frequency_minutes": "1440", "allowed_paths": "/docs\r\n/faq",
    }  # fmt: skip
    page = acme_client.post("/websites/new", form, follow=True).content.decode()
    assert "Waiting for a free worker" in page
    assert "/docs, /faq" in page
    with tenant_context(acme.company):
        source = WebsiteSource.objects.get()
        WebsitePage.objects.create(
            source=source, url="https://shop.example/x", status="failed", cause="The site answered with status 500."
        )
    assert b"This website is registered already." in acme_client.post("/websites/new", form).content
    assert b"is not a valid choice" not in acme_client.get(f"/websites/{source.pk}/edit").content
    one = f"/websites/{source.pk}"
    acme_client.post(f"{one}/crawl")
    acme_client.post(f"{one}/stop")
    shown = acme_client.get(one).content.decode()
    assert "The site answered with status 500." in shown
    assert "Pause the schedule" in shown
    acme_client.post(f"{one}/pause")
    acme_client.post(f"{one}/edit", {**form, "notes": "New notes"})
    shown = acme_client.get(one).content.decode()
    assert "New notes" in shown
    assert "Go on with the schedule" in shown
    acme_client.post(f"{one}/archive")
    assert b"shop.example" in acme_client.get("/websites", {"archived": "1"}).content
    assert b"No agent answers from this website" in acme_client.get(one).content
    acme_client.post(f"{one}/restore")
    assert b"shop.example/" in acme_client.get("/websites").content


def test_the_preview_asks_the_site(acme_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    with serving() as web:
        urls = f"<urlset><url><loc>{web.url('/a')}</loc></url><url><loc>{web.url('/b')}</loc></url></urlset>"
        web.pages |= {
            "/robots.txt": Page(b"User-agent: *\nDisallow: /private\nCrawl-delay: 2"),
            "/sitemap.xml": Page(urls.encode(), headers={"Content-Type": "text/xml"}),
            "/": html("Hello."),
        }
        shown = acme_client.post("/websites/preview", {"base_url": web.url()}).content.decode()
        assert "names 2 pages" in shown
        assert "asks for 2 seconds" in shown
        shown = acme_client.post("/websites/preview", {"base_url": web.url("/private/x")}).content.decode()
        assert "forbids this address" in shown
        web.pages["/robots.txt"] = Page(
            "".join(f"Sitemap: {web.url(f'/sitemap{number}.xml')}\n" for number in range(9)).encode()
        )
        web.asked.clear()
        acme_client.post("/websites/preview", {"base_url": web.url()})
        assert web.asked == ["/robots.txt", "/sitemap0.xml", "/sitemap1.xml", "/sitemap2.xml"]
    assert b"Give the address of a website" in acme_client.post("/websites/preview", {"base_url": ""}).content
    refused = acme_client.post("/websites/preview", {"base_url": "http://169.254.169.254/"}).content
    assert b"it is not a public address" in refused


def test_a_site_that_never_answers_keeps_its_preview_for_a_moment_only(
    acme_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    monkeypatch.setattr(site_preview, "SECONDS", 0.5)
    with serving() as web:
        redis, host = sync_redis(), web.url("")[len("http://") :]
        key = f"crawl-turn:{hashlib.sha256(host.encode()).hexdigest()[:32]}"
        redis.set(key, "1", px=60_000)  # a crawl that waits for the site has the turn
        shown = acme_client.post("/websites/preview", {"base_url": web.url()}).content.decode()
        assert "The site did not answer in time." in shown
        assert web.asked == []
        for _ in range(2):
            assert site_preview._places.acquire(blocking=False)
        try:
            busy = acme_client.post("/websites/preview", {"base_url": web.url()}).content.decode()
        finally:
            site_preview._places.release(2)
        assert "Several websites are being looked at. Try again in a moment." in busy
