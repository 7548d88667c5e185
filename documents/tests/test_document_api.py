from __future__ import annotations

import io
import json
import uuid
import zipfile
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from agents.models import Agent
from conftest import Character
from documents import jobs, services, tasks
from documents.models import Document, DocumentChunk, IngestionJob, LexicalTerm
from documents.tests.ingestion.builders import picture_of
from tenants.models import Company

TEXT = b"The X200 pump is made in Lyon.\n\nIts warranty lasts 37 months.\n"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


def upload(client: APIClient, agent: Agent, *files: tuple[str, bytes], field: str = "files", **extra: Any) -> Any:
    sent = [SimpleUploadedFile(name, content) for name, content in files]
    return client.post("/api/v1/document/upload", {"agent_id": str(agent.id), field: sent, **extra}, format="multipart")


def work_off(who: Character) -> None:
    """Do what the workers would."""
    with tenant_context(who.company):
        for job in IngestionJob.objects.filter(status="pending"):
            jobs.run(job.id, tasks.ingest)


def test_upload_read_and_look_inside(acme_api: APIClient, acme: Character) -> None:
    answer = upload(acme_api, acme.agent, ("pump.txt", TEXT), ("../../etc/passwd.csv", b"a,b\n1,2\n"))
    assert (answer.status_code, answer.json()["documents_processed"]) == (200, 2)
    assert "task_id" not in answer.json()
    work_off(acme)

    listed = acme_api.get("/api/v1/document", {"status": "processed"}).json()
    assert listed["document"] == listed["documents"] == listed["items"]
    assert {row["original_filename"] for row in listed["documents"]} == {"pump.txt", "passwd.csv"}
    pump = next(row for row in listed["documents"] if row["filename"] == "pump.txt")
    shown = acme_api.get(f"/api/v1/document/{pump['id']}").json()
    (chunk,) = shown["chunks"]
    assert chunk["locator"] == {"type": "lines", "start": 1, "end": 3}
    assert chunk["locator_label"] == "Lines 1–3"
    assert "37 months" in chunk["content"]
    with tenant_context(acme.company):
        document = Document.objects.get(pk=pump["id"])
        assert document.file.path.endswith(f"{acme.company.schema_name}/documents/{document.id}/original")
        assert Agent.objects.get(pk=acme.agent.pk).documents_count == 2


@pytest.mark.parametrize("field", ["files", "file", "files[]"])
def test_each_file_field_name(acme_api: APIClient, acme: Character, field: str) -> None:
    assert upload(acme_api, acme.agent, ("a.txt", TEXT), field=field).json()["documents_processed"] == 1


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({"url": "https://example.org/a"}, 1),
        ({"urls": ["https://example.org/a", "https://example.org/b"]}, 2),
        ({"urls": '["https://example.org/a", "https://example.org/b"]'}, 2),
        ({"urls": "https://example.org/a,https://example.org/b"}, 2),
        ({"urls": ["https://example.org/a", "https://example.org/a"]}, 1),
    ],
)
@pytest.mark.parametrize("kind", ["json", "multipart"])
def test_addresses_in_every_form(
    acme_api: APIClient, acme: Character, body: dict[str, Any], count: int, kind: str
) -> None:
    answer = acme_api.post(
        "/api/v1/document/upload", {"agent_id": str(acme.agent.id), "topic": "pumps", **body}, format=kind
    )
    assert (answer.status_code, answer.json()["documents_processed"]) == (200, count)
    assert answer.json()["documents"][0]["metadata"] == {"topic": "pumps"}


def docx(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("photo.pdf", PNG, "DOC_TYPE_MISMATCH"),
        ("empty.txt", b"", "DOC_EMPTY"),
        ("blank.txt", b" \n\t ", "DOC_EMPTY"),
        ("program.exe", b"MZ\x90\0" + b"\0" * 100, "DOC_UNSUPPORTED_TYPE"),
        ("sheet.ods", docx({"content.xml": b"<x/>"}), "DOC_UNSUPPORTED_TYPE"),
    ],
    ids=lambda value: "content" if isinstance(value, bytes) else None,
)
def test_what_cannot_be_taken_is_said_at_once(
    acme_api: APIClient, acme: Character, name: str, content: bytes, code: str
) -> None:
    alone = upload(acme_api, acme.agent, (name, content))
    assert (alone.status_code, alone.json()["code"]) == (400, code)
    assert list(alone.json()["errors"]) == [name]

    beside = upload(acme_api, acme.agent, ("good.txt", TEXT), (name, content))
    body = beside.json()
    assert (beside.status_code, body["documents_processed"], body["documents_failed"]) == (207, 1, 1)
    assert body["errors"][0]["code"] == code


