"""Signing up, in and out, the account and the API keys, as a browser sends them."""

from __future__ import annotations

import re
import uuid
from zoneinfo import available_timezones

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries, Settings

from conftest import PASSWORD, Character, page_client
from tenants.audit.models import AuditEvent
from tenants.models import ApiKey, Company, SingleSignOn, User
from tenants.services import create_api_key, ensure_super_admin, principal_of, register_company, start_session

SIGNUP = {
    "company_name": "Initech",
    "first_name": "Ada",
    "last_name": "Byron",
    "email": "ada@initech.example",
    "password": "analytical-engine-1843",
}


def told(response: object) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]  # type: ignore[attr-defined]


@pytest.fixture
def browser(db: None) -> Client:
    return Client()


@pytest.mark.parametrize("path", ["/", "/login", "/signup"])
def test_public_pages_open_for_anybody(browser: Client, path: str) -> None:
    assert browser.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/home", "/agents", "/agents/new", "/documents", "/api-keys", "/account"])
def test_dashboard_asks_strangers_to_sign_in_and_brings_them_back(browser: Client, path: str) -> None:
    assert browser.get(path).url == f"/login?next={path}"  # type: ignore[attr-defined]


def test_a_stranger_s_fragment_sends_the_whole_page_to_sign_in(browser: Client, unknown_id: uuid.UUID) -> None:
    response = browser.get(f"/documents/{unknown_id}/row", headers={"HX-Request": "true"})
    assert (response.status_code, response["HX-Redirect"]) == (200, "/login")


def test_a_stranger_s_post_comes_back_to_a_page_that_can_be_opened(browser: Client, unknown_id: uuid.UUID) -> None:
    response = browser.post(f"/agents/{unknown_id}/archive")
    assert response.url == "/login?next=/home"  # type: ignore[attr-defined]


def test_super_admin_without_company_is_sent_to_the_admin(browser: Client) -> None:
    browser.force_login(
        ensure_super_admin(email="root@example.com", password=PASSWORD), "tenants.backends.EmailBackend"
    )
    assert browser.get("/home").url == "/admin/"  # type: ignore[attr-defined]


def test_sign_up_makes_the_company_and_signs_its_admin_in(browser: Client) -> None:
    response = browser.post("/signup", SIGNUP)
    assert response.url == "/home"  # type: ignore[attr-defined]
    admin = User.objects.select_related("company").get(email="ada@initech.example")
    assert (admin.role, admin.company and admin.company.name) == ("admin", "Initech")
    assert "Hello, Ada" in browser.get("/home").content.decode()


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"password": "password"}, {"password": ["This password is too common."]}),
        ({"email": "ADMIN@acme.example"}, {"email": ["An account with this e-mail address exists already."]}),
        ({"first_name": "A\0da"}, {"first_name": ["Null characters are not allowed."]}),
    ],
)
def test_sign_up_says_at_the_field_what_is_wrong(
    acme: Character, browser: Client, change: dict[str, str], errors: dict[str, list[str]]
) -> None:
    before = Company.objects.count()
    response = browser.post("/signup", SIGNUP | change)
    assert (response.status_code, response.context["form"].errors) == (200, errors)
    assert Company.objects.count() == before


def test_sign_up_asks_for_the_terms_that_the_installation_has_and_keeps_which(
    browser: Client, settings: Settings
) -> None:
    assert "accepts_terms" not in browser.get("/signup").context["form"].fields
    settings.TERMS_URL, settings.PRIVACY_URL = "https://terms.example/2", "https://privacy.example"
    pages = [browser.get(path).content.decode() for path in ("/", "/signup")]
    links = [f'href="{address}"' in page for page in pages for address in (settings.TERMS_URL, settings.PRIVACY_URL)]
    refused = browser.post("/signup", SIGNUP)
    accepted = browser.post("/signup", SIGNUP | {"accepts_terms": "on"})

    assert links == [True, True, True, True]
    assert refused.context["form"].errors == {"accepts_terms": ["This field is required."]}
    assert accepted.url == "/home"  # type: ignore[attr-defined]  # of a redirect
    with tenant_context(Company.objects.get(name="Initech")):
        event = AuditEvent.objects.get(event_type="company.registered")
    assert event.description == "Accepted the terms of use https://terms.example/2"


def test_sign_in_goes_to_the_wanted_page_of_ours(acme: Character, browser: Client) -> None:
    credentials = {"email": "admin@acme.example", "password": PASSWORD, "next": "/agents?q=x"}
    assert browser.post("/login", credentials).url == "/agents?q=x"  # type: ignore[attr-defined]


