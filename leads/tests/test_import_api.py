"""CSV files of leads through the API: the same service as the page's."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from conftest import Character
from knowrithm.celery import app as celery
from leads import csv_rows
from leads.models import Lead, LeadImport
from tenants.audit.models import AuditEvent

pytestmark = pytest.mark.django_db
URL = "/api/v1/lead/import"


@pytest.fixture
def eager_worker() -> Iterator[None]:
    celery.conf.task_always_eager = True
    yield
    celery.conf.task_always_eager = False


def sent(api: APIClient, content: bytes, **fields: Any) -> Any:
    return api.post(URL, {"file": SimpleUploadedFile("fair.csv", content), **fields}, format="multipart")


def refused(api: APIClient | Client, url: str) -> list[list[str]]:
    answer: Any = api.get(url)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_checked_started_and_followed(
    acme: Character,
    acme_api: APIClient,
    acme_client: Client,
    eager_worker: None,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with tenant_context(acme.company):
        Lead.objects.create(agent=acme.agent, first_name="Old", email="old@x.example")
    content = b"email,name,notes\na@x.example,Ada,=1+1\nbad,Bob,secret\nold@x.example,New,\nA@x.example,,\n"
    answer = sent(acme_api, content, agent_id=str(acme.agent.pk))
    record = answer.json()["lead_import"]
    assert (answer.status_code, record["status"], record["total"], record["faulty"], record["valid"]) == (
        201, "checked", 4, 2, 2,
    )  # fmt: skip
    assert record["errors"] == [
        {"line": 3, "error": "This is no e-mail address."},
        {"line": 5, "error": "This e-mail address stands in the file twice."},
    ]
    with tenant_context(acme.company):
        assert Lead.objects.count() == 1  # nothing is written yet
    url = f"{URL}/{record['id']}"
    with django_capture_on_commit_callbacks(execute=True):
        started = acme_api.post(f"{url}/start")
    assert (started.status_code, started.json()["lead_import"]["status"]) == (202, "processing")
    task = acme_api.get(started.json()["status_url"]).json()
    assert (task["status"], task["result"]) == (
        "completed", {"message": "The leads were imported.", "created": 1, "known": 1, "faulty": 2, "total": 4},
    )  # fmt: skip
    record = acme_api.get(url).json()["lead_import"]
    assert (record["status"], record["created_count"], record["known_count"], record["rows_done"]) == (
        "completed", 1, 1, 4,
    )  # fmt: skip
    assert refused(acme_api, f"{url}/refused") == [
        ["line", "error"],
        ["3", "This is no e-mail address."],
        ["5", "This e-mail address stands in the file twice."],
    ]  # and neither Bob nor his secret
    assert refused(acme_client, f"/leads/import/{record['id']}/refused")[1][0] == "3"
    again = acme_api.post(f"{url}/start")
    assert (again.status_code, again.json()["code"]) == (409, "IMPORT_STARTED")
    with tenant_context(acme.company):
        ada = Lead.objects.get(first_name="Ada")
        assert (ada.notes, ada.agent_id) == ("=1+1", acme.agent.pk)  # text, whatever a spreadsheet makes of it
        assert Lead.objects.get(email="old@x.example").first_name == "Old"
        kinds = AuditEvent.objects.order_by("position").values_list("event_type", flat=True)
        assert list(kinds) == ["lead_import.checked", "lead_import.started"]
    text = b"".join(acme_client.get("/leads/export").streaming_content).decode()  # type: ignore[attr-defined]  # a stream's
    assert ",'=1+1," in text


def test_how_the_file_is_understood_is_shown_before_anything_is_written(
    acme: Character,
    acme_api: APIClient,
    acme_client: Client,
    eager_worker: None,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    rows = "".join(f"v{n}@x.example;<b>V{n};Desk {n};\n" for n in range(7))
    record = sent(acme_api, f"E-Mail;Vorname;Shoe size;\n\n{rows}".encode()).json()["lead_import"]
    assert record["columns"] == [
        {"name": "E-Mail", "field": "email"}, {"name": "Vorname", "field": "first_name"},
        {"name": "Shoe size", "field": None}, {"name": "", "field": None},
    ]  # fmt: skip
    assert record["first_rows"] == [[f"v{n}@x.example", f"<b>V{n}", f"Desk {n}", ""] for n in range(5)]
    url = f"{URL}/{record['id']}"
    assert acme_api.get(url).json()["lead_import"] == record
    page = acme_client.get(f"/leads/import/{record['id']}").content.decode()
    assert ("Shoe size" in page, "Not read" in page, "&lt;b&gt;V0" in page) == (True, True, True)
    with django_capture_on_commit_callbacks(execute=True):
        acme_api.post(f"{url}/start")
    done = acme_api.get(url).json()["lead_import"]
    assert (done["columns"], done["first_rows"], done["created_count"]) == ([], [], 7)


def test_of_two_columns_with_one_meaning_the_last_is_read(acme: Character, acme_api: APIClient) -> None:
    record = sent(acme_api, b"mail,email,name\na@x.example,b@x.example\n").json()["lead_import"]
    assert [column["field"] for column in record["columns"]] == [None, "email", "first_name"]
    assert record["first_rows"] == [["a@x.example", "b@x.example", ""]]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "The first line names the columns"),
        (b"first_name\nAda", "The first line names the columns"),
        (b"\x89PNG\r\n\x1a\n\0\0", "The first line names the columns"),
        (b"\xff\xfeemail\nodd", "The first line names the columns"),  # says UTF-16 and is not
        (b'email\n"' + b"x" * 200_000, "this is no CSV file"),
        (b"email\n" + b"a@x.example\n" * 6, "at most 5 rows"),
    ],
)
def test_what_is_no_file_of_leads(
    acme: Character, acme_api: APIClient, monkeypatch: pytest.MonkeyPatch, content: bytes, text: str
) -> None:
    monkeypatch.setattr(csv_rows, "MAX_ROWS", 5)
    answer = sent(acme_api, content)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["file"])
    assert text in answer.json()["message"]
    with tenant_context(acme.company):
        assert LeadImport.objects.count() == 0


def test_a_file_as_large_as_it_may_be(acme: Character, acme_api: APIClient) -> None:
    """200,000 rows, every second of them with a fault: the first are shown and all of them downloaded."""
    lines = (f"v{n}@x.example\n" if n % 2 else "=cmd|'/c calc'!A0\n" for n in range(csv_rows.MAX_ROWS))
    content = "email\n" + "".join(lines)
    record = sent(acme_api, content.encode()).json()["lead_import"]
    assert (record["total"], record["faulty"], len(record["errors"])) == (200_000, 100_000, 200)
    rows = refused(acme_api, f"{URL}/{record['id']}/refused")
    assert (len(rows), rows[-1]) == (100_001, ["200000", "This is no e-mail address."])


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["file"]),
        ({"file": "email"}, ["file"]),
        ({"file": SimpleUploadedFile("x.csv", b"email\n"), "agent_id": "x"}, ["agent_id"]),
    ],
)
def test_bad_input(acme_api: APIClient, fields: dict[str, Any], names: list[str]) -> None:
    answer = acme_api.post(URL, fields, format="multipart")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, names)
    assert acme_api.post(URL, {"file": "email"}, format="json").status_code == 400


def test_too_large(acme_api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "MAX_BYTES", 10)
    answer = sent(acme_api, b"email\na@x.example\n")
    assert (answer.status_code, answer.json()["code"]) == (413, "TOO_LARGE")


def test_a_foreign_agent_and_unknown_imports_are_not_found(
    acme: Character, globex: Character, acme_api: APIClient, globex_api: APIClient
) -> None:
    content = b"email\na@x.example\nbad\n"
    for agent_id in (globex.agent.pk, uuid.uuid4()):
        assert sent(acme_api, content, agent_id=str(agent_id)).status_code == 404
    record = sent(acme_api, content).json()["lead_import"]
    for import_id in (record["id"], uuid.uuid4()):
        url = f"{URL}/{import_id}"
        answers = [globex_api.get(url), globex_api.post(f"{url}/start"), globex_api.get(f"{url}/refused")]
        assert [answer.status_code for answer in answers] == [404] * 3
    assert acme_api.get(f"{URL}/{record['id']}").json()["lead_import"]["status"] == "checked"


def test_an_import_from_before_shows_the_faults_that_were_kept(acme: Character, acme_api: APIClient) -> None:
    with tenant_context(acme.company):
        row = LeadImport.objects.create(filename="x", encoding="utf-8", errors=[[2, "A fault."]], total=1, faulty=1)
    assert refused(acme_api, f"{URL}/{row.pk}/refused") == [["line", "error"], ["2", "A fault."]]
