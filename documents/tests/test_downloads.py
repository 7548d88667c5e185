"""The original of a document: who gets it, how it is sent, and where it lies."""

from __future__ import annotations

import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.signing import TimestampSigner
from django.test import Client
from django_tenants.utils import tenant_context
from moto.server import ThreadedMotoServer
from rest_framework.test import APIClient

from conftest import Character
from documents import downloads, jobs, tasks
from documents.models import Document, IngestionJob
from knowrithm.tests.mailbox import free_port
from tenants.purge import _delete_files

DOCUMENT = "/api/v1/document"
CONTENT = b"<script>alert(1)</script> The pump lifts water."


def take(client: APIClient, who: Character, content: bytes = CONTENT, name: str = 'ein "Blatt" ü.txt') -> str:
    form = {"agent_id": str(who.agent.pk), "files": SimpleUploadedFile(name, content)}
    document_id: str = client.post(f"{DOCUMENT}/upload", form, format="multipart").json()["documents"][0]["id"]
    return document_id


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_the_original_is_saved_and_never_shown(acme_api: APIClient, acme: Character) -> None:
    document_id = take(acme_api, acme)
    answer = acme_api.get(f"{DOCUMENT}/{document_id}/download")
    assert (answer.status_code, body_of(answer)) == (200, CONTENT)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment; filename")
    assert "%C3%BC" in answer["Content-Disposition"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["Content-Length"] == str(len(CONTENT))
    acme_api.delete(f"{DOCUMENT}/{document_id}")
    assert body_of(acme_api.get(f"{DOCUMENT}/{document_id}/download")) == CONTENT


def test_a_link_opens_it_for_a_while(
    acme_api: APIClient, acme: Character, anonymous: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id = take(acme_api, acme)
    given = acme_api.get(f"{DOCUMENT}/{document_id}/download-link").json()
    path = urlsplit(given["url"]).path
    assert body_of(anonymous.get(path)) == CONTENT
    assert anonymous.get(path[:-1] + ("A" if path[-1] != "A" else "B")).status_code == 404
    assert anonymous.get(f"{DOCUMENT}/file/nonsense").status_code == 404
    later = time.time() + downloads.LINK_SECONDS + 2
    with monkeypatch.context() as patch:
        patch.setattr("django.core.signing.time.time", lambda: later)
        assert anonymous.get(path).status_code == 404
    other = TimestampSigner(salt="another-purpose").sign_object([str(acme.company.pk), document_id])
    assert anonymous.get(f"{DOCUMENT}/file/{other}").status_code == 404
    acme.company.is_active = False
    acme.company.save()
    assert anonymous.get(path).status_code == 404


def test_a_link_of_one_company_opens_nothing_of_another(
    acme_api: APIClient, acme: Character, globex: Character, anonymous: APIClient
) -> None:
    document_id = uuid.UUID(take(acme_api, acme))
    with tenant_context(acme.company):
        document = Document.objects.get(pk=document_id)
        path = urlsplit(downloads.download_url(document, globex.company.pk)).path
    assert anonymous.get(path).status_code == 404


def test_what_has_no_original(acme_api: APIClient, acme: Character) -> None:
    with tenant_context(acme.company):
        document = Document.objects.create(agent=acme.agent, original_filename="page", source_url="https://a.example")
        lost = Document.objects.create(agent=acme.agent, original_filename="lost", file="documents/lost/original")
    for document_id in (document.pk, lost.pk):
        assert acme_api.get(f"{DOCUMENT}/{document_id}/download").status_code == 404
    assert acme_api.get(f"{DOCUMENT}/{document.pk}/download-link").status_code == 404


# --- In a bucket --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, Any]]:
    """A bucket of a small server of our own, as options of the storage."""
    port = free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    options = {
        "bucket_name": "files",
        "endpoint_url": f"http://127.0.0.1:{port}",
        "region_name": "us-east-1",
        "access_key": "key",
        "secret_key": "secret",
        "signature_version": "s3v4",
    }
    client_of(options).create_bucket(Bucket="files")
    yield options
    server.stop()


def client_of(options: dict[str, Any]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=options["endpoint_url"],
        region_name=options["region_name"],
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )


def keys_in(options: dict[str, Any]) -> set[str]:
    return {row["Key"] for row in client_of(options).list_objects_v2(Bucket="files").get("Contents", [])}


@pytest.fixture
def in_bucket(bucket: dict[str, Any], settings: Any) -> dict[str, Any]:
    settings.S3_BUCKET_NAME = "files"
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "knowrithm.storage.CompanyBucketStorage", "OPTIONS": bucket},
    }
    return bucket


def test_a_bucket_holds_the_files_below_the_company_s_name(
    acme_api: APIClient, globex_api: APIClient, acme: Character, globex: Character, in_bucket: dict[str, Any]
) -> None:
    mine, theirs = take(acme_api, acme), take(globex_api, globex)
    places = {who.company.schema_name: f"{who.company.schema_name}/documents" for who in (acme, globex)}
    assert keys_in(in_bucket) == {
        f"{places[acme.company.schema_name]}/{mine}/original",
        f"{places[globex.company.schema_name]}/{theirs}/original",
    }
    with tenant_context(acme.company):
        for job in IngestionJob.objects.all():
            jobs.run(job.id, tasks.ingest)
        assert Document.objects.get(pk=mine).status == "processed"
        with pytest.raises(NotImplementedError):
            Path(Document.objects.get(pk=mine).file.path)

    answer = acme_api.get(f"{DOCUMENT}/{mine}/download")
    assert answer.status_code == 302
    link = acme_api.get(f"{DOCUMENT}/{mine}/download-link").json()["url"]
    for url in (answer["Location"], link):
        assert "X-Amz-Expires=300" in url
        with urllib.request.urlopen(url) as response:
            assert response.read() == CONTENT
            assert response.headers["Content-Disposition"].startswith("attachment")

    with tenant_context(acme.company):
        _delete_files(".")
        assert default_storage.listdir(".") == ([], [])
    assert keys_in(in_bucket) == {f"{places[globex.company.schema_name]}/{theirs}/original"}


def test_the_page_leads_to_the_file(acme_client: Client, acme_api: APIClient, acme: Character) -> None:
    document_id = take(acme_api, acme)
    assert body_of(acme_client.get(f"/documents/{document_id}/download")) == CONTENT