@override_settings(MAX_FILE_SIZE=10)
def test_too_large(acme_api: APIClient, acme: Character) -> None:
    answer = upload(acme_api, acme.agent, ("big.txt", TEXT))
    assert (answer.status_code, answer.json()["code"]) == (400, "DOC_TOO_LARGE")
    assert "at most" in answer.json()["error"]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("broken.json", b'{"a": [1, 2', "DOC_DAMAGED"),
        ("broken.pdf", b"%PDF-1.7\nnothing follows", "DOC_DAMAGED"),
        ("bomb.xml", b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "x">]><a>&b;</a>', "DOC_DANGEROUS"),
        ("entity.xml", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "DOC_DANGEROUS"),
        ("bomb.docx", docx({"word/document.xml": b"\0" * 300_000_000}), "DOC_DANGEROUS"),
    ],
    ids=lambda value: "content" if isinstance(value, bytes) else None,
)
def test_what_cannot_be_read_fails_with_its_cause_in_words(
    acme_api: APIClient, acme: Character, name: str, content: bytes, code: str
) -> None:
    assert upload(acme_api, acme.agent, (name, content)).status_code == 200
    work_off(acme)

    (row,) = acme_api.get("/api/v1/document").json()["documents"]
    assert (row["status"], row["error_code"]) == ("failed", code)
    assert len(row["processing_error"]) > 20

    retried = acme_api.post(f"/api/v1/document/{row['id']}/retry")
    assert retried.json()["document"]["status"] == "pending"


def test_reading_again_replaces_the_chunks_and_their_counts(acme_api: APIClient, acme: Character) -> None:
    upload(acme_api, acme.agent, ("pump.txt", TEXT))
    work_off(acme)
    with tenant_context(acme.company):
        counts = list(LexicalTerm.objects.order_by("term").values_list("term", "chunk_count", "word_total"))
        document = Document.objects.get()
        IngestionJob.objects.create(document=document)
    work_off(acme)
    with tenant_context(acme.company):
        assert DocumentChunk.objects.count() == 1
        assert list(LexicalTerm.objects.order_by("term").values_list("term", "chunk_count", "word_total")) == counts


def search(client: APIClient, agent: Agent, query: str, **extra: Any) -> dict[str, Any]:
    body: dict[str, Any] = client.post(
        "/api/v1/search/document", {"query": query, "agent_id": str(agent.id), **extra}
    ).json()
    return body


def test_search_finds_the_right_document_and_nothing_of_other_agents(acme_api: APIClient, acme: Character) -> None:
    upload(acme_api, acme.agent, ("pump.txt", TEXT), ("tea.txt", b"Green tea is steeped at 80 degrees."))
    work_off(acme)
    other = acme_api.post("/api/v1/agent", {"name": "Other"}).json()["agent"]["id"]

    found = search(acme_api, acme.agent, "How long is the warranty of the pump?", limit=1)
    assert [row["document_name"] for row in found["results"]] == ["pump.txt"]
    assert found["has_evidence"]
    assert not search(acme_api, acme.agent, "Who won the world cup in 1998?")["has_evidence"]
    nothing = acme_api.post("/api/v1/search/document", {"query": "pump warranty", "agent_id": other}).json()
    assert nothing["results"] == []


def test_what_is_archived_is_not_found_until_it_is_restored(acme_api: APIClient, acme: Character) -> None:
    upload(acme_api, acme.agent, ("pump.txt", TEXT))
    work_off(acme)
    (row,) = acme_api.get("/api/v1/document").json()["documents"]
    chunk = acme_api.get(f"/api/v1/document/{row['id']}").json()["chunks"][0]["id"]
    steps = [
        ("delete", f"document/{row['id']}", f"document/{row['id']}/restore"),
        ("delete", f"document/chunk/{chunk}", f"document/chunk/{chunk}/restore"),
        ("delete", f"document/{row['id']}/chunk", f"document/{row['id']}/chunk/restore-all"),
    ]
    for method, archive, restore in steps:
        assert getattr(acme_api, method)(f"/api/v1/{archive}").status_code == 200
        assert search(acme_api, acme.agent, "pump warranty")["results"] == []
        assert acme_api.patch(f"/api/v1/{restore}").status_code == 200
        assert len(search(acme_api, acme.agent, "pump warranty")["results"]) == 1
    assert acme_api.delete("/api/v1/document/bulk-delete", {"document_ids": [row["id"]]}).json()["deleted"] == 1
    assert [item["id"] for item in acme_api.get("/api/v1/document/deleted").json()["documents"]] == [row["id"]]


def test_a_figure_that_is_off_keeps_no_document_from_going(acme_api: APIClient, acme: Character) -> None:
    document_id = upload(acme_api, acme.agent, ("pump.txt", TEXT)).json()["documents"][0]["id"]
    with tenant_context(acme.company):
        Agent.objects.filter(pk=acme.agent.pk).update(documents_count=0)
    assert acme_api.delete(f"/api/v1/document/{document_id}").status_code == 200
    with tenant_context(acme.company):
        assert Agent.objects.get(pk=acme.agent.pk).documents_count == 0


def test_a_chunk_of_an_archived_document_is_not_restored(acme_api: APIClient, acme: Character) -> None:
    upload(acme_api, acme.agent, ("pump.txt", TEXT))
    work_off(acme)
    (row,) = acme_api.get("/api/v1/document").json()["documents"]
    chunk = acme_api.get(f"/api/v1/document/{row['id']}").json()["chunks"][0]["id"]
    acme_api.delete(f"/api/v1/document/chunk/{chunk}")
    assert [item["id"] for item in acme_api.get("/api/v1/document/chunk/deleted").json()["deleted_chunks"]] == [chunk]
    acme_api.delete(f"/api/v1/document/{row['id']}")
    assert acme_api.patch(f"/api/v1/document/chunk/{chunk}/restore").status_code == 400


