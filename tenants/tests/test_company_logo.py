from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django_tenants.utils import tenant_context
from PIL import Image
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from conftest import Character, key_client
from tenants.logo import MAX_BYTES
from tenants.models import Company
from tenants.services import archive_company


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 20), **options: Any) -> bytes:
    output = io.BytesIO()
    Image.new("RGB", size, "teal").save(output, kind, **options)
    return output.getvalue()


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says it measures 50,000 by 50,000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def send(client: APIClient, company: Company, content: bytes, name: str = "logo.png") -> tuple[int, dict[str, object]]:
    body = {"logo": SimpleUploadedFile(name, content)}
    answer = client.put(f"/api/v1/company/{company.id}", body, format="multipart")
    return answer.status_code, answer.json()


def path_of(logo: object) -> str:
    return "/" + str(logo).split("/", 3)[3]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_is_drawn_anew_and_served_to_everybody(acme_api: APIClient, acme: Character, kind: str) -> None:
    status, body = send(acme_api, acme.company, picture(kind), "whatever.exe")
    assert status == 200
    served = Client().get(path_of(body["logo"]))
    assert (served.status_code, served["Content-Type"]) == (200, "image/png")
    assert served["Cache-Control"] == "public, max-age=31536000, immutable"
    assert served["X-Content-Type-Options"] == "nosniff"
    assert served["Content-Security-Policy"] == "default-src 'none'; sandbox"
    drawn = Image.open(io.BytesIO(served.content))
    assert (drawn.format, drawn.size) == ("PNG", (40, 20))


def test_metadata_are_left_behind_and_large_pictures_made_smaller(acme_api: APIClient, acme: Character) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at my home"
    exif[0x0112] = 6  # lies on its side
    _, body = send(acme_api, acme.company, picture("JPEG", (2000, 1000), exif=exif))
    content = Client().get(path_of(body["logo"])).content
    drawn = Image.open(io.BytesIO(content))
    assert (drawn.size, drawn.info, b"home" in content) == ((256, 512), {}, False)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda: b"", "The logo cannot be read. Send a PNG, JPEG, WebP or GIF picture."),
        (lambda: b"not a picture", "The logo cannot be read. Send a PNG, JPEG, WebP or GIF picture."),
        (
            lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
            "The logo cannot be read. Send a PNG, JPEG, WebP or GIF picture.",
        ),
        (lambda: picture("BMP"), "The logo cannot be read. Send a PNG, JPEG, WebP or GIF picture."),
        (lambda: picture()[:60], "The logo cannot be read. Send a PNG, JPEG, WebP or GIF picture."),
        (bomb, "The logo measures more than 4096 pixels a side. Send a smaller picture."),
        (lambda: bytes(MAX_BYTES + 1), "The logo is larger than 2 MB. Send a smaller picture."),
    ],
    ids=["empty", "text", "svg", "bmp", "cut off", "bomb", "too large"],
)
def test_a_bad_file_is_refused(
    acme_api: APIClient, acme: Character, content: Callable[[], bytes], sentence: str
) -> None:
    status, body = send(acme_api, acme.company, content())
    assert (status, body["success"], body["errors"]) == (400, False, {"logo": [sentence]})
    assert Company.objects.get(pk=acme.company.pk).logo == ""


def test_a_new_company_may_bring_its_logo(anonymous: APIClient, db: None) -> None:
    body = {"name": "Hooli", "email": "info@hooli.example", "logo": SimpleUploadedFile("logo.png", picture())}
    made = anonymous.post("/api/v1/company", body, format="multipart").json()
    assert Client().get(path_of(made["logo"])).status_code == 200
    refused = anonymous.post(
        "/api/v1/company",
        {**body, "email": "x@hooli.example", "logo": SimpleUploadedFile("x", b"x")},
        format="multipart",
    )
    assert (refused.status_code, Company.objects.filter(email="x@hooli.example").exists()) == (400, False)


def test_it_lies_below_its_company_s_prefix_and_goes_when_replaced(
    acme_api: APIClient, acme: Character, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    send(acme_api, acme.company, picture(size=(3, 3)))
    first = Company.objects.get(pk=acme.company.pk)
    with tenant_context(acme.company):
        assert default_storage.path(f"logo/{first.logo_digest}.png").split("/")[-3] == acme.company.schema_name
    with django_capture_on_commit_callbacks(execute=True):
        send(acme_api, acme.company, picture(size=(4, 4)))
    second = Company.objects.get(pk=acme.company.pk)
    with tenant_context(acme.company):
        stored = [default_storage.exists(f"logo/{one.logo_digest}.png") for one in (first, second)]
    assert stored == [False, True]
    assert [Client().get(one.logo_path).status_code for one in (first, second)] == [404, 200]


def test_another_company_s_id_or_an_unused_company_shows_none(
    acme_api: APIClient, acme: Character, globex: Character
) -> None:
    send(acme_api, acme.company, picture())
    own = Company.objects.get(pk=acme.company.pk)
    assert Client().get(own.logo_path.replace(str(own.pk), str(globex.company.pk))).status_code == 404
    assert Client().get(f"/company-logo/{globex.company.pk}/.png").status_code == 404
    archive_company(actor=acme.principal, company=own)
    assert Client().get(own.logo_path).status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/x.png",
        "javascript:alert(1)",
        "data:image/png;base64,AA",
        "//example.org",
        "https://" + "x" * 600,
    ],
)
def test_only_an_https_address_is_kept(acme: Character, address: str) -> None:
    client = key_client(acme, "admin")
    answer = client.patch(f"/api/v1/company/{acme.company.id}", {"logo": address})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["logo"])


def test_an_address_is_kept_as_it_is_and_a_picture_takes_its_place(acme_api: APIClient, acme: Character) -> None:
    url, address = f"/api/v1/company/{acme.company.id}", "https://127.0.0.1/logo.svg"  # never fetched
    assert acme_api.patch(url, {"logo": address}).json()["logo"] == address
    _, body = send(acme_api, acme.company, picture())
    assert "/company-logo/" in str(body["logo"])
    assert acme_api.patch(url, {"logo": body["logo"]}).json()["logo"] == body["logo"]
    assert acme_api.patch(url, {"logo": None}).json()["logo"] is None
