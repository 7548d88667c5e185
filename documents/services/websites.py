"""Websites whose pages agents answer from. Crawling them is a worker's business (documents.crawl)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.utils import timezone

from documents import crawl, tasks
from documents.enums import CrawlMode, PageStatus, SourceStatus
from documents.ingestion.web.addresses import canonical, site_of
from documents.models import Crawl, Home, WebsiteSource, owned_by
from knowrithm.errors import ConflictError, InvalidInputError
from knowrithm.net.policy import OutboundError, OutboundRefusedError, checked_addresses
from knowrithm.principal import Principal
from tenants.audit.services import changed_fields, fields_of, record_event

FIELDS = (
    "seed_urls", "mode", "allowed_paths", "disallowed_paths", "max_pages", "max_depth", "crawl_frequency_minutes",
    "is_paused", "notes",
)  # fmt: skip
MAX_PAGES, MAX_DEPTH = 5000, 20
MIN_FREQUENCY = 5  # minutes
MAX_FREQUENCY = 366 * 24 * 60


def create_website_source(
    *, actor: Principal, home: Home, base_url: str, options: Mapping[str, Any] | None = None, crawl_now: bool = False
) -> WebsiteSource:
    """Take a website in; `options` are of `FIELDS`. Raises `InvalidInputError`, `ConflictError` for one known already.

    With `crawl_now` its first crawl is queued. An address that no crawl could reach is refused.
    """
    source = WebsiteSource(**owned_by(home), base_url=_address(base_url, "base_url"))
    _set(source, options or {})
    _check_once(source)
    _check_host(source)
    return _create(actor, source, crawl_now=crawl_now)


@transaction.atomic
def _create(actor: Principal, source: WebsiteSource, *, crawl_now: bool) -> WebsiteSource:
    _plan(source)
    source.save()
    if crawl_now:
        crawl.begin(source, tasks.crawl_website)
    changes = changed_fields({}, {"base_url": source.base_url, **fields_of(source, FIELDS)})
    record_event(actor=actor, event_type="website_source.created", entity=source, changes=changes)
    return source


def update_website_source(*, actor: Principal, source: WebsiteSource, changes: Mapping[str, Any]) -> WebsiteSource:
    """`changes` may name `base_url` and `FIELDS`. Raises `InvalidInputError`, `ConflictError`."""
    before = {"base_url": source.base_url, **fields_of(source, FIELDS)}
    if "base_url" in changes:
        source.base_url = _address(changes["base_url"], "base_url")
    _set(source, changes)
    _check_once(source)
    if source.base_url != before["base_url"]:
        _check_host(source)
    return _update(actor, source, before)


@transaction.atomic
def _update(actor: Principal, source: WebsiteSource, before: Mapping[str, Any]) -> WebsiteSource:
    after = {"base_url": source.base_url, **fields_of(source, FIELDS)}
    if any(before[name] != after[name] for name in ("crawl_frequency_minutes", "is_paused")):
        _plan(source)
    source.save(update_fields=["base_url", *FIELDS, "next_crawl_at", "updated_at"])
    record_event(actor=actor, event_type="website_source.updated", entity=source, changes=changed_fields(before, after))
    return source


@transaction.atomic
def archive_website_source(*, actor: Principal, source: WebsiteSource) -> WebsiteSource:
    """Stop its crawl and take the documents of its pages out of every answer."""
    crawl.cancel(source)
    source.archived_at = timezone.now()
    source.last_crawl_status = SourceStatus.ACTIVE
    source.next_crawl_at = None
    source.save(update_fields=["archived_at", "last_crawl_status", "next_crawl_at", "updated_at"])
    pages = source.pages.filter(document__archived_at=None).exclude(document=None)
    ids = list(pages.values_list("document_id", flat=True))
    pages.update(is_document_out=True)
    crawl.archive_documents(source, ids)
    record_event(
        actor=actor, event_type="website_source.archived", entity=source, changes={"documents": (None, len(ids))}
    )
    return source


@transaction.atomic
def restore_website_source(*, actor: Principal, source: WebsiteSource) -> WebsiteSource:
    """With the documents that were archived together with it. Raises `ConflictError` when it is there anew."""
    source.archived_at = None
    _check_once(source)
    _plan(source)
    source.save(update_fields=["archived_at", "next_crawl_at", "updated_at"])
    pages = source.pages.filter(status=PageStatus.CRAWLED, is_document_out=True)
    ids = list(pages.values_list("document_id", flat=True))
    pages.update(is_document_out=False)
    crawl.restore_documents(source, ids)
    record_event(
        actor=actor, event_type="website_source.restored", entity=source, changes={"documents": (None, len(ids))}
    )
    return source


@transaction.atomic
def start_crawl(*, actor: Principal | None, source: WebsiteSource, max_pages: int | None = None) -> Crawl:
    """Queue a crawl of at most `max_pages` pages, or as many as the source allows. `actor` is None for a visitor.

    Raises `ConflictError` while one goes on.
    """
    if max_pages is not None:
        _check_range("max_pages", max_pages, 1, MAX_PAGES)
    found = crawl.begin(source, tasks.crawl_website, max_pages=max_pages)
    if found is None:
        raise ConflictError("This website is being crawled already.", code="CRAWL_RUNNING")
    record_event(
        actor=actor,
        event_type="website_source.crawl_requested",
        entity=source,
        changes={"max_pages": (None, found.max_pages)},
    )
    return found


@transaction.atomic
def cancel_crawl(*, actor: Principal, source: WebsiteSource) -> None:
    """What has been read stays. Raises `ConflictError` when no crawl goes on."""
    if not crawl.cancel(source):
        raise ConflictError("This website is not being crawled.", code="CRAWL_NOT_RUNNING")
    record_event(actor=actor, event_type="website_source.crawl_stopped", entity=source)


def _address(text: str, name: str) -> str:
    found = canonical(text if "://" in text else f"https://{text}")
    if found is None:
        fault = "Give the address of a website, such as https://www.example.com/."
        raise InvalidInputError(fault, code="WEBSITE_BAD_URL", fields={name: [fault]})
    return found


def _set(source: WebsiteSource, options: Mapping[str, Any]) -> None:
    for name in FIELDS:
        if name in options:
            setattr(source, name, options[name])
    source.notes = source.notes.strip()
    source.mode = CrawlMode(source.mode)
    source.seed_urls = [_address(url, "seed_urls") for url in source.seed_urls]
    if any(site_of(url) != site_of(source.base_url) for url in source.seed_urls):
        fault = "Every further address must be on the same site as the first."
        raise InvalidInputError(fault, fields={"seed_urls": [fault]})
    for name in ("allowed_paths", "disallowed_paths"):
        setattr(source, name, _patterns(getattr(source, name)))
    _check_range("max_pages", source.max_pages, 1, MAX_PAGES)
    _check_range("max_depth", source.max_depth, 0, MAX_DEPTH)
    if source.crawl_frequency_minutes:
        _check_range("crawl_frequency_minutes", source.crawl_frequency_minutes, MIN_FREQUENCY, MAX_FREQUENCY)


def _patterns(given: Sequence[str]) -> list[str]:
    stripped = [pattern.strip() for pattern in given]
    return [pattern if pattern[0] in "/*" else f"/{pattern}" for pattern in stripped if pattern]


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        fault = f"Give a number from {least} to {most}."
        raise InvalidInputError(fault, fields={name: [fault]})


def _check_once(source: WebsiteSource) -> None:
    same = WebsiteSource.objects.live().filter(**owned_by(source.home), base_url=source.base_url)
    if same.exclude(pk=source.pk).exists():
        text = "This website is registered already."
        raise ConflictError(text, code="WEBSITE_EXISTS", fields={"base_url": [text]})


def _check_host(source: WebsiteSource) -> None:
    """Refuse an address that every crawl would fail at. Call outside of transactions: it asks for the name."""
    parts = urlsplit(source.base_url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    try:
        checked_addresses(parts.hostname or "", port)
    except OutboundError as error:
        code = "CRAWL_REFUSED" if isinstance(error, OutboundRefusedError) else "CRAWL_UNREACHABLE"
        raise InvalidInputError(str(error), code=code, fields={"base_url": [str(error)]}) from error


def _plan(source: WebsiteSource) -> None:
    """When the next crawl is due: at once for a website that has just got a schedule."""
    source.next_crawl_at = timezone.now() if source.is_scheduled else None
    last = source.last_crawl_completed_at
    if source.next_crawl_at is not None and last is not None:
        source.next_crawl_at = max(source.next_crawl_at, last + timedelta(minutes=source.crawl_frequency_minutes))
