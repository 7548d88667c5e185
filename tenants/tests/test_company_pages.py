"""The company's settings, archiving and bringing back in a browser, and companies in Django admin."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django_tenants.utils import tenant_context
from PIL import Image
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, page_client, super_admin_in_browser
from tenants.audit.models import AuditEvent
from tenants.models import Company, User
from tenants.services import archive_company, ensure_super_admin
from tenants.tests.test_pages import told

FORM = {
    "name": "Acme Ltd",
    "email": "office@acme.example",
    "phone": "+1 555 0100",
    "website": "acme.example",
    "industry": "Anvils",
    "ocr_languages": ["eng"],
}


def picture() -> SimpleUploadedFile:
    output = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(output, "PNG")
    return SimpleUploadedFile("logo.png", output.getvalue())


def fresh(who: Character) -> Company:
    company: Company = Company.objects.get(pk=who.company.pk)
    return company


def test_an_admin_changes_the_profile_and_the_logo(acme: Character, acme_client: Client) -> None:
    page = acme_client.get("/company").content.decode()
    assert ('value="Acme"' in page, "remove_logo" in page) == (True, False)

    response = acme_client.post("/company", {**FORM, "logo": picture()})

    assert (response.url, told(response)) == ("/company", ["The changes were saved."])  # type: ignore[attr-defined]
    company = fresh(acme)
    assert (company.name, company.website, company.industry) == ("Acme Ltd", "https://acme.example", "Anvils")
    assert f'src="{company.logo_path}"' in acme_client.get("/company").content.decode()
    acme_client.post("/company", FORM)
    assert fresh(acme).logo_path == company.logo_path
    acme_client.post("/company", {**FORM, "remove_logo": "on"})
    assert fresh(acme).logo == ""


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"name": ""}, {"name": ["This field is required."]}),
        ({"email": "admin@globex.example"}, {"email": ["A company with this e-mail address exists already."]}),
        ({"website": "javascript:alert(1)"}, {"website": ["Enter a valid URL."]}),
    ],
)
def test_faults_stand_at_their_field(
    acme: Character, globex: Character, acme_client: Client, change: dict[str, str], errors: dict[str, list[str]]
) -> None:
    response = acme_client.post("/company", FORM | change)
    assert (response.status_code, response.context["form"].errors) == (200, errors)
    assert fresh(acme).name == "Acme"


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_bad_logo_is_told_at_its_field(acme: Character, acme_client: Client, content: bytes) -> None:
    response = acme_client.post("/company", {**FORM, "logo": SimpleUploadedFile("x.png", content)})
    assert response.context["form"].errors == {
        "logo": ["The logo cannot be read. Send a PNG, JPEG, WebP or GIF picture."]
    }


def test_people_who_are_no_admins_have_no_company_page(acme: Character) -> None:
    User.objects.filter(pk=acme.admin.pk).update(role="user")
    client = page_client(acme)
    statuses = [client.get("/company").status_code, client.post("/company/archive").status_code]
    assert (statuses, 'href="/company"' in client.get("/account").content.decode()) == ([403, 403], False)
    assert fresh(acme).archived_at is None


def test_archiving_leaves_an_admin_one_page_which_brings_the_company_back(acme: Character, acme_client: Client) -> None:
    assert acme_client.get("/company/archive").status_code == 405
    assert acme_client.post("/company/archive").url == "/company/archived"  # type: ignore[attr-defined]
    assert [acme_client.get(path).url for path in ("/home", "/company")] == ["/company/archived"] * 2  # type: ignore[attr-defined]
    page = acme_client.get("/company/archived")
    assert ("Acme is archived" in page.content.decode(), page["Cache-Control"]) == (True, "no-store")

    response = acme_client.post("/company/archived")

    assert (response.url, told(response)) == ("/home", ["“Acme” was restored."])  # type: ignore[attr-defined]
    assert acme_client.get("/company").status_code == 200
    assert acme_client.get("/company/archived").url == "/home"  # type: ignore[attr-defined]


def test_its_admin_may_sign_in_to_bring_it_back_and_nobody_else(acme: Character) -> None:
    archive_company(actor=acme.principal, company=acme.company)
    browser, credentials = Client(), {"email": "admin@acme.example", "password": PASSWORD}
    assert browser.post("/login", {**credentials, "password": "wrong"}).status_code == 200
    assert browser.get("/company/archived", follow=True).redirect_chain[-1][0] == "/login?next=/home"
    browser.post("/login", credentials)
    assert browser.get("/company/archived").status_code == 200
    User.objects.filter(pk=acme.admin.pk).update(role="user")
    assert browser.get("/company/archived").status_code == 302
    refused = Client().post("/login", credentials)
    assert refused.context["form"].errors == {
        "__all__": ["Your company's account is not active. Ask whoever runs this installation."]
    }


def test_an_archived_company_s_admin_may_sign_out(acme: Character, acme_client: Client) -> None:
    archive_company(actor=acme.principal, company=acme.company)
    acme_client.post("/logout")
    assert acme_client.get("/company/archived").url == "/home"  # type: ignore[attr-defined]


def test_strangers_and_other_companies_see_no_archived_page(acme: Character, globex_client: Client) -> None:
    archive_company(actor=acme.principal, company=acme.company)
    for client in (Client(), globex_client):
        assert client.post("/company/archived").url == "/home"  # type: ignore[attr-defined]
    assert fresh(acme).is_archived


# --- Django admin -------------------------------------------------------------------------------------------------

LIST = "/admin/tenants/company/"


@pytest.fixture
def root(db: None) -> Client:
    return super_admin_in_browser(ensure_super_admin(email="root@example.com", password=PASSWORD))


def events(company: Company) -> list[tuple[str, str]]:
    with tenant_context(company):
        rows = AuditEvent.objects.filter(actor_label="root@example.com").order_by("position")
        return [(row.event_type, row.actor_label) for row in rows]


def act(client: Client, action: str, company: Company) -> None:
    response = client.post(LIST, {"action": action, "_selected_action": [str(company.pk)]})
    assert response.status_code == 302


def test_the_admin_s_actions_go_through_the_services(root: Client, acme: Character) -> None:
    states = []
    for action in ("deactivate", "activate", "verify", "archive", "restore"):
        act(root, action, acme.company)
        company = fresh(acme)
        states.append((company.is_active, company.is_verified, company.is_archived))
    assert states == [
        (False, False, False),
        (True, False, False),
        (True, True, False),
        (True, True, True),
        (True, True, False),
    ]
    names = ["deactivated", "activated", "verified", "archived", "restored"]
    assert events(acme.company) == [(f"company.{name}", "root@example.com") for name in names]


def test_the_admin_s_form_goes_through_the_services(root: Client, acme: Character, globex: Character) -> None:
    url = f"{LIST}{acme.company.pk}/change/"
    form = {"name": "Acme Ltd", "email": "office@acme.example", "is_active": "on", "ocr_languages": "eng"}
    assert root.post(url, form).status_code == 302
    assert (fresh(acme).name, events(acme.company)) == ("Acme Ltd", [("company.updated", "root@example.com")])
    assert "exists already" in told(root.post(url, form | {"email": "admin@globex.example"}))[-1]
    assert fresh(acme).email == "office@acme.example"


def test_deleting_for_good_wants_the_name_typed(root: Client, acme: Character) -> None:
    url = f"{LIST}{acme.company.pk}/purge/"
    page = root.get(url)
    assert (page.status_code, page.context["related"]["agents"]) == (200, 1)
    assert "That is not the company" in root.post(url, {"name": "acme"}).content.decode()
    assert fresh(acme).purge_started_at is None
    assert root.post(url, {"name": "Acme"}).url == LIST  # type: ignore[attr-defined]
    assert fresh(acme).purge_started_at is not None
    assert root.get(url).status_code == 404


def test_no_company_s_admin_sees_the_admin(acme: Character, acme_client: Client) -> None:
    assert acme_client.post(f"{LIST}{acme.company.pk}/purge/", {"name": "Acme"}).status_code == 302
    assert fresh(acme).purge_started_at is None


@pytest.fixture
def tesseract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with the languages English and German."""
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\nprintf 'List of available languages (4):\\neng\\ndeu\\nosd\\nscript/Latin\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.mark.usefixtures("tesseract")
def test_the_languages_of_scans_are_chosen_from_those_installed(acme: Character, acme_client: Client) -> None:
    form = acme_client.get("/company").context["form"]
    assert form.fields["ocr_languages"].choices == [("eng", "English (eng)"), ("deu", "German (deu)")]
    acme_client.post("/company", FORM | {"ocr_languages": ["deu", "eng"]})
    assert fresh(acme).ocr_languages == ["deu", "eng"]
    with tenant_context(acme.company):
        event = AuditEvent.objects.latest("position")
    assert (event.event_type, event.changes["ocr_languages"]) == ("company.updated", [["eng"], ["deu", "eng"]])
    acme_client.post("/company", FORM | {"ocr_languages": ["fra"]})
    assert fresh(acme).ocr_languages == ["deu", "eng"]


@pytest.mark.usefixtures("tesseract")
def test_a_language_that_is_not_installed_is_refused_with_its_package(acme: Character, acme_api: APIClient) -> None:
    url = f"/api/v1/company/{acme.company.pk}"
    refused = acme_api.patch(url, {"ocr_languages": ["eng", "chi_sim"]}, format="json")
    assert (refused.status_code, refused.json()["errors"]) == (
        400,
        {
            "ocr_languages": [
                "The language chi_sim is not installed on this server. "
                "Ask its operator for the package tesseract-ocr-chi-sim, or choose another."
            ]
        },
    )
    taken = acme_api.patch(url, {"ocr_languages": ["deu"]}, format="json")
    assert taken.json()["company"]["ocr_languages"] == ["deu"]
    assert acme_api.patch(url, {"ocr_languages": []}, format="json").status_code == 400
    assert acme_api.patch(url, {"ocr_languages": ["-psm"]}, format="json").status_code == 400
