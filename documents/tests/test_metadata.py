"""Metadata on the document's page, and lists filtered by it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from conftest import Character
from documents import jobs, tasks
from documents.models import Document, IngestionJob
from documents.services import metadata_as_text, metadata_of_text
from knowrithm.errors import InvalidInputError


def add(who: Character, name: str, **metadata: Any) -> Document:
    with tenant_context(who.company):
        return Document.objects.create(agent=who.agent, original_filename=name, status="processed", metadata=metadata)


@pytest.mark.parametrize(
    "metadata",
    [
        {"team": "sales", "year": 2026, "price": 1.5, "is_draft": False, "nothing": None},
        {"year": "2026", "answer": "true", "quoted": '"so"', "release": "1.10", "number": "007", "at": "10:30"},
        {"a:b": "c", '"x"': 1, "two  blanks": "  edges ", "lines": "one\ntwo", "list": [1, {"x": "y"}], "empty": ""},
    ],
)
def test_what_is_written_is_read_as_it_was(metadata: dict[str, Any]) -> None:
    assert metadata_of_text(metadata_as_text(metadata)) == metadata


def test_what_people_write() -> None:
    text = "team: sales\n\n  year :2026\nrelease: 1.10\nlink: https://a.example/\n"
    text += 'odd: NaN\nnul: "\\u0000"\nhalf: "\\ud800"'
    assert metadata_of_text(text) == {
        "team": "sales", "year": 2026, "release": "1.10", "link": "https://a.example/", "odd": "NaN",
        "nul": '"\\u0000"', "half": '"\\ud800"',
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("team", "Line 1 is no pair: write a name, a colon and a value, such as team: sales."),
        ("a: 1\n: 2", "Line 2 is no pair: write a name, a colon and a value, such as team: sales."),
        ("a: 1\na: 2", "Line 2 gives a a second time. Give each name once."),
        ("tags: x", "Write tags in the field for tags."),
        ("a: " + "x" * 20_000, "Metadata may have at most 20,000 characters of JSON."),
    ],
)
def test_what_is_no_metadata(text: str, fault: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        metadata_of_text(text)
    assert str(caught.value) == fault


def test_metadata_are_edited_on_the_page(acme_client: Client, acme: Character) -> None:
    document = add(acme, "a.txt", team="sales", year=2026)
    page = f"/documents/{document.pk}/edit"
    assert "team: sales\nyear: 2026" in acme_client.get(page).content.decode()
    form = {"title": "", "tags": "x", "metadata": "team: support\r\nyear: 2027\r\n"}
    assert acme_client.post(page, form).status_code == 302
    with tenant_context(acme.company):
        document.refresh_from_db()
    assert (document.metadata, document.tags) == ({"team": "support", "year": 2027}, ["x"])
    assert b"Line 1 is no pair" in acme_client.post(page, {**form, "metadata": "team"}).content
    assert b"support" in acme_client.get(f"/documents/{document.pk}").content


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("team: sales", {"a"}),
        ("team", {"a", "b"}),
        ("year: 2026", {"a", "c"}),  # the number and the text
        ('year: "2026"', {"c"}),
        ("team: x", set()),
        ("is_draft: true", {"b"}),
    ],
)
def test_lists_are_filtered_by_metadata(
    acme_client: Client, acme_api: APIClient, acme: Character, globex: Character, condition: str, names: set[str]
) -> None:
    add(acme, "a", team="sales", year=2026)
    add(acme, "b", team="support", is_draft=True)
    add(acme, "c", year="2026")
    add(globex, "g", team="sales", secret="theirs")
    found = acme_api.get("/api/v1/document", {"metadata": condition}).json()["documents"]
    assert {row["original_filename"] for row in found} == names
    page = acme_client.get("/documents", {"metadata": condition})
    assert {row.original_filename for row in page.context["page_obj"]} == names
    assert page.context["pairs"] == ["is_draft: true", "team: sales", "team: support", 'year: "2026"', "year: 2026"]


def test_several_conditions_hold_together(acme_api: APIClient, acme: Character) -> None:
    add(acme, "a", team="sales", year=2026)
    add(acme, "b", team="sales", year=2025)
    found = acme_api.get("/api/v1/document?metadata=team:sales&metadata=year:2025").json()["documents"]
    assert [row["original_filename"] for row in found] == ["b"]
    assert acme_api.get('/api/v1/document?metadata="%5Cu0000":"%5Cu0000"').status_code == 200


def send(client: APIClient, who: Character, **fields: Any) -> Any:
    form = {"agent_id": str(who.agent.pk), "files": SimpleUploadedFile("a.txt", b"The pump is made in Lyon."), **fields}
    return client.post("/api/v1/document/upload", form, format="multipart")


def test_a_form_sends_metadata_as_the_text_of_an_object(acme_api: APIClient, acme: Character) -> None:
    sent = send(acme_api, acme, metadata='{"team": "sales", "year": 2026}', topic="pumps")
    assert sent.json()["documents"][0]["metadata"] == {"topic": "pumps", "team": "sales", "year": 2026}


def test_a_file_under_another_name_is_no_metadata(acme_api: APIClient, acme: Character) -> None:
    sent = send(acme_api, acme, cover=SimpleUploadedFile("cover.txt", b"A cover."), topic="pumps")
    assert sent.json()["documents"][0]["metadata"] == {"topic": "pumps"}


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        ("team: sales", 'Give the metadata as a JSON object, such as {"team": "sales"}.'),
        ("[1]", 'Give the metadata as a JSON object, such as {"team": "sales"}.'),
        ('{"a": "\\u0000"}', 'Give the metadata as a JSON object, such as {"team": "sales"}.'),
        (json.dumps({"a": "x" * 20_000}), "Metadata may have at most 20,000 characters of JSON."),
    ],
)
def test_metadata_that_cannot_be_taken_are_refused(
    acme_api: APIClient, acme: Character, metadata: str, fault: str
) -> None:
    refused = send(acme_api, acme, metadata=metadata)
    assert (refused.status_code, refused.json()["errors"]) == (400, {"metadata": [fault]})
    with tenant_context(acme.company):
        assert Document.objects.count() == 0


def test_what_is_found_comes_with_the_metadata_of_its_document(acme_api: APIClient, acme: Character) -> None:
    send(acme_api, acme, metadata='{"team": "sales"}', tags="pumps")
    with tenant_context(acme.company):
        jobs.run(IngestionJob.objects.get().pk, tasks.ingest)
    for address in ("document", "trial"):
        body = {"query": "Where is the pump made?", "agent_id": str(acme.agent.pk)}
        [row] = acme_api.post(f"/api/v1/search/{address}", body).json()["results"]
        assert row["metadata"] == {"team": "sales", "tags": ["pumps"]}