@pytest.mark.parametrize("is_enabled", [False, True])
def test_sign_in_speaks_of_providers_when_a_company_has_one(acme: Character, browser: Client, is_enabled: bool) -> None:
    SingleSignOn.objects.create(company=acme.company, issuer="https://a.example", client_id="x", is_enabled=is_enabled)
    assert ("Sign in with your company" in browser.get("/login").content.decode()) == is_enabled


def test_time_zones_are_listed_by_region(acme_client: Client) -> None:
    choices = acme_client.get("/account").context["profile_form"].fields["timezone"].choices
    groups = {name: dict(zones) if isinstance(zones, list) else zones for name, zones in choices}
    assert groups["UTC"] == "UTC"
    assert groups["Europe"]["Europe/Berlin"] == "Berlin"
    assert groups["America"]["America/Argentina/Buenos_Aires"] == "Argentina/Buenos Aires"
    assert groups["Others"]["Etc/GMT+3"] == "Etc/GMT+3"
    names = [name for zones in groups.values() if isinstance(zones, dict) for name in zones]
    assert sorted([*names, "UTC"]) == sorted(available_timezones())


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "http:evil"])
def test_sign_in_never_leads_elsewhere(acme: Character, browser: Client, elsewhere: str) -> None:
    credentials = {"email": "admin@acme.example", "password": PASSWORD, "next": elsewhere}
    assert browser.post("/login", credentials).url == "/home"  # type: ignore[attr-defined]


def test_wrong_password_is_told_without_saying_which_part_is_wrong(acme: Character, browser: Client) -> None:
    sentence = {"__all__": ["The e-mail address or the password is not right."]}
    for email in ("admin@acme.example", "nobody@acme.example"):
        response = browser.post("/login", {"email": email, "password": "wrong"})
        assert response.context["form"].errors == sentence


def test_signed_in_people_skip_the_public_pages(acme_client: Client) -> None:
    assert [acme_client.get(path).url for path in ("/", "/login", "/signup")] == ["/home"] * 3  # type: ignore[attr-defined]


def test_signing_out_needs_a_post_and_ends_the_session(acme_client: Client) -> None:
    assert acme_client.get("/logout").status_code == 405
    assert acme_client.post("/logout").url == "/"  # type: ignore[attr-defined]
    assert acme_client.get("/home").status_code == 302


def test_sign_in_is_protected_against_forged_forms(acme: Character) -> None:
    response = Client(enforce_csrf_checks=True).post("/login", {"email": "admin@acme.example", "password": PASSWORD})
    assert (response.status_code, "You may not see this page" in response.content.decode()) == (403, True)


def test_every_page_forbids_inline_code_and_is_not_kept(acme_client: Client) -> None:
    response = acme_client.get("/home")
    assert "script-src 'self'" in response["Content-Security-Policy"]
    assert "no-store" in response["Cache-Control"]
    body = response.content.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>|\son\w+=|\sstyle=", body) == []


# --- API keys -----------------------------------------------------------------------------------------------------


def test_a_new_key_s_secret_is_shown_once_and_works(acme_client: Client) -> None:
    form = {"name": "CI", "scopes": ["read"], "expires_in_days": "30"}
    created = acme_client.post("/api-keys", form)
    secret = created.context["created"]["api_secret"]
    assert "no-store" in created["Cache-Control"]
    assert (secret in created.content.decode(), secret in acme_client.get("/api-keys").content.decode()) == (
        True,
        False,
    )
    headers = {"X-API-Key": created.context["created"]["api_key"], "X-API-Secret": secret}
    assert Client().get("/api/v1/agent", headers=headers).status_code == 200


def test_a_key_needs_a_name_and_a_scope(acme_client: Client) -> None:
    response = acme_client.post("/api-keys", {"expires_in_days": ""})
    assert response.context["form"].errors == {
        "name": ["This field is required."],
        "scopes": ["This field is required."],
    }
    assert "data-open-on-load" in response.content.decode()


def test_people_who_are_no_admins_are_not_offered_admin_keys(acme: Character) -> None:
    acme.admin.role = "user"
    acme.admin.save()
    client = page_client(acme)
    offered = [value for value, _ in client.get("/api-keys").context["form"].fields["scopes"].choices]
    assert offered == ["read", "write", "update", "delete"]
    assert client.post("/api-keys", {"name": "x", "scopes": ["admin"]}).context["created"] is None


