"""Leads out of the product and into it, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from django_tenants.utils import tenant_context
from pytest_django import DjangoCaptureOnCommitCallbacks

from conftest import Character
from knowrithm.celery import app as celery
from knowrithm.errors import InvalidInputError, NotFoundError
from knowrithm.jobs import read_task
from leads import csv_rows, imports, tasks
from leads.models import Lead, LeadConsent, LeadImport
from leads.services import check_import, start_import
from tenants.audit.models import AuditEvent

pytestmark = pytest.mark.django_db


def checked(who: Character, content: bytes, **options: Any) -> LeadImport:
    return check_import(actor=who.principal, file=SimpleUploadedFile("leads.csv", content), **options)


def exported(client: Client, query: str = "") -> list[dict[str, str]]:
    answer = client.get(f"/leads/export{query}")
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]  # a stream's
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize(("hours", "is_kept"), [(23, True), (25, False)])
def test_a_file_that_nobody_imports_is_deleted_after_a_day(
    in_acme: Character, globex: Character, acme_client: Client, hours: int, is_kept: bool
) -> None:
    with tenant_context(globex.company):
        foreign = checked(globex, b"email\na@x.example\n")
        LeadImport.objects.filter(pk=foreign.pk).update(updated_at=timezone.now() - timedelta(days=9))
    waiting = checked(in_acme, b"email\na@x.example\nno address\n")
    broken, running = (checked(in_acme, b"email\nb@x.example\n") for _ in range(2))
    statuses = {broken.pk: "failed", running.pk: "processing", waiting.pk: "checked"}
    for pk, status in statuses.items():
        then = timezone.now() - timedelta(hours=hours)
        LeadImport.objects.filter(pk=pk).update(status=status, updated_at=then, created_at=then)
    rows = (waiting, broken, running)
    page = acme_client.get(f"/leads/import/{waiting.pk}").content.decode()
    assert "A file that is not imported is deleted after a day" in page
    with tenant_context(in_acme.company):  # the request has left it
        tasks.purge_imports(in_acme.company.schema_name)

        there = {row.pk: row for row in LeadImport.objects.all()}
        files = [waiting.file.storage.exists(row.file.name or "") for row in rows]
        assert files == [is_kept, is_kept, True]
        assert waiting.refused.storage.exists(waiting.refused.name or "") == is_kept
        assert [row.pk in there for row in rows] == [is_kept, True, True]
        assert bool(there[broken.pk].file) == is_kept
        if not is_kept:
            with pytest.raises(NotFoundError):
                start_import(actor=in_acme.principal, row=waiting)
    with tenant_context(globex.company):
        assert LeadImport.objects.filter(pk=foreign.pk).exists()
        assert foreign.file.storage.exists(foreign.file.name or "")


def test_the_download_holds_what_the_list_does_and_no_formula(acme: Character, acme_client: Client) -> None:
    with tenant_context(acme.company):
        Lead.objects.create(
            agent=acme.agent, first_name='=HYPERLINK("x")', email="a@x.example", phone="+49 1", tags=["x", "y"]
        )
        Lead.objects.create(first_name="Bea", email="b@x.example", status="lost", notes="@cmd")
    bea, first = exported(acme_client)
    assert (first["first_name"], first["phone"], first["tags"]) == ('\'=HYPERLINK("x")', "'+49 1", "x, y")
    assert (bea["notes"], bea["agent"], first["agent"]) == ("'@cmd", "", "Acme helper")
    assert [row["email"] for row in exported(acme_client, "?status=lost")] == ["b@x.example"]


@pytest.mark.parametrize(
    ("encoding", "found"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("cp1252", "windows-1252")],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters(in_acme: Character, encoding: str, found: str, delimiter: str) -> None:
    lines = [["Vorname", "E-Mail", "Telefon"], ["Jürgen", "j@x.example", "'+49 89 1"]]
    content = "\r\n".join(delimiter.join(line) for line in lines).encode(encoding)
    row = checked(in_acme, content)
    assert (row.encoding, row.total, row.faulty) == (found, 1, 0)
    [one] = csv_rows.rows_of(io.BytesIO(content), row.encoding)
    assert (one.values["first_name"], one.values["phone"]) == ("Jürgen", "+49 89 1")


@pytest.mark.parametrize(
    ("damage", "field", "names"),
    [
        # One cell of another program, and a file that ends in the midst of a letter.
        (b"Ren\xe9,r@x.example,", "First name", ["Müller", "Zoë"]),
        (b"R,r@x.example,caf\xc3", "Notes", ["Müller", "Zoë"]),
        (b"R,r@x.example,,\xe9", "", ["Müller", "R", "Zoë"]),  # in no column that is read
    ],
)
def test_some_damage_makes_no_other_encoding(in_acme: Character, damage: bytes, field: str, names: list[str]) -> None:
    row = checked(in_acme, "name,email,notes\nMüller,m@x.example,\nZoë,z@x.example,\n".encode() + damage)
    faults = [[4, f"{field} has a letter that cannot be read."]] if field else []
    assert (row.encoding, row.total, row.errors) == ("utf-8", 3, faults)
    imports.run(str(start_import(actor=in_acme.principal, row=row).pk))
    assert list(Lead.objects.order_by("email").values_list("first_name", flat=True)) == names


def test_a_letter_that_windows_does_not_know_is_a_fault(in_acme: Character) -> None:
    row = checked(in_acme, b"name,email\nM\xfcller,m@x.example\nB\x81b,b@x.example\n")
    assert (row.encoding, row.errors) == ("windows-1252", [[3, "First name has a letter that cannot be read."]])


def test_each_fault_is_told_with_its_line(in_acme: Character) -> None:
    row = checked(
        in_acme,
        b"name,email,status\n"
        b"Ada,ada@x.example,won\n"
        b"\n"
        b"Bob,nowhere,\n"
        b',,\n"two\nlines",c@x.example,Lost\n'
        b"C,C@x.example,\n"
        b"D\n" + b"E" * 101 + b",e@x.example,",
    )
    assert (row.total, row.faulty) == (6, 5)
    assert row.errors == [
        [2, "The status must be one of new, contacted, qualified, converted, lost."],
        [4, "This is no e-mail address."],
        [8, "This e-mail address stands in the file twice."],
        [9, "The e-mail address is missing."],
        [10, "First name may have at most 100 characters."],
    ]
    assert Lead.objects.count() == 0


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "The first line names the columns"),
        (b"first_name\nAda", "The first line names the columns"),
        (b"\x89PNG\r\n\x1a\n\0\0", "The first line names the columns"),
        (b'email\n"' + b"x" * 200_000, "this is no CSV file"),
        (b"email\n" + b"a@x.example\n" * 6, "at most 5 rows"),
    ],
)
def test_what_is_no_file_of_leads(
    in_acme: Character, monkeypatch: pytest.MonkeyPatch, content: bytes, text: str
) -> None:
    monkeypatch.setattr(csv_rows, "MAX_ROWS", 5)
    with pytest.raises(InvalidInputError, match=text):
        checked(in_acme, content)
    assert LeadImport.objects.count() == 0


def test_a_killed_worker_s_rest_is_written_by_the_next(in_acme: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "BATCH", 2)
    Lead.objects.create(agent=in_acme.agent, first_name="Old", email="v3@x.example", notes="Kept")
    content = "first name,email,tags\n" + "".join(f'V{n},v{n}@x.example,"fair, hot"\n' for n in range(5))
    row = start_import(
        actor=in_acme.principal, row=checked(in_acme, f"{content}bad,bad,\n".encode(), agent_id=in_acme.agent.pk)
    )
    rows = list(csv_rows.rows_of(io.BytesIO(content.encode()), "utf-8"))
    assert imports._write(str(row.pk), rows[:2], 0)  # and here the worker dies
    assert not imports._write(str(row.pk), rows[:2], 0)  # it was the same batch
    imports.run(str(row.pk))
    imports.run(str(row.pk))
    row.refresh_from_db()
    assert (row.status, row.rows_done, row.created_count, row.known_count) == ("completed", 6, 4, 1)
    assert sorted(Lead.objects.values_list("first_name", flat=True)) == ["Old", "V0", "V1", "V2", "V4"]
    assert Lead.objects.get(first_name="V1").tags == ["fair", "hot"]
    assert Lead.objects.get(first_name="V1").events.get().kind == "imported"
    assert not row.file
    task = read_task(str(row.task_id))
    assert task is not None
    assert (task.status, task.result and task.result["created"]) == ("completed", 4)


def test_consents_are_those_of_the_file_and_otherwise_unknown(in_acme: Character) -> None:
    content = b"email,Consent,Newsletter\na@x.example,Yes,no\nb@x.example,,\nc@x.example,maybe,\nd@x.example,,TRUE\n"
    row = checked(in_acme, content)
    assert row.errors == [[4, "The consent to the processing of data must be yes or no."]]
    imports.run(str(start_import(actor=in_acme.principal, row=row).pk))
    found = Lead.objects.order_by("first_name").values_list(
        "first_name", "consent_data_processing", "consent_marketing"
    )
    assert list(found) == [("a", True, False), ("b", False, False), ("d", False, True)]
    kept = LeadConsent.objects.order_by("lead__first_name", "kind")
    assert list(kept.values_list("lead__first_name", "kind", "is_given", "actor_label")) == [
        ("a", "data_processing", True, in_acme.principal.label),
        ("a", "marketing", False, in_acme.principal.label),
        ("d", "marketing", True, in_acme.principal.label),
    ]


@pytest.fixture
def eager_worker() -> Iterator[None]:
    celery.conf.task_always_eager = True
    yield
    celery.conf.task_always_eager = False


def test_imported_on_the_page(
    acme: Character,
    acme_client: Client,
    eager_worker: None,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    page = acme_client.get("/leads/import").content.decode()
    assert "Check the file" in page
    file = SimpleUploadedFile("fair.csv", b"email,name\na@x.example,<b>Ada\nbad,Bob\n")
    answer = acme_client.post("/leads/import", {"file": file, "agent": str(acme.agent.pk)})
    with tenant_context(acme.company):
        row = LeadImport.objects.get()
        assert [event.event_type for event in AuditEvent.objects.all()] == ["lead_import.checked"]
    assert answer.url == f"/leads/import/{row.pk}"  # type: ignore[attr-defined]  # a redirect
    page = acme_client.get(f"/leads/import/{row.pk}").content.decode()
    assert "Import 1 lead<" in page
    assert "This is no e-mail address." in page
    with django_capture_on_commit_callbacks(execute=True):
        acme_client.post(f"/leads/import/{row.pk}/start")
    assert "Completed" in acme_client.get(f"/leads/import/{row.pk}", HTTP_HX_REQUEST="true").content.decode()
    assert "&lt;b&gt;Ada" in acme_client.get("/leads").content.decode()
    page = acme_client.post(f"/leads/import/{row.pk}/start", follow=True).content.decode()
    assert "was imported already" in page
    page = acme_client.post("/leads/import", {"file": SimpleUploadedFile("x.csv", b"x")}).content.decode()
    assert "one of them must be email" in page
