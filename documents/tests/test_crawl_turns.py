"""Crawls of companies take turns too: one company's many websites do not hold up another's one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context

from conftest import Character
from documents import crawl
from documents.crawl import base, work
from documents.enums import CrawlStage, JobStatus
from documents.models import Crawl
from documents.services import create_website_source, start_crawl
from documents.tasks import crawl_website, ingest
from documents.tests.website import Website, html, serving
from knowrithm.db.redis import sync_redis
from knowrithm.turns import ask_for_turn
from tenants.models import Company


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "SLOT", "crawl-in-turn")  # other processes of the run crawl too: they keep their places
    for pattern in ("turns:*", "crawl-*"):
        for key in sync_redis().scan_iter(pattern):
            sync_redis().delete(key)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Website]:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    settings.CRAWL_DELAY_MILLISECONDS = 0
    with serving() as server:
        server.otherwise = lambda path: html(f"The page {path} is there.")
        yield server


def add(who: Character, web: Website, *names: str) -> None:
    """Websites of one page each, all to be crawled; their company asks for its turn as a committed request does."""
    with tenant_context(who.company):
        for name in names:
            options = {"mode": "single"}
            source = create_website_source(
                actor=who.principal, home=who.agent, base_url=web.url(f"/{name}"), options=options
            )
            start_crawl(actor=who.principal, source=source)
    ask_for_turn(base.TURNS, who.company.schema_name)


def served(who: Character, web: Website) -> list[str]:
    """What a worker crawls that gets a message of this company."""
    web.asked.clear()
    work.work_in_turn(who.company.schema_name, crawl_website, ingest)
    end_indexing()
    return [path.strip("/") for path in web.asked_for_pages()]


def end_indexing() -> None:
    """What has been read counts as embedded: crawls that wait for that would have turns too."""
    for company in Company.objects.all():
        with tenant_context(company):
            Crawl.objects.filter(stage=CrawlStage.INDEXING).update(status=JobStatus.COMPLETED)


@pytest.mark.django_db
def test_one_website_does_not_wait_for_another_companys_many(acme: Character, globex: Character, web: Website) -> None:
    add(acme, web, "a1", "a2", "a3", "a4")
    assert [served(acme, web), served(acme, web)] == [["a1"], ["a2"]]
    add(globex, web, "g1")
    # The queue still holds acme's messages; globex's own comes last.
    assert [served(acme, web), served(acme, web), served(globex, web)] == [["g1"], ["a3"], ["a4"]]


@pytest.mark.django_db
def test_a_long_crawl_goes_on_after_the_others(
    acme: Character, globex: Character, web: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(acme, web, "long", "a2")
    monkeypatch.setattr(work, "SLICE", 0.0)  # over before the first page
    assert served(acme, web) == []
    monkeypatch.undo()
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    add(globex, web, "g1")
    assert [served(acme, web) for _ in range(3)] == [["g1"], ["a2"], ["long"]]


@pytest.mark.django_db
def test_what_is_not_due_waits_and_holds_nobody_up(acme: Character, globex: Character, web: Website) -> None:
    add(acme, web, "later")
    with tenant_context(acme.company):
        Crawl.objects.update(due_at=timezone.now() + timedelta(minutes=1))
    add(globex, web, "now")
    assert [served(acme, web), served(acme, web)] == [["now"], []]
    with tenant_context(acme.company):
        Crawl.objects.update(due_at=timezone.now())
    assert served(acme, web) == ["later"]


@pytest.mark.django_db
def test_without_a_free_slot_nothing_is_done_and_whoever_has_one_goes_on(
    acme: Character, globex: Character, web: Website
) -> None:
    add(acme, web, "a1")
    for number in range(work.SLOTS):
        sync_redis().set(f"{work.SLOT}-slot:{number}", "1")
    assert work.work_in_turn(acme.company.schema_name, crawl_website, ingest) is False
    assert web.asked == []
    sync_redis().delete(f"{work.SLOT}-slot:2")
    add(globex, web, "g1")
    assert work.work_in_turn(globex.company.schema_name, crawl_website, ingest) is True
    assert work.work_in_turn(globex.company.schema_name, crawl_website, ingest) is True
    end_indexing()
    assert sorted(web.asked_for_pages()) == ["/a1", "/g1"]
    assert work.work_in_turn(globex.company.schema_name, crawl_website, ingest) is False


@pytest.mark.django_db
def test_beat_asks_for_what_waits_and_gives_up_what_kills_its_workers(
    acme: Character, web: Website, django_capture_on_commit_callbacks: Any
) -> None:
    add(acme, web, "a1", "a2")
    gone = timezone.now() - timedelta(seconds=1)
    with tenant_context(acme.company):
        dead, other = Crawl.objects.order_by("created_at")
        Crawl.objects.filter(pk=dead.pk).update(status=JobStatus.PROCESSING, lease_until=gone, attempts=4)
        crawl.crawl_due(crawl_website)
        dead.refresh_from_db()
        assert (dead.status, dead.error_code) == (JobStatus.FAILED, "CRAWL_INTERNAL_ERROR")
        Crawl.objects.filter(pk=other.pk).update(status=JobStatus.PROCESSING, lease_until=gone, attempts=3)
        sync_redis().delete("turns:crawls")  # as if Redis had lost it
        with django_capture_on_commit_callbacks(execute=True):
            crawl.crawl_due(crawl_website)
    assert sync_redis().zcard("turns:crawls") == 1
    assert served(acme, web) == ["a2"]