def test_revoking_works_on_own_keys_only(acme: Character, acme_client: Client, globex_client: Client) -> None:
    key = create_api_key(actor=acme.principal, name="CI").row
    assert globex_client.post(f"/api-keys/{key.pk}/revoke").status_code == 404
    assert ApiKey.objects.get(pk=key.pk).status == "active"
    response = acme_client.post(f"/api-keys/{key.pk}/revoke")
    assert told(response) == ["The key “CI” was revoked."]
    assert ApiKey.objects.get(pk=key.pk).status == "revoked"


@pytest.mark.parametrize("count", [1, 3])
def test_key_list_queries(
    acme: Character, acme_client: Client, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    for number in range(count):
        create_api_key(actor=acme.principal, name=f"key {number}")
    with django_assert_num_queries(4):  # search path, session, person with company, keys
        assert len(acme_client.get("/api-keys").context["keys"]) == count


# --- Account ------------------------------------------------------------------------------------------------------


def test_profile_is_saved_and_its_time_zone_used(acme: Character, acme_client: Client) -> None:
    form = {"form": "profile", "first_name": "Ann", "last_name": "Lee", "timezone": "Asia/Tokyo"}
    assert acme_client.post("/account", form).url == "/account"  # type: ignore[attr-defined]
    acme.admin.refresh_from_db()
    assert (acme.admin.full_name, acme.admin.timezone) == ("Ann Lee", "Asia/Tokyo")
    session = start_session(user=acme.admin, user_agent="curl/8").session
    type(session).objects.filter(pk=session.pk).update(created_at="2026-01-01T20:30:00Z")
    assert 'title="2 January 2026, 05:30"' in acme_client.get("/account").content.decode()


def test_an_unknown_time_zone_of_an_api_client_does_no_harm(acme: Character, acme_client: Client) -> None:
    User.objects.filter(pk=acme.admin.pk).update(timezone="../etc/passwd")
    assert acme_client.get("/account").status_code == 200


def test_changing_the_password_keeps_this_browser_and_ends_all_else(acme: Character, acme_client: Client) -> None:
    elsewhere, session = page_client(acme), start_session(user=acme.admin).session
    form = {"form": "password", "current_password": PASSWORD}
    form |= dict.fromkeys(("new_password", "new_password_again"), "a-new-horse-battery")
    assert told(acme_client.post("/account", form)) == [
        "Your password was changed. You were signed out everywhere else."
    ]
    session.refresh_from_db()
    assert session.revoked_at is not None
    assert [client.get("/account").status_code for client in (acme_client, elsewhere)] == [200, 302]


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"current_password": "wrong"}, {"current_password": ["Not right."]}),
        ({"new_password_again": "other"}, {"new_password_again": ["The two new passwords differ."]}),
        (
            {"new_password": "password", "new_password_again": "password"},
            {"new_password": ["This password is too common."]},
        ),
    ],
)
def test_a_password_that_cannot_be_changed(
    acme: Character, acme_client: Client, change: dict[str, str], errors: dict[str, list[str]]
) -> None:
    form = {
        "form": "password",
        "current_password": PASSWORD,
        "new_password": "a-new-horse-battery",
        "new_password_again": "a-new-horse-battery",
    }
    assert acme_client.post("/account", form | change).context["password_form"].errors == errors
    acme.admin.refresh_from_db()
    assert acme.admin.check_password(PASSWORD)


def test_sessions_of_apps_can_be_ended_by_their_person_only(
    acme: Character, acme_client: Client, globex_client: Client
) -> None:
    session = start_session(user=acme.admin, user_agent="curl/8").session

    def listed() -> list[tuple[str, str]]:
        return [(row.kind, row.user_agent) for row in acme_client.get("/account").context["sessions"]]

    assert listed() == [("api", "curl/8"), ("browser", "")]
    globex_client.post(f"/account/sessions/{session.pk}/revoke")
    assert listed() == [("api", "curl/8"), ("browser", "")]
    acme_client.post(f"/account/sessions/{session.pk}/revoke")
    assert listed() == [("browser", "")]


def test_colleagues_do_not_see_each_other_s_sessions(acme: Character) -> None:
    colleague = register_company(
        company_name="Hooli", email="g@hooli.example", password=PASSWORD, first_name="G", last_name="B"
    )
    start_session(user=acme.admin)
    client = Client()
    client.force_login(colleague, "tenants.backends.EmailBackend")
    assert principal_of(colleague).is_admin
    assert [row.user for row in client.get("/account").context["sessions"]] == [colleague]