@pytest.mark.parametrize("count", [1, 3])
def test_list_needs_the_same_queries_for_any_number(
    acme_api: APIClient, acme: Character, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    upload(acme_api, acme.agent, *[(f"{n}.txt", TEXT + b"%d" % n) for n in range(count)])
    # session, path, page with the jobs' progress
    with django_assert_num_queries(3):
        assert len(acme_api.get("/api/v1/document").json()["documents"]) == count


@pytest.mark.parametrize("count", [1, 3])
def test_many_are_archived_in_as_many_statements_as_one(
    acme_api: APIClient, acme: Character, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    made = upload(acme_api, acme.agent, *[(f"{n}.txt", TEXT + b"%d" % n) for n in range(count)]).json()["documents"]
    body = {"document_ids": [row["id"] for row in made]}
    with tenant_context(acme.company), django_assert_num_queries(12):
        services.archive_documents(actor=acme.principal, document_ids=[uuid.UUID(row["id"]) for row in made])
    assert acme_api.delete("/api/v1/document/bulk-delete", body).status_code == 404
    with tenant_context(acme.company):
        acme.agent.refresh_from_db()
        assert acme.agent.documents_count == 0
        assert set(IngestionJob.objects.values_list("status", flat=True)) == {"cancelled"}


def test_bad_requests_are_400_or_404(acme_api: APIClient, acme: Character, unknown_id: uuid.UUID) -> None:
    post = acme_api.post
    assert post("/api/v1/document/upload", {"agent_id": str(unknown_id), "url": "https://x.org"}).status_code == 404
    assert post("/api/v1/document/upload", {"agent_id": "nonsense"}).status_code == 400
    assert post("/api/v1/document/upload", {"agent_id": str(acme.agent.id)}).status_code == 400
    assert post("/api/v1/document/upload", {"agent_id": str(acme.agent.id), "url": "ftp://x"}).status_code == 400
    assert post("/api/v1/search/document", {"agent_id": str(acme.agent.id), "query": ""}).status_code == 400
    assert post("/api/v1/document/upload", json.dumps([1]), content_type="application/json").status_code == 400
    assert acme_api.get("/api/v1/document", {"agent_id": "nonsense"}).status_code == 400
    too_many = {"agent_id": str(acme.agent.id), "query": "x", "limit": 51}
    assert post("/api/v1/search/document", too_many).status_code == 400


@pytest.mark.usefixtures("tesseract")
def test_a_scan_tells_its_language_and_how_sure_each_page_is(acme_api: APIClient, acme: Character) -> None:
    line = "The warranty of the pump lasts thirty seven months."
    out = io.BytesIO()
    picture_of(*[line] * 6).save(out, "TIFF", save_all=True, append_images=[picture_of()])
    made = upload(acme_api, acme.agent, ("scan.tif", out.getvalue())).json()["documents"][0]
    assert (made["document_type"], made["language"], "pages" in made) == ("image", "", False)
    work_off(acme)

    shown = acme_api.get(f"/api/v1/document/{made['id']}").json()["document"]
    assert (shown["status"], shown["language"], shown["language_name"]) == ("processed", "en", "English")
    read, blank = shown["pages"]
    assert (read["page"], read["how"], read["is_doubtful"], read["confidence"] > 80) == (1, "ocr", False, True)
    assert blank == {"page": 2, "how": "empty", "confidence": None, "is_doubtful": False}


def test_the_list_is_filtered_by_language(acme_api: APIClient, acme: Character) -> None:
    german = b"Die Lieferung erfolgt innerhalb von zwei Tagen nach der Zahlung, und der Versand ist kostenlos."
    upload(acme_api, acme.agent, ("pump.txt", TEXT * 2), ("versand.txt", german))
    work_off(acme)
    found = acme_api.get("/api/v1/document", {"language": "de"}).json()["documents"]
    assert [(row["filename"], row["language_name"]) for row in found] == [("versand.txt", "German")]


@pytest.mark.usefixtures("tesseract")
def test_the_company_s_languages_are_those_of_recognition(acme_api: APIClient, acme: Character) -> None:
    """A pack that is not there is told, as nothing else shows which were asked for."""
    Company.objects.filter(pk=acme.company.pk).update(ocr_languages=["tlh", "eng"])
    out = io.BytesIO()
    picture_of("The warranty lasts thirty seven months.").save(out, "PNG")
    made = upload(acme_api, acme.agent, ("scan.png", out.getvalue())).json()["documents"][0]
    work_off(acme)
    shown = acme_api.get(f"/api/v1/document/{made['id']}").json()["document"]
    assert shown["warnings"] == [
        "Text recognition lacks the language tlh (package tesseract-ocr-tlh): eng was used instead."
    ]
