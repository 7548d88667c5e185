"""What happens to a document after it was taken: tags, filters, versions, edits by hand, splitting, duplicates."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DataError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from agents.models import Agent
from conftest import Character
from documents import jobs, services, tasks
from documents.chunks import replace_chunks
from documents.enums import DocumentStatus
from documents.ingestion.base import Chunk
from documents.models import Dataset, Document, DocumentChunk, IngestionJob, LexicalTerm
from documents.retrieval import Filters, RetrievalSettings, retrieve
from documents.services import create_dataset, queue_ingestion
from documents.tests.ingestion.builders import lines_down, pdf_of, scan_of
from documents.tests.website import Page, serving
from knowrithm.llm.registry import embedder

DOCUMENT = "/api/v1/document"
PUMP = b"The X200 pump is made in Lyon.\n\nIts warranty lasts 37 months.\n"
NEWER = b"The X200 pump is made in Lyon.\n\nIts warranty lasts 60 months.\n"


def file(content: bytes, name: str = "pump.txt") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def upload(client: APIClient, agent: Agent, *files: SimpleUploadedFile, **fields: Any) -> Any:
    form = {"agent_id": str(agent.id), "files": list(files), **fields}
    return client.post(f"{DOCUMENT}/upload", form, format="multipart")


def work_off(who: Character) -> None:
    """Do what the workers would."""
    with tenant_context(who.company):
        for job in IngestionJob.objects.filter(status="pending"):
            jobs.run(job.id, tasks.ingest)


def read_again(who: Character) -> None:
    for document in Document.objects.filter(agent=who.agent):
        Document.objects.filter(pk=document.pk).update(status=DocumentStatus.PENDING)
        queue_ingestion(document)


def learn(client: APIClient, who: Character, content: bytes = PUMP, **fields: Any) -> str:
    document_id: str = upload(client, who.agent, file(content), **fields).json()["documents"][0]["id"]
    work_off(who)
    return document_id


def found(client: APIClient, agent: Agent, query: str = "warranty of the pump", **filters: Any) -> list[str]:
    """The texts of what is found."""
    body = {"query": query, "agent_id": str(agent.id), "limit": 50, **({"filters": filters} if filters else {})}
    answer = client.post("/api/v1/search/document", body)
    assert answer.status_code == 200, answer.json()
    return [row["content"] for row in answer.json()["results"]]


def only_chunk(client: APIClient, document_id: str) -> dict[str, Any]:
    [chunk] = client.get(f"{DOCUMENT}/{document_id}").json()["chunks"]
    return dict(chunk)


def counts(who: Character) -> list[tuple[int, int, int]]:
    with tenant_context(who.company):
        rows = LexicalTerm.objects.exclude(chunk_count=0).order_by("term")
        return list(rows.values_list("term", "chunk_count", "word_total"))


# --- Tags and metadata --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "tags"),
    [
        (["price", "2026"], ["price", "2026"]),
        ("price, 2026 ,,price", ["price", "2026"]),
        (["a, b", "c"], ["a, b", "c"]),
    ],
)
def test_tags_are_sent_with_the_upload(acme_api: APIClient, acme: Character, given: Any, tags: list[str]) -> None:
    [record] = upload(acme_api, acme.agent, file(PUMP), tags=given, topic="pumps").json()["documents"]
    assert record["tags"] == tags
    assert record["metadata"] == {"topic": "pumps", "tags": tags}


def test_title_tags_and_metadata_are_edited_and_survive_another_reading(acme_api: APIClient, acme: Character) -> None:
    document_id = learn(acme_api, acme)
    changes = {"title": "The pump", "tags": ["a", " b  c "], "metadata": {"year": 2026, "tags": ["ignored"]}}
    record = acme_api.patch(f"{DOCUMENT}/{document_id}", changes).json()["document"]
    assert (record["title"], record["tags"]) == ("The pump", ["a", "b c"])
    assert record["metadata"] == {"year": 2026, "tags": ["a", "b c"]}
    with tenant_context(acme.company):
        read_again(acme)
    work_off(acme)
    record = acme_api.patch(f"{DOCUMENT}/{document_id}", {"tags": []}).json()["document"]
    assert (record["title"], record["tags"], record["metadata"]) == ("The pump", [], {"year": 2026})


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": ["x" * 51]},
        {"tags": [str(number) for number in range(51)]},
        {"tags": "text"},
        {"tags": [{}]},
        {"title": "x" * 301},
        {"metadata": []},
        {"metadata": {"x": "y" * 20_000}},
    ],
)
def test_what_cannot_be_edited_in(acme_api: APIClient, acme: Character, changes: dict[str, Any]) -> None:
    document_id = upload(acme_api, acme.agent, file(PUMP)).json()["documents"][0]["id"]
    assert acme_api.patch(f"{DOCUMENT}/{document_id}", changes).status_code == 400


def test_lists_are_filtered_by_tags_and_deleted_ones_too(acme_api: APIClient, acme: Character) -> None:
    both = upload(acme_api, acme.agent, file(b"one"), tags=["x", "y"]).json()["documents"][0]["id"]
    upload(acme_api, acme.agent, file(b"two"), tags=["x"])
    other = upload(acme_api, acme.agent, file(b"three", "tea.txt")).json()["documents"][0]["id"]
    assert len(acme_api.get(DOCUMENT, {"tags": "x"}).json()["documents"]) == 2
    for query in ("tags=x,y", "tags=x&tags=y"):
        assert [row["id"] for row in acme_api.get(f"{DOCUMENT}?{query}").json()["documents"]] == [both]
    acme_api.delete(f"{DOCUMENT}/{both}")
    acme_api.delete(f"{DOCUMENT}/{other}")
    for query, ids in (("tags=x", [both]), ("search=TEA", [other]), ("search=nothing", [])):
        assert [row["id"] for row in acme_api.get(f"{DOCUMENT}/deleted?{query}").json()["documents"]] == ids


# --- Filters of the search ----------------------------------------------------------------------------------------


def test_filters_narrow_a_search(acme_api: APIClient, acme: Character) -> None:
    first = learn(acme_api, acme, b"Warranty of one year.", tags=["x", "y"], year="2025")
    learn(acme_api, acme, b"Warranty of two years.", tags=["x"])
    upload(acme_api, acme.agent, file(b"# Warranty\n\nWarranty of three years.", "a.md"))
    work_off(acme)
    acme_api.patch(f"{DOCUMENT}/{first}", {"metadata": {"year": 2025, "draft": False, "of": {"x": 1}}})
    search, agent = found, acme.agent
    one, two, three = "Warranty of one year.", "Warranty of two years.", "Warranty\n\nWarranty of three years."
    everything = search(acme_api, agent)
    assert len(everything) == 3
    [markdown] = search(acme_api, agent, document_types=["md"])
    assert "three years" in markdown, three
    assert set(search(acme_api, agent, tags=["x"])) == {one, two}
    assert search(acme_api, agent, tags=["x", "y"]) == [one]
    assert search(acme_api, agent, tags=["X"]) == []
    assert search(acme_api, agent, document_ids=[first]) == [one]
    assert search(acme_api, agent, metadata={"year": 2025, "draft": False}) == [one]
    assert search(acme_api, agent, metadata={"year": "2025"}) == []
    assert search(acme_api, agent, tags=["x"], document_types=["md"]) == []
    for bad in ({"tags": "x"}, {"document_types": ["exe"]}, {"document_ids": ["x"]}, {"metadata": {"of": {"x": 1}}}):
        body = {"query": "x", "agent_id": str(agent.id), "filters": bad}
        assert acme_api.post("/api/v1/search/document", body).status_code == 400


def test_no_filter_answers_with_fewer_rows_than_there_are(in_acme: Character) -> None:
    """Random filters against what Python finds."""
    rng = random.Random(4)
    agent = Agent.objects.with_settings().get(pk=in_acme.agent.pk)
    model = embedder(agent.llm_settings.embedding_config())
    vectors = model.embed_documents([f"The warranty of pump {number}." for number in range(4)])
    dataset = create_dataset(actor=in_acme.principal, name="Terms", agent_ids=[agent.pk])
    rows: list[Document] = []
    for number in range(150):
        home = {"dataset": dataset} if number % 3 == 0 else {"agent": agent}
        document = Document.objects.create(
            **home, original_filename=f"{number}.txt", document_type=rng.choice(["txt", "md", "pdf"]),
            status=DocumentStatus.PROCESSED, tags=rng.sample("abcde", rng.randint(0, 3)),
            metadata={"n": rng.randint(1, 3)},
        )  # fmt: skip
        chunk = Chunk(0, f"The warranty of pump {number}.", {"type": "lines", "start": 1, "end": 1}, word_count=5)
        replace_chunks(document, [chunk], [vectors[number % 4]], model.name)
        rows.append(document)
    for _ in range(60):
        tags = rng.sample("abcde", rng.randint(0, 2))
        ids = [row.pk for row in rng.sample(rows, 40)] if rng.random() < 0.3 else []
        types = rng.sample(["txt", "md", "pdf"], rng.randint(0, 2))
        datasets = [dataset.pk] if rng.random() < 0.3 else []
        metadata: dict[str, Any] = {"n": rng.randint(1, 3)} if rng.random() < 0.5 else {}
        fitting = {
            row.pk
            for row in rows
            if set(tags) <= set(row.tags)
            and (not ids or row.pk in ids)
            and (not types or row.document_type in types)
            and (not datasets or row.dataset_id in datasets)
            and metadata.items() <= row.metadata.items()
        }
        filters = Filters(tags, ids, types, datasets, metadata)
        passages = retrieve(agent, "How long is the warranty?", settings=RetrievalSettings(top_k=50), filters=filters)
        assert {passage.document_id for passage in passages} <= fitting
        assert len(passages) == min(len(fitting), 50)


def test_a_filter_opens_nothing_that_is_not_the_agent_s(in_acme: Character) -> None:
    secret = create_dataset(actor=in_acme.principal, name="Secret")
    agent = Agent.objects.with_settings().get(pk=in_acme.agent.pk)
    model = embedder(agent.llm_settings.embedding_config())
    document = Document.objects.create(dataset=secret, original_filename="a.txt", status=DocumentStatus.PROCESSED)
    chunk = Chunk(0, "The warranty.", {"type": "lines", "start": 1, "end": 1}, word_count=2)
    replace_chunks(document, [chunk], model.embed_documents(["The warranty."]), model.name)
    for filters in (Filters(dataset_ids=[secret.pk]), Filters(document_ids=[document.pk])):
        assert retrieve(agent, "warranty", filters=filters) == []


# --- Versions -----------------------------------------------------------------------------------------------------


def replace(client: APIClient, document_id: str, content: bytes) -> Any:
    return client.post(f"{DOCUMENT}/{document_id}/replace", {"file": file(content)}, format="multipart")


def test_the_old_version_answers_until_the_new_one_has_been_read(acme_api: APIClient, acme: Character) -> None:
    old = learn(acme_api, acme, tags=["x"], topic="pumps")
    answer = replace(acme_api, old, NEWER)
    assert answer.status_code == 202
    new = answer.json()["document"]
    assert (new["version"], new["replaces_id"], new["tags"], new["metadata"]["topic"]) == (2, old, ["x"], "pumps")
    assert "37 months" in found(acme_api, acme.agent)[0]
    work_off(acme)
    [text] = found(acme_api, acme.agent)
    assert "60 months" in text
    assert [row["id"] for row in acme_api.get(f"{DOCUMENT}/deleted").json()["documents"]] == [old]
    versions = acme_api.get(f"{DOCUMENT}/{old}/versions").json()["versions"]
    assert [(row["version"], row["id"]) for row in versions] == [(2, new["id"]), (1, old)]
    with tenant_context(acme.company):
        assert DocumentChunk.objects.filter(document_id=old).count() == 1  # what old answers cite
        assert Agent.objects.get(pk=acme.agent.pk).documents_count == 1

    assert acme_api.patch(f"{DOCUMENT}/{old}/restore").status_code == 200
    [text] = found(acme_api, acme.agent)
    assert "37 months" in text
    assert [row["id"] for row in acme_api.get(DOCUMENT).json()["documents"]] == [old]
    third = replace(acme_api, old, b"The warranty of the pump lasts 99 months.").json()["document"]
    assert third["version"] == 3
    work_off(acme)
    assert [row["id"] for row in acme_api.get(DOCUMENT).json()["documents"]] == [third["id"]]


@pytest.mark.parametrize(
    ("sent", "form", "name", "title"),
    [
        ("pump 2027.txt", {}, "pump.txt", "Our pump"),
        ("PUMP.MD", {}, "pump.MD", "Our pump"),
        ("pump 2027.txt", {"takes_name": "true"}, "pump 2027.txt", "pump 2027.txt"),
    ],
)
def test_a_new_version_keeps_the_name_of_the_document(
    acme_api: APIClient, acme: Character, sent: str, form: dict[str, str], name: str, title: str
) -> None:
    [old] = upload(acme_api, acme.agent, file(PUMP, "pump.txt")).json()["documents"]
    acme_api.patch(f"{DOCUMENT}/{old['id']}", {"title": "Our pump"})
    body = {"file": file(NEWER, sent), **form}
    new = acme_api.post(f"{DOCUMENT}/{old['id']}/replace", body, format="multipart").json()["document"]
    assert (new["original_filename"], new["title"]) == (name, title)


def test_a_version_that_cannot_be_read_leaves_the_old_one(acme_api: APIClient, acme: Character) -> None:
    old = learn(acme_api, acme)
    form = {"file": file(b'{"a": [1, 2', "a.json")}
    failed = acme_api.post(f"{DOCUMENT}/{old}/replace", form, format="multipart").json()["document"]
    assert replace(acme_api, old, NEWER).status_code == 409  # one at a time
    work_off(acme)
    assert acme_api.get(f"{DOCUMENT}/{failed['id']}").json()["document"]["status"] == "failed"
    assert "37 months" in found(acme_api, acme.agent)[0]
    better = replace(acme_api, old, NEWER).json()["document"]
    work_off(acme)
    assert [row["id"] for row in acme_api.get(DOCUMENT).json()["documents"]] == [better["id"]]


def test_a_version_archived_while_it_is_read_replaces_nothing(acme_api: APIClient, acme: Character) -> None:
    old = learn(acme_api, acme)
    new = replace(acme_api, old, NEWER).json()["document"]["id"]
    acme_api.delete(f"{DOCUMENT}/{new}")
    work_off(acme)
    assert [row["id"] for row in acme_api.get(DOCUMENT).json()["documents"]] == [old]


def test_what_is_no_new_version(acme_api: APIClient, acme: Character) -> None:
    old = learn(acme_api, acme)
    same = replace(acme_api, old, PUMP)
    assert (same.status_code, same.json()["error_code"]) == (400, "DOC_DUPLICATE")
    assert acme_api.post(f"{DOCUMENT}/{old}/replace", {}).status_code == 400
    assert acme_api.post(f"{DOCUMENT}/{old}/replace", {"url": "ftp://x"}).status_code == 400
    assert replace(acme_api, old, b"").status_code == 400
    with tenant_context(acme.company):
        assert Document.objects.count() == 1


@pytest.mark.parametrize("count", [1, 3])
def test_the_history_costs_the_same_however_long_it_is(
    acme_api: APIClient, acme: Character, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    document_id = learn(acme_api, acme)
    for number in range(count):
        document_id = replace(acme_api, document_id, b"Version %d" % number).json()["document"]["id"]
        work_off(acme)
    with django_assert_num_queries(4):  # session, path, document, versions
        versions = acme_api.get(f"{DOCUMENT}/{document_id}/versions").json()["versions"]
    assert len(versions) == count + 1


# --- Edits by hand ------------------------------------------------------------------------------------------------


def test_an_edited_chunk_is_searched_and_can_be_undone(acme_api: APIClient, acme: Character) -> None:
    document_id = learn(acme_api, acme)
    before, chunk = counts(acme), only_chunk(acme_api, document_id)
    edited = acme_api.patch(f"{DOCUMENT}/chunk/{chunk['id']}", {"content": " Zebras graze in Kenya. "}).json()["chunk"]
    assert (edited["content"], edited["word_count"], edited["is_edited"]) == ("Zebras graze in Kenya.", 4, True)
    assert edited["original_content"] == chunk["content"]
    with tenant_context(acme.company):
        [passage] = retrieve(Agent.objects.with_settings().get(pk=acme.agent.pk), "Where do zebras graze?")
        assert Document.objects.get().word_count == 4
    assert passage.lexical > 0
    assert passage.dense > 0.5
    undone = acme_api.post(f"{DOCUMENT}/chunk/{chunk['id']}/undo").json()["chunk"]
    assert (undone["content"], undone["is_edited"]) == (chunk["content"], False)
    assert counts(acme) == before
    assert acme_api.post(f"{DOCUMENT}/chunk/{chunk['id']}/undo").status_code == 400


def test_edits_and_switched_off_chunks_survive_another_reading(acme_api: APIClient, acme: Character) -> None:
    long = b"\n\n".join(b"Line %d. " % number + b"word " * 150 for number in range(4))
    document_id = learn(acme_api, acme, long)
    chunks = acme_api.get(f"{DOCUMENT}/{document_id}").json()["chunks"]
    assert len(chunks) == 4
    acme_api.patch(f"{DOCUMENT}/chunk/{chunks[1]['id']}", {"content": "Edited by hand."})
    acme_api.delete(f"{DOCUMENT}/chunk/{chunks[2]['id']}")
    before = counts(acme)
    with tenant_context(acme.company):
        read_again(acme)
        busy = acme_api.patch(f"{DOCUMENT}/chunk/{chunks[0]['id']}", {"content": "Too late."})
        assert (busy.status_code, busy.json()["error_code"]) == (409, "DOC_BUSY")
    work_off(acme)
    with tenant_context(acme.company):
        rows = list(DocumentChunk.objects.filter(document_id=document_id).order_by("index"))
    assert [row.is_edited for row in rows] == [False, True, False, False]
    assert [row.is_archived for row in rows] == [False, False, True, False]
    assert (rows[1].content, rows[1].original_content) == ("Edited by hand.", chunks[1]["content"])
    assert rows[1].pk != uuid.UUID(chunks[1]["id"])
    assert counts(acme) == before


@pytest.mark.parametrize("content", ["", "  ", "x" * 4001, None, 3.5, []])
def test_what_no_chunk_can_say(acme_api: APIClient, acme: Character, content: Any) -> None:
    chunk = only_chunk(acme_api, learn(acme_api, acme))
    if content == 3.5:  # a number is read as a text
        content = {}
    assert acme_api.patch(f"{DOCUMENT}/chunk/{chunk['id']}", {"content": content}).status_code == 400


def test_deleted_chunks_are_filtered(acme_api: APIClient, acme: Character) -> None:
    ids = [learn(acme_api, acme, content) for content in (PUMP, b"Green tea is steeped at 80 degrees.")]
    for document_id in ids:
        acme_api.delete(f"{DOCUMENT}/{document_id}/chunk")
    queries: tuple[dict[str, str], ...] = ({}, {"document_id": ids[0]}, {"search": "GREEN"}, {"search": "coffee"})
    deleted = [acme_api.get(f"{DOCUMENT}/chunk/deleted", query).json()["deleted_chunks"] for query in queries]
    assert [{row["document_id"] for row in rows} for rows in deleted] == [set(ids), {ids[0]}, {ids[1]}, set()]


# --- Splitting ----------------------------------------------------------------------------------------------------


def test_a_preview_shows_the_chunks_and_stores_nothing(acme_api: APIClient, acme: Character) -> None:
    text = " ".join(f"Sentence number {number} says this." for number in range(30))
    body = {"text": text, "chunk_size": 30, "chunk_overlap": 5}
    shown = acme_api.post(f"{DOCUMENT}/preview", body).json()
    assert shown["total"] == len(shown["chunks"]) > 4
    assert shown["chunks"][0]["locator"] == {"type": "lines", "start": 1, "end": 1}
    assert max(chunk["word_count"] for chunk in shown["chunks"]) <= 30
    form = {"file": file(b"a,b\n1,2\n", "a.csv"), "agent_id": str(acme.agent.pk)}
    table = acme_api.post(f"{DOCUMENT}/preview", form, format="multipart").json()
    assert (table["document_type"], table["chunks"][0]["locator_label"]) == ("csv", "Row 1")
    assert (table["chunk_size"], table["chunk_overlap"]) == (220, 40)
    with tenant_context(acme.company):
        assert (Document.objects.count(), DocumentChunk.objects.count()) == (0, 0)


def test_a_preview_recognises_in_the_languages_of_the_company(acme_api: APIClient, acme: Character) -> None:
    type(acme.company).objects.filter(pk=acme.company.pk).update(ocr_languages=["tlh"])
    scan = scan_of(pdf_of(lines_down(["Orders are shipped within two days of payment"])))
    shown = acme_api.post(f"{DOCUMENT}/preview", {"file": file(scan, "a.pdf")}, format="multipart").json()
    assert shown["warnings"] == [
        "Text recognition lacks the language tlh (package tesseract-ocr-tlh): English was used instead."
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"text": " "}, 400),
        ({"text": "x" * 200_001}, 400),
        ({"text": "x", "chunk_size": 19}, 400),
        ({"text": "x", "chunk_size": 601}, 400),
        ({"text": "x", "chunk_size": 100, "chunk_overlap": 51}, 400),
        ({"text": "x", "chunk_overlap": -1}, 400),
        ({"text": "x", "agent_id": "00000000-0000-4000-8000-000000000000"}, 404),
    ],
)
def test_what_cannot_be_previewed(acme_api: APIClient, body: dict[str, Any], status: int) -> None:
    assert acme_api.post(f"{DOCUMENT}/preview", body).status_code == status


def test_a_bomb_is_previewed_as_a_refusal(acme_api: APIClient) -> None:
    bomb = file(b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "x">]><a>&b;</a>', "bomb.xml")
    answer = acme_api.post(f"{DOCUMENT}/preview", {"file": bomb}, format="multipart")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "DOC_DANGEROUS")


def test_new_readings_use_the_sizes_of_their_home(acme_api: APIClient, acme: Character) -> None:
    dataset = acme_api.post("/api/v1/dataset", {"name": "Terms"}).json()["dataset"]["id"]
    url = f"/api/v1/dataset/{dataset}/chunking"
    assert acme_api.get(url).json() == {"chunk_size": 220, "chunk_overlap": 40}
    assert acme_api.put(url, {"chunk_size": 50, "chunk_overlap": 0}).json()["documents_read_again"] == 0
    for bad in ({"chunk_size": 10, "chunk_overlap": 0}, {"chunk_size": 50, "chunk_overlap": 26}, {"chunk_size": 50}):
        assert acme_api.put(url, bad).status_code == 400
    text = " ".join(f"Sentence number {number} says this." for number in range(40)).encode()
    form = {"dataset_id": dataset, "files": file(text)}
    document_id = acme_api.post(f"{DOCUMENT}/upload", form, format="multipart").json()["documents"][0]["id"]
    work_off(acme)
    assert [chunk["word_count"] for chunk in acme_api.get(f"{DOCUMENT}/{document_id}").json()["chunks"]] == [50] * 4
    with tenant_context(acme.company):
        assert Dataset.objects.get().chunk_size == 50


# --- Duplicates ---------------------------------------------------------------------------------------------------


def test_the_same_content_is_not_taken_twice(acme_api: APIClient, acme: Character) -> None:
    first = learn(acme_api, acme)
    answer = upload(acme_api, acme.agent, file(PUMP, "copy.txt"), file(NEWER, "new.txt"))
    body = answer.json()
    assert (answer.status_code, body["success"], body["documents_processed"], body["errors"]) == (200, True, 2, [])
    new, known = body["documents"]
    assert (new["original_filename"], known["id"], known["duplicate_of"]) == ("new.txt", first, first)
    [warning] = body["warnings"]
    assert (warning["name"], warning["code"], warning["duplicate_of"]) == ("copy.txt", "DOC_DUPLICATE", first)
    assert warning["warning"] == "copy.txt is there already, as pump.txt. It was not taken again."
    assert len(acme_api.get(DOCUMENT).json()["documents"]) == 2

    again = upload(acme_api, acme.agent, file(PUMP), allow_duplicate="true").json()
    assert (again["documents"][0]["id"] == first, again["warnings"]) == (False, [])
    assert upload(acme_api, acme.agent, file(b"x"), allow_duplicate="perhaps").status_code == 400


def test_what_counts_as_no_duplicate(acme_api: APIClient, acme: Character) -> None:
    other = acme_api.post("/api/v1/agent", {"name": "Other"}).json()["agent"]["id"]
    first = learn(acme_api, acme)
    elsewhere = acme_api.post(f"{DOCUMENT}/upload", {"agent_id": other, "files": file(PUMP)}, format="multipart")
    assert elsewhere.json()["warnings"] == []
    with tenant_context(acme.company):
        Document.objects.filter(pk=first).update(status=DocumentStatus.FAILED)
    assert upload(acme_api, acme.agent, file(PUMP)).json()["warnings"] == []


def test_what_was_cancelled_is_no_duplicate(acme_api: APIClient, acme: Character) -> None:
    first = upload(acme_api, acme.agent, file(PUMP)).json()["documents"][0]["id"]
    acme_api.post(f"{DOCUMENT}/{first}/cancel")
    body = upload(acme_api, acme.agent, file(PUMP), file(PUMP, "copy.txt")).json()
    assert [row["duplicate_of"] for row in body["warnings"]] == [body["documents"][0]["id"]]
    assert body["documents"][0]["id"] != first


def test_an_address_is_fetched_anew_when_it_is_tried_again(
    acme_api: APIClient, acme: Character, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    with serving() as web:
        web.pages["/a.json"] = Page(b'{"pump": [1, 2', headers={"Content-Type": "application/json"})
        sent = {"agent_id": str(acme.agent.id), "urls": [web.url("/a.json")]}
        [made] = acme_api.post(f"{DOCUMENT}/upload", sent).json()["documents"]
        work_off(acme)
        url = f"{DOCUMENT}/{made['id']}"
        assert acme_api.get(url).json()["document"]["error_code"] == "DOC_DAMAGED"
        kept = stored(acme)
        content = b'{"pump": "The X200 is made in Lyon."}'
        web.pages["/a.json"] = Page(content, headers={"Content-Type": "application/json"})
        acme_api.post(f"{url}/retry")
        work_off(acme)
        assert web.asked == ["/a.json", "/a.json"]
    shown = acme_api.get(url).json()
    assert (shown["document"]["status"], shown["document"]["file_size"]) == ("processed", len(content))
    assert len(stored(acme)) == len(kept)
    again = upload(acme_api, acme.agent, file(content, "pump.json")).json()
    assert [row["duplicate_of"] for row in again["warnings"]] == [made["id"]]


def stored(who: Character) -> list[Path]:
    """Of one company: the other test processes keep files of theirs below the same folder."""
    return sorted((Path(settings.MEDIA_ROOT) / who.company.schema_name).rglob("original*"))


def test_an_upload_that_fails_leaves_no_file(in_acme: Character) -> None:
    before = stored(in_acme)
    with pytest.raises(DataError), transaction.atomic():
        services.upload(
            actor=in_acme.principal, home=in_acme.agent, files=[file(PUMP)], metadata={"never in a database": "\0"}
        )
    assert stored(in_acme) == before


def test_files_are_stored_before_the_agent_is_locked(in_acme: Character) -> None:
    seen: list[bool] = []

    class Watched(SimpleUploadedFile):
        def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
            seen.append(any(query["sql"].startswith("UPDATE") for query in captured.captured_queries))
            return super().chunks(chunk_size)

    with CaptureQueriesContext(connection) as captured:
        services.upload(
            actor=in_acme.principal, home=in_acme.agent, files=[Watched("a.txt", PUMP), Watched("b.txt", NEWER)]
        )
    assert set(seen) == {False}
    assert any(query["sql"].startswith("UPDATE") for query in captured.captured_queries)


def test_queued_twice_is_read_once_more(acme_api: APIClient, acme: Character) -> None:
    document_id = learn(acme_api, acme)
    with tenant_context(acme.company):
        queue_ingestion(Document.objects.get(pk=document_id))
    work_off(acme)
    assert len(acme_api.get(f"{DOCUMENT}/{document_id}").json()["chunks"]) == 1


# --- Pages --------------------------------------------------------------------------------------------------------


def test_details_are_edited_on_a_page(acme_client: Client, acme_api: APIClient, acme: Character) -> None:
    document_id = learn(acme_api, acme)
    page = acme_client.post(f"/documents/{document_id}/edit", {"title": "The pump", "tags": "a, b"}, follow=True)
    assert b"The pump" in page.content
    assert acme_api.get(f"{DOCUMENT}/{document_id}").json()["document"]["tags"] == ["a", "b"]
    assert b"at most 50 tags" in acme_client.post(f"/documents/{document_id}/edit", {"tags": "x" * 51}).content
    names = [row.original_filename for row in acme_client.get("/documents", {"tag": "b"}).context["page_obj"]]
    assert names == ["pump.txt"]
    assert list(acme_client.get("/documents", {"tag": "c"}).context["page_obj"]) == []


def test_a_document_is_replaced_on_its_page(acme_client: Client, acme_api: APIClient, acme: Character) -> None:
    old = learn(acme_api, acme)
    page = acme_client.post(f"/documents/{old}/replace", {"file": file(NEWER)}, follow=True)
    new = page.context["document"]
    assert new.version == 2
    assert b"This version answers until the new one has been read" in acme_client.get(f"/documents/{old}").content
    work_off(acme)
    assert b"it was replaced by" in acme_client.get(f"/documents/{old}").content
    assert [row.version for row in acme_client.get(f"/documents/{new.pk}").context["versions"]] == [2, 1]
    refused = acme_client.post(f"/documents/{new.pk}/replace", {"file": file(NEWER)}, follow=True)
    assert b"This is the same file as before." in refused.content
    again = acme_client.post(f"/documents/{new.pk}/replace", {"file": file(NEWER), "allow_duplicate": "1"}, follow=True)
    work_off(acme)
    [answers] = acme_api.get(DOCUMENT).json()["documents"]
    assert answers["id"] == str(again.context["document"].pk)
    acme_client.post(f"/documents/{old}/restore")
    assert [row["id"] for row in acme_api.get(DOCUMENT).json()["documents"]] == [old]


def test_passages_are_edited_and_switched_in_place(acme_client: Client, acme_api: APIClient, acme: Character) -> None:
    document_id = learn(acme_api, acme)
    chunk = only_chunk(acme_api, document_id)["id"]
    url = f"/documents/chunk/{chunk}"
    assert b"<textarea" in acme_client.get(f"{url}/edit").content
    refused = acme_client.post(f"{url}/edit", {"content": " "}).content
    assert b"at least one word" in refused
    assert b"<textarea" in refused
    assert b"Edited" in acme_client.post(f"{url}/edit", {"content": "Zebras."}).content
    assert only_chunk(acme_api, document_id)["content"] == "Zebras."
    assert b"Edited" not in acme_client.post(f"{url}/undo").content
    assert "toast" in acme_client.post(f"{url}/undo")["HX-Trigger"]
    assert b"Switched off" in acme_client.post(f"{url}/switch").content
    assert acme_api.get(f"{DOCUMENT}/{document_id}").json()["chunks"] == []
    assert f'id="chunk-{chunk}"' in acme_client.get(f"/documents/{document_id}").content.decode()
    assert b"Switched off" not in acme_client.post(f"{url}/switch").content


def test_splitting_is_tried_and_saved_on_a_page(acme_client: Client, acme_api: APIClient, acme: Character) -> None:
    document_id = learn(acme_api, acme)
    url = f"/documents/splitting/{acme.agent.pk}"
    assert b"Save and split all again" in acme_client.get(url).content
    form = {"chunk_size": "20", "chunk_overlap": "0", "text": "This says so. " * 30, "action": "preview"}
    preview = acme_client.post(url, form).context["preview"]
    assert preview.total == len(preview.rows) == 5
    assert b"between 20 and 600 words" in acme_client.post(url, {**form, "chunk_size": "5"}).content
    assert b"Send a file" in acme_client.post(url, {**form, "text": ""}).content
    acme_client.post(url, {**form, "action": "save"})
    assert acme_api.get(f"{DOCUMENT}/{document_id}").json()["document"]["status"] == "processed"
    acme_client.post(url, {**form, "action": "read_again"})
    index = acme_api.get(f"/api/v1/agent/{acme.agent.pk}/index").json()["index"]
    assert (index["build"]["status"], index["build"]["index"]["chunk_size"]) == ("pending", 20)
    assert acme_api.get(f"/api/v1/agent/{acme.agent.pk}/chunking").json() == {"chunk_size": 20, "chunk_overlap": 0}


def test_an_upload_that_is_there_already_is_told(acme_client: Client, acme_api: APIClient, acme: Character) -> None:
    learn(acme_api, acme)
    form = {"home": str(acme.agent.pk), "files": file(PUMP, "copy.txt")}
    body = acme_client.post("/documents/upload", form, headers={"HX-Request": "true"}).content
    assert b"1 file is there already" in body
    assert b"hx-swap-oob" not in body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "{document}/edit"),
        ("post", "{document}/replace"),
        ("get", "{document}/download"),
        ("get", "chunk/{chunk}"),
        ("post", "chunk/{chunk}/edit"),
        ("post", "chunk/{chunk}/undo"),
        ("post", "chunk/{chunk}/switch"),
        ("get", "splitting/{agent}"),
        ("post", "splitting/{agent}"),
    ],
)
def test_no_page_opens_another_company_s(
    globex_client: Client, acme_api: APIClient, acme: Character, method: str, path: str
) -> None:
    document_id = learn(acme_api, acme)
    chunk = only_chunk(acme_api, document_id)["id"]
    url = f"/documents/{path.format(document=document_id, chunk=chunk, agent=acme.agent.pk)}"
    form = {"content": "taken over", "chunk_size": "50", "chunk_overlap": "0", "action": "save"}
    assert getattr(globex_client, method)(url, form).status_code == 404
    assert only_chunk(acme_api, document_id)["content"] != "taken over"
