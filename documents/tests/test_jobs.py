"""A job that is cancelled, overtaken, repeated: what stays of it, and what a document's owner sees."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from django.utils import timezone
from django_tenants.utils import tenant_context
from pytest_django import Settings
from rest_framework.test import APIClient

from agents.models import Agent
from conftest import Character
from documents import jobs, services, tasks
from documents.enums import DocumentStatus, JobStatus, Stage
from documents.models import Document, DocumentChunk, IngestionJob, KnownEmbedding
from documents.services import queue_ingestion
from documents.tests.ingestion.builders import lines_down, pdf_of, scan_of
from documents.tests.website import Page, html, serving
from knowrithm.db.redis import sync_redis
from knowrithm.jobs import read_task, report_progress

HTMX = {"HX-Request": "true"}
LINES = [f"Line {number} tells of the pump number {number}. " * 20 for number in range(40)]


def add(
    who: Character, text: str | bytes = "The pump is made in Lyon.", name: str = "pump.txt", kind: str = "txt"
) -> Document:
    content = text if isinstance(text, bytes) else text.encode()
    document = Document(agent=who.agent, original_filename=name, document_type=kind, file_size=len(content))
    document.file.save("original", ContentFile(content), save=False)
    document.save()
    queue_ingestion(document)
    return document


def work_off() -> None:
    for job in IngestionJob.objects.filter(status=JobStatus.PENDING):
        jobs.run(job.pk, tasks.ingest)


def read(document: Document) -> dict[str, float]:
    """Read it (again); the timings."""
    if document.status == DocumentStatus.PROCESSED:
        queue_ingestion(document)
    work_off()
    document.refresh_from_db()
    assert (document.status, document.processing_error) == ("processed", "")
    timings: dict[str, float] = document.jobs.first().timings  # type: ignore[union-attr]  # there is one
    return timings


# --- Cancel -------------------------------------------------------------------------------------------------------


def test_cancelling_ends_in_a_state_of_its_own_from_which_it_can_be_tried_again(
    acme: Character, acme_api: APIClient
) -> None:
    with tenant_context(acme.company):
        document = add(acme)
    url = f"/api/v1/document/{document.pk}"
    assert acme_api.post(f"{url}/cancel").json()["document"]["status"] == "cancelled"
    with tenant_context(acme.company):
        assert [job.status for job in document.jobs.all()] == ["cancelled"]
        work_off()
    shown = acme_api.get(url).json()
    assert (shown["document"]["status"], shown["document"]["error_code"], shown["chunks"]) == ("cancelled", "", [])
    again = acme_api.post(f"{url}/cancel")
    assert (again.status_code, again.json()["error"]) == (
        400, "This document is not being read, so there is nothing to cancel.",
    )  # fmt: skip
    assert acme_api.post(f"{url}/retry").json()["document"]["status"] == "pending"
    with tenant_context(acme.company):
        work_off()
    assert acme_api.get(url).json()["document"]["status"] == "processed"


def test_a_new_reading_takes_the_place_of_the_old_one(in_acme: Character) -> None:
    document = add(in_acme)
    old = document.jobs.get()
    claimed = IngestionJob.claim(old.pk)
    assert claimed is not None
    queue_ingestion(document)
    assert not claimed.is_held()
    assert not claimed.update_if_held(progress=50)
    assert sorted(job.status for job in document.jobs.all()) == ["cancelled", "pending"]


def test_archiving_stops_the_reading_and_restoring_goes_on_with_it(in_acme: Character) -> None:
    document = add(in_acme)
    claimed = IngestionJob.claim(document.jobs.get().pk)
    assert claimed is not None
    Document.objects.update(status=DocumentStatus.PROCESSING)
    services.archive_document(actor=in_acme.principal, document=document)
    assert not claimed.is_held()
    document.refresh_from_db()
    assert (document.status, document.is_active_job, IngestionJob.in_line().count()) == ("pending", False, 0)
    services.restore_document(actor=in_acme.principal, document=document)
    work_off()
    document.refresh_from_db()
    assert (document.status, DocumentChunk.objects.count()) == ("processed", 1)


def test_what_was_cancelled_stays_so_when_it_is_archived_and_restored(in_acme: Character) -> None:
    document = add(in_acme)
    services.cancel_document(actor=in_acme.principal, document=document)
    services.archive_document(actor=in_acme.principal, document=document)
    services.restore_document(actor=in_acme.principal, document=document)
    document.refresh_from_db()
    assert (document.status, IngestionJob.in_line().count()) == ("cancelled", 0)


def test_a_worker_that_was_cancelled_before_it_began_changes_nothing(in_acme: Character) -> None:
    document = add(in_acme)
    claimed = IngestionJob.claim(document.jobs.get().pk, *jobs.RELATED)
    assert claimed is not None
    services.cancel_document(actor=in_acme.principal, document=document)
    jobs._work_on(claimed, tasks.ingest)
    document.refresh_from_db()
    assert (document.status, DocumentChunk.objects.count()) == ("cancelled", 0)


@pytest.mark.parametrize(
    ("status", "after"), [(404, "failed"), (408, "pending"), (425, "pending"), (429, "pending"), (503, "pending")]
)
def test_an_address_that_has_no_time_is_asked_again(
    in_acme: Character, monkeypatch: pytest.MonkeyPatch, status: int, after: str
) -> None:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    with serving() as web:
        web.pages["/faq"] = Page(b"", status)
        document = Document.objects.create(agent=in_acme.agent, original_filename="faq", source_url=web.url("/faq"))
        queue_ingestion(document)
        work_off()
        job = document.jobs.get()
        assert (job.status, job.error) == (after, f"The address answered with status {status}.")
        web.pages["/faq"] = html("The shop opens at nine.")
        work_off()
        document.refresh_from_db()
        assert document.status == ("failed" if after == "failed" else "processed")


def test_an_address_with_the_content_of_another_document_says_so(
    in_acme: Character, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    with serving() as web:
        web.pages["/faq"] = web.pages["/copy"] = html("The shop opens at nine.")
        web.pages["/other"] = html("The shop closes at six.")
        warnings = {}
        for name in ("faq", "copy", "other"):
            document = Document.objects.create(
                agent=in_acme.agent, original_filename=name, source_url=web.url(f"/{name}")
            )
            queue_ingestion(document)
            work_off()
            document.refresh_from_db()
            warnings[name] = document.warnings
    told = "The document The shop opens at nine has the same content."
    assert warnings == {"faq": [], "copy": [told], "other": []}


# --- The embedding cache ------------------------------------------------------------------------------------------


def test_what_was_embedded_once_is_known(in_acme: Character) -> None:
    first = add(in_acme, "\n\n".join(LINES[:10]))
    assert read(first)["from_cache"] == 0
    count = KnownEmbedding.objects.count()
    assert count == first.chunks.count() > 3
    vectors = {chunk.content: list(chunk.embedding) for chunk in first.chunks.all()}
    assert read(first)["from_cache"] == count

    # The same text in another document, and one line more.
    second = add(in_acme, "\n\n".join(LINES[:10]))
    assert read(second)["from_cache"] == count
    assert {chunk.content: list(chunk.embedding) for chunk in second.chunks.all()} == vectors
    assert KnownEmbedding.objects.count() == count


def test_a_job_that_starts_over_embeds_only_the_rest(in_acme: Character) -> None:
    document = add(in_acme, "\n\n".join(LINES[:10]))
    read(document)
    lost = KnownEmbedding.objects.count() - 2
    KnownEmbedding.objects.filter(pk__in=KnownEmbedding.objects.values("pk")[:lost]).delete()
    assert read(document)["from_cache"] == 2


def test_vectors_of_another_model_are_not_taken(in_acme: Character) -> None:
    document = add(in_acme)
    read(document)
    settings_row = Agent.objects.with_settings().get(pk=in_acme.agent.pk).llm_settings
    settings_row.embedding_additional_params = {"other": True}
    settings_row.save()
    assert read(document)["from_cache"] == 0


def test_the_cache_keeps_what_was_used_last(in_acme: Character, settings: Settings) -> None:
    settings.EMBEDDING_CACHE_SIZE = 2
    for number in range(3):
        old = timezone.now() - timedelta(days=9 - number)
        KnownEmbedding.objects.create(key=uuid.UUID(int=number), vector=[1.0, 0.0], used_at=old)
    read(add(in_acme))
    kept = set(KnownEmbedding.objects.values_list("pk", flat=True))
    assert (len(kept), uuid.UUID(int=2) in kept) == (2, True)
    settings.EMBEDDING_CACHE_SIZE = 0
    KnownEmbedding.objects.all().delete()
    read(add(in_acme, "Another text."))
    assert KnownEmbedding.objects.count() == 0


def test_companies_share_no_vectors(acme: Character, globex: Character) -> None:
    for who in (acme, globex):
        with tenant_context(who.company):
            assert read(add(who))["from_cache"] == 0


def test_a_client_that_polls_hears_of_an_end_that_nobody_could_tell(in_acme: Character) -> None:
    read(add(in_acme))
    broken = add(in_acme, "\0\0", name="broken.pdf")
    Document.objects.filter(pk=broken.pk).update(document_type="pdf")
    work_off()
    tasks_of = list(IngestionJob.objects.order_by("created_at").values_list("task_id", flat=True))
    for task_id in tasks_of:
        sync_redis().delete(f"task:{task_id}")
        report_progress(str(task_id), 95)
    jobs.tell_ends()
    records = [read_task(str(task_id)) for task_id in tasks_of]
    assert [record and (record.status, record.error_code) for record in records] == [
        ("completed", ""), ("failed", "DOC_DAMAGED"),
    ]  # fmt: skip


# --- What the owner sees ------------------------------------------------------------------------------------------


def test_the_timings_of_the_stages_are_told(acme: Character, acme_api: APIClient, acme_client: Client) -> None:
    with tenant_context(acme.company):
        document = add(acme)
        read(document)
    shown = acme_api.get(f"/api/v1/document/{document.pk}").json()["document"]
    assert sorted(shown["timings"]) == ["embedding", "extracting", "from_cache", "saving", "waiting"]
    assert shown["seconds_left"] is None
    page = acme_client.get(f"/documents/{document.pk}").content.decode()
    assert [words in page for words in ("Last reading", "Making it searchable", "Cancel reading")] == [
        True,
        True,
        False,
    ]


@pytest.mark.usefixtures("tesseract")
def test_recognition_has_a_timing_of_its_own(acme: Character, acme_api: APIClient, acme_client: Client) -> None:
    scan = scan_of(pdf_of(lines_down(["Returns are free of charge for thirty days"])))
    with tenant_context(acme.company):
        document = add(acme, scan, "scan.pdf", "pdf")
        read(document)
        larger = Document(document_type="pdf", file_size=document.file_size * 2)
        expected = jobs._expected(larger)
    timings = acme_api.get(f"/api/v1/document/{document.pk}").json()["document"]["timings"]
    assert sorted(timings) == ["embedding", "extracting", "from_cache", "ocr", "saving", "waiting"]
    assert timings["ocr"] > 0
    assert expected == pytest.approx({name: 2 * timings[name] for name in ("extracting", "ocr", "embedding", "saving")})
    page = acme_client.get(f"/documents/{document.pk}").content.decode()
    assert "<dt>Recognising scanned pages</dt>" in page


def test_the_time_left_is_told_in_seconds_and_in_words(
    acme: Character, acme_api: APIClient, acme_client: Client
) -> None:
    with tenant_context(acme.company):
        document = add(acme)
        Document.objects.update(status=DocumentStatus.PROCESSING)
        IngestionJob.objects.update(status=JobStatus.PROCESSING, stage=Stage.OCR, seconds_left=130)
    assert acme_api.get(f"/api/v1/document/{document.pk}").json()["document"]["seconds_left"] == 130
    for url in (f"/documents/{document.pk}", f"/documents/{document.pk}/row"):
        page = acme_client.get(url).content.decode()
        assert "Recognising scanned pages, about 2 minutes left" in page
        assert f"/documents/{document.pk}/cancel" in page
    row = acme_client.post(f"/documents/{document.pk}/cancel", headers=HTMX).content.decode()
    assert ("Reading was cancelled." in row, f"/documents/{document.pk}/retry" in row) == (True, True)


def test_time_left_goes_by_the_stages_own_speed_and_the_companys_last_documents(in_acme: Character) -> None:
    def clock(**expected: float) -> jobs._Clock:
        document = add(in_acme)
        made = jobs._Clock(document.jobs.get())
        made.expected = {Stage(name).value: seconds for name, seconds in expected.items()}
        made._stage_began = time.monotonic() - 10  # ten seconds of the stage are over
        return made

    assert clock()._seconds_left(Stage.EXTRACTING, 0.5) is None  # nobody knows how long the embedding takes
    assert clock(ocr=0, embedding=30, saving=2)._seconds_left(Stage.EXTRACTING, 0.5) == 42
    assert clock(ocr=60, embedding=30, saving=2)._seconds_left(Stage.EXTRACTING, 0.5) == 102
    assert clock(extracting=15, ocr=0, embedding=30, saving=2)._seconds_left(Stage.EXTRACTING, 0.0) == 37
    assert clock(extracting=15, ocr=20, embedding=3, saving=2)._seconds_left(Stage.OCR, 0.0) == 30
    assert clock()._seconds_left(Stage.OCR, 0.25) == 30
    assert clock()._seconds_left(Stage.EMBEDDING, 0.5) == 10
    done = add(in_acme)
    done.jobs.update(
        status=JobStatus.COMPLETED, finished_at=timezone.now(), timings={"extracting": 1.0, "embedding": 3.0}
    )
    larger = Document(document_type="txt", file_size=done.file_size * 10)
    assert jobs._expected(larger) == {"extracting": 10.0, "ocr": 0.0, "embedding": 30.0, "saving": 0.0}
