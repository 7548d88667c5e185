"""The encoding of a CSV file of leads: found, shown, and chosen by whoever knows better."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from conftest import Character
from leads import imports
from leads.enums import Encoding
from leads.models import Lead, LeadImport
from leads.services import check_import, recheck_import
from leads.tests.test_import_api import URL, eager_worker, refused, sent
from tenants.audit.models import AuditEvent

pytestmark = pytest.mark.django_db
__all__ = ["eager_worker"]

WRITTEN = {  # how programs write it -> the name that the API has for it, and a name in that script
    "utf-8": ("utf-8", "Zoë 名前"), "utf-8-sig": ("utf-8", "Zoë 名前"), "utf-16": ("utf-16", "Zoë 名前"),
    "utf-16-le": ("utf-16", "Zoë"), "utf-16-be": ("utf-16", "Zoë"),
    "cp1252": ("windows-1252", "Zoë €"), "latin-1": ("windows-1252", "Zoë"),
    "cp1250": ("windows-1250", "Łukasz"), "cp1251": ("windows-1251", "Юлия"), "cp1253": ("windows-1253", "Ελένη"),
    "cp1254": ("windows-1254", "Ayşe"), "cp1255": ("windows-1255", "שרה"), "cp1256": ("windows-1256", "ليلى"),
    "cp1257": ("windows-1257", "Rūta"), "cp1258": ("windows-1258", "Đào"), "cp874": ("windows-874", "มาลี"),
    "iso-8859-2": ("iso-8859-2", "Łukasz"), "iso-8859-15": ("iso-8859-15", "Zoë €"), "koi8-r": ("koi8-r", "Юлия"),
    "cp850": ("ibm850", "Zoë"), "mac-roman": ("macintosh", "Zoë"), "gb18030": ("gb18030", "赵娜"),
    "gbk": ("gb18030", "赵娜"), "cp950": ("big5", "陳美玲"), "cp932": ("shift_jis", "髙橋①"),
    "euc_jp": ("euc-jp", "高橋"), "cp949": ("euc-kr", "김민준 똠"),
}  # fmt: skip


def content_in(encoding: str, name: str = "") -> bytes:
    return f"email;name\na@x.example;{name or WRITTEN[encoding][1]}\n".encode(encoding)


@pytest.mark.parametrize("written", WRITTEN)
def test_each_encoding_can_be_chosen(acme_api: APIClient, written: str) -> None:
    encoding, name = WRITTEN[written]
    record = sent(acme_api, content_in(written), encoding=encoding).json()["lead_import"]
    assert (record["encoding"], record["faulty"], record["first_rows"]) == (encoding, 0, [["a@x.example", name]])


def test_every_encoding_that_is_offered_is_tried_here() -> None:
    assert set(Encoding.values) == {name for name, _ in WRITTEN.values()}


def test_another_one_is_chosen_in_the_preview_and_imported_with(
    acme: Character,
    acme_api: APIClient,
    eager_worker: None,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    # Latin letters with a mark are a letter of a byte in both, so only a reader can tell which is meant.
    content = content_in("cp1250", "Łukasz") + b"b@x.example;B\x81b\n"  # which no letter has in Windows-1252
    record = sent(acme_api, content).json()["lead_import"]
    assert (record["encoding"], record["first_rows"][0][1], record["faulty"]) == ("windows-1252", "£ukasz", 1)
    url = f"{URL}/{record['id']}"
    assert len(refused(acme_api, f"{url}/refused")) == 2

    with django_capture_on_commit_callbacks(execute=True):
        answer = acme_api.patch(url, {"encoding": "ibm850"})
    assert (answer.status_code, answer.json()["lead_import"]["faulty"]) == (200, 0)
    assert refused(acme_api, f"{url}/refused") == [["line", "error"]]
    with django_capture_on_commit_callbacks(execute=True):
        record = acme_api.patch(url, {"encoding": "windows-1250"}).json()["lead_import"]
    assert (record["encoding"], record["first_rows"][0][1]) == ("windows-1250", "Łukasz")
    assert record["errors"] == [{"line": 3, "error": "First name has a letter that cannot be read."}]
    assert refused(acme_api, f"{url}/refused")[1:] == [["3", "First name has a letter that cannot be read."]]
    assert acme_api.get(url).json()["lead_import"] == record

    with django_capture_on_commit_callbacks(execute=True):
        acme_api.post(f"{url}/start")
    again = acme_api.patch(url, {"encoding": "utf-8"})
    assert (again.status_code, again.json()["code"]) == (409, "IMPORT_STARTED")
    with tenant_context(acme.company):
        assert [lead.first_name for lead in Lead.objects.all()] == ["Łukasz"]
        told = [(event.event_type, event.changes.get("encoding")) for event in AuditEvent.objects.order_by("position")]
        assert told == [
            ("lead_import.checked", None),
            ("lead_import.checked", ["windows-1252", "ibm850"]),
            ("lead_import.checked", ["ibm850", "windows-1250"]),
            ("lead_import.started", None),
        ]


@pytest.mark.parametrize("rows", [b"b@x.example;B\x81b\n", b"no address;\n"])  # a fault in one, and in both of them
def test_the_faults_of_before_are_not_kept(
    in_acme: Character, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks, rows: bytes
) -> None:
    file = SimpleUploadedFile("x.csv", b"email;name\n" + rows)
    row = check_import(actor=in_acme.principal, file=file, encoding="windows-1252")
    old = row.refused.name or ""
    assert row.refused.storage.exists(old)
    with django_capture_on_commit_callbacks(execute=True):
        row = recheck_import(actor=in_acme.principal, row=row, encoding="ibm850")
    assert not row.refused.storage.exists(old)
    assert (row.faulty, not row.refused or row.refused.storage.exists(row.refused.name or "")) == (
        int(b"no address" in rows), True,
    )  # fmt: skip


def test_an_encoding_in_which_it_is_no_file_of_leads_changes_nothing(acme: Character, acme_api: APIClient) -> None:
    record = sent(acme_api, content_in("cp1252") + b"bad;\n").json()["lead_import"]
    url = f"{URL}/{record['id']}"
    answer = acme_api.patch(url, {"encoding": "utf-16"})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["file"])
    assert acme_api.get(url).json()["lead_import"] == record
    assert len(refused(acme_api, f"{url}/refused")) == 2


@pytest.mark.parametrize("encoding", ["utf-7", "idna", "zlib", "hz", "cp1252", "", None, 8, ["utf-8"], "x" * 10_000])
def test_no_other_encoding_is_taken(acme_api: APIClient, encoding: Any) -> None:
    record = sent(acme_api, content_in("cp1252")).json()["lead_import"]
    for body in ({"encoding": encoding}, {}):
        answer = acme_api.patch(f"{URL}/{record['id']}", body, format="json")
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["encoding"])
    assert acme_api.get(f"{URL}/{record['id']}").json()["lead_import"] == record
    if isinstance(encoding, str) and encoding:
        assert sent(acme_api, content_in("cp1252"), encoding=encoding).status_code == 400


def test_the_page_shows_it_and_lets_another_be_chosen(acme: Character, acme_client: Client) -> None:
    acme_client.post("/leads/import", {"file": SimpleUploadedFile("x.csv", content_in("cp1251"))})
    with tenant_context(acme.company):
        row = LeadImport.objects.get()
    url = f"/leads/import/{row.pk}"
    page = acme_client.get(url).content.decode()
    assert '<option value="windows-1252" selected>Western European (Windows-1252, Latin-1)</option>' in page
    assert "Þëèÿ" in page
    answer = acme_client.post(f"{url}/encoding", {"encoding": "windows-1251"})
    assert (answer.status_code, answer["Location"]) == (302, url)
    page = acme_client.get(url).content.decode()
    assert '<option value="windows-1251" selected>Cyrillic (Windows-1251)</option>' in page
    assert ("Юлия" in page, "Þëèÿ" in page) == (True, False)
    for wrong, told in {"utf-7": "Choose one of the encodings", "utf-16": "one of them must be email"}.items():
        page = acme_client.post(f"{url}/encoding", {"encoding": wrong}, follow=True).content.decode()
        assert (told in page, "Юлия" in page) == (True, True)
    with tenant_context(acme.company):
        LeadImport.objects.update(status="processing")
    page = acme_client.get(url).content.decode()
    assert ("Cyrillic (Windows-1251)" in page, "<select" in page) == (True, False)
    page = acme_client.post(f"{url}/encoding", {"encoding": "utf-8"}, follow=True).content.decode()
    assert "was imported already" in page


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig"])
def test_an_import_from_before_is_still_read(acme: Character, acme_client: Client, encoding: str) -> None:
    with tenant_context(acme.company):
        file = SimpleUploadedFile("x.csv", content_in(encoding))
        row = LeadImport(filename="x.csv", encoding=encoding, total=1, status="checked")
        row.file.save("original", file)
    assert "Zoë" in acme_client.get(f"/leads/import/{row.pk}").content.decode()
    with tenant_context(acme.company):
        LeadImport.objects.update(status="processing", task_id=row.pk)
        imports.run(str(row.pk))
        assert Lead.objects.get().first_name.startswith("Zoë")
