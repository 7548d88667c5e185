"""What is deleted for good, and what stays: earlier versions and archived documents."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db.models import Count, Sum
from django.test import Client
from django.utils import timezone
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from conftest import Character
from documents import purging, tasks
from documents.chunks import ALL_CHUNKS, replace_chunks
from documents.ingestion.base import Chunk
from documents.models import Document, DocumentChunk, LexicalTerm, WebsitePage, WebsiteSource
from documents.services import restore_document, set_document_retention
from documents.versions import next_version
from knowrithm.errors import InvalidInputError
from tenants.audit.models import AuditEvent
from tenants.models import Company

pytestmark = pytest.mark.django_db
API = "/api/v1/company/document-retention"


def document_of(who: Character, name: str, *, days: int | None = None, **fields: Any) -> Document:
    """A document that was read, with a file; archived so many days ago."""
    archived_at = None if days is None else timezone.now() - timedelta(days=days)
    document = Document(
        agent=who.agent, original_filename=name, document_type="txt", status="processed", archived_at=archived_at
    )
    for field, value in fields.items():
        setattr(document, field, value)
    document.file.save("original", ContentFile(b"text"), save=False)
    document.save()
    chunks = [Chunk(n, f"{name} word{n}", {"type": "lines", "start": 1, "end": 1}, word_count=2) for n in range(3)]
    replace_chunks(document, chunks, [[1.0, 0.0]] * 3, "model")
    return document


def versions_of(who: Character, *days: int | None) -> list[Document]:
    """Of one document, the earliest first."""
    found: list[Document] = []
    for number, ago in enumerate(days):
        follows = next_version(found[-1]) if found else {}
        found.append(document_of(who, f"v{number}", days=ago, **follows))
    return found


def keep(who: Character, *, versions: int | None = 30, archived: int | None = None) -> None:
    Company.objects.filter(pk=who.company.pk).update(version_retention_days=versions, archive_retention_days=archived)


def purge() -> list[str]:
    """Names of the documents that stay."""
    tasks.purge_old(Company.objects.get(name="Acme").schema_name)
    return sorted(Document.objects.values_list("original_filename", flat=True))


@pytest.mark.parametrize(
    ("versions", "archived", "left"),
    [
        (30, None, ["gone", "live", "old", "v1", "v2"]),
        (None, None, ["gone", "live", "old", "v0", "v1", "v2"]),
        (5, None, ["gone", "live", "old", "v2"]),
        (None, 365, ["gone", "live", "v0", "v1", "v2"]),
        (None, 15, ["live", "v1", "v2"]),
        (1, 1, ["live", "v2"]),
    ],
)
def test_what_is_older_than_it_is_kept_goes(
    in_acme: Character, versions: int | None, archived: int | None, left: list[str]
) -> None:
    versions_of(in_acme, 40, 10, None)
    document_of(in_acme, "live")
    document_of(in_acme, "gone", days=20)
    document_of(in_acme, "old", days=400)
    keep(in_acme, versions=versions, archived=archived)
    assert purge() == left
    assert purge() == left


def test_all_that_belongs_to_it_goes_and_is_written_down(in_acme: Character) -> None:
    old, _ = versions_of(in_acme, 40, None)
    path = Path(old.file.path)
    assert path.exists()
    AuditEvent.objects.all().delete()
    assert purge() == ["v1"]
    assert not path.parent.exists()
    [event] = AuditEvent.objects.all()
    assert (event.event_type, event.entity_id, event.changes["version"]) == ("document.purged", str(old.pk), [1, None])
    assert DocumentChunk.everywhere.filter(document=old.pk).count() == 0
    terms = LexicalTerm.objects.exclude(term=ALL_CHUNKS).aggregate(Sum("chunk_count"))
    assert (LexicalTerm.objects.get(term=ALL_CHUNKS).chunk_count, terms["chunk_count__sum"]) == (3, 6)


def test_what_another_company_keeps_stays(acme: Character, globex: Character) -> None:
    keep(acme, versions=5, archived=5)
    keep(globex, versions=None)
    with tenant_context(globex.company):
        old = versions_of(globex, 40, 40, None)
        before = everything()
    with tenant_context(acme.company):
        versions_of(acme, 40, 40, None)
        assert purge() == ["v2"]
    with tenant_context(globex.company):
        assert everything() == before
        assert [Path(document.file.path).exists() for document in old] == [True] * 3


def everything() -> list[Any]:
    models = (Document, DocumentChunk, LexicalTerm, AuditEvent)
    return [sorted(map(str, model._base_manager.values_list())) for model in models]


def test_the_latest_version_is_no_earlier_one(in_acme: Character) -> None:
    """Also when all are archived, or an earlier one was restored in its place, or the one after could not be read."""
    versions_of(in_acme, 40, 40)
    unread = versions_of(in_acme, 40, None)[1]
    Document.objects.filter(pk=unread.pk).update(status="failed")
    first, latest = versions_of(in_acme, 40, None)
    restore_document(actor=in_acme.principal, document=first)
    Document.objects.filter(pk=latest.pk).update(archived_at=timezone.now() - timedelta(days=40))
    assert purge() == ["v0", "v0", "v1", "v1", "v1"]


def test_one_that_is_restored_meanwhile_stays(in_acme: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    old, _ = versions_of(in_acme, 40, None)
    expired = purging._expired

    def restored_first(*moments: Any) -> Any:
        rows = expired(*moments)
        found = list(rows)
        Document.objects.filter(pk__in=[row.pk for row in found]).update(archived_at=None)
        return rows

    purging._purge(old, expired(timezone.now(), None).filter(archived_at=None))
    assert Document.objects.filter(pk=old.pk).exists()
    monkeypatch.setattr(purging, "_expired", restored_first)
    assert purge() == ["v0", "v1"]


def test_what_a_person_has_archived_of_a_website_stays_out(in_acme: Character) -> None:
    """Else the page's next version would be a new document, which answers again."""
    source = WebsiteSource.objects.create(agent=in_acme.agent, base_url="https://a.example/")
    by_hand, gone = (document_of(in_acme, name, days=40) for name in ("by hand", "page gone"))
    WebsitePage.objects.create(source=source, url="https://a.example/1", document=by_hand)
    page = WebsitePage.objects.create(source=source, url="https://a.example/2", document=gone, is_document_out=True)
    keep(in_acme, archived=30)
    assert purge() == ["by hand"]
    page.refresh_from_db()
    assert page.document is None
    WebsiteSource.objects.update(archived_at=timezone.now())
    assert purge() == []


def test_a_step_is_bounded_and_the_next_goes_on(in_acme: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "AT_ONCE", 2)
    for number in range(5):
        document_of(in_acme, f"{number}", days=40)
    keep(in_acme, archived=30)
    left, after = [], None
    while True:
        after = purging.purge_some(after)
        left.append(Document.objects.aggregate(count=Count("pk"))["count"])
        if after is None:
            break
    assert left == [3, 1, 0]


def test_admins_set_it(in_acme: Character, acme_api: APIClient, acme_client: Client) -> None:
    kept = acme_client.get("/documents/retention").content.decode()
    assert 'value="30"' in kept
    answer = acme_client.post("/documents/retention", {"version_days": "", "archive_days": "90"})
    assert (answer.status_code, answer["Location"]) == (302, "/documents")
    company = Company.objects.get(pk=in_acme.company.pk)
    assert (company.version_retention_days, company.archive_retention_days) == (None, 90)
    assert acme_client.post("/documents/retention", {"version_days": "0"}).status_code == 200
    assert Company.objects.get(pk=in_acme.company.pk).archive_retention_days == 90


def test_the_api_tells_and_sets_it(acme_api: APIClient) -> None:
    assert acme_api.get(API).json()["document_retention"] == {"version_days": 30, "archive_days": None}
    answer = acme_api.put(API, {"version_days": None, "archive_days": 7}, format="json")
    assert (answer.status_code, answer.json()["document_retention"]) == (200, {"version_days": None, "archive_days": 7})
    for sent in ({}, {"version_days": 0, "archive_days": 1}, {"version_days": 1, "archive_days": "x"}):
        assert acme_api.put(API, sent, format="json").status_code == 400
    assert acme_api.get(API).json()["archive_days"] == 7


@pytest.mark.parametrize("days", [0, -1, 36_501])
def test_what_it_must_not_be(in_acme: Character, days: int) -> None:
    with pytest.raises(InvalidInputError):
        set_document_retention(actor=in_acme.principal, version_days=30, archive_days=days)
