"""A super admin acts as a person: with a token, in the browser, and never as themselves."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, key_client, super_admin_in_browser
from tenants.enums import SessionKind
from tenants.models import Company, User, UserSession
from tenants.services import create_api_key, principal_of, start_impersonation
from tenants.tasks import end_impersonations
from tenants.tests.test_people_api import API, add, client_of, events, root, root_api

__all__ = ["root", "root_api"]  # fixtures


def acting(root_api: APIClient, user: User, **body: Any) -> APIClient:
    client = APIClient()
    token = root_api.post(f"{API}/user/{user.id}/impersonate", body).json()["access_token"]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_the_token_works_as_the_person_and_says_until_when(acme: Character, root_api: APIClient) -> None:
    answer = root_api.post(f"{API}/user/{acme.admin.id}/impersonate")
    body = answer.json()
    assert (answer.status_code, body["token"], body["token_type"], body["expires_in"]) == (
        200,
        body["access_token"],
        "Bearer",
        900,
    )
    assert (body["user"]["id"], "refresh_token" in body) == (str(acme.admin.id), False)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {body['token']}")
    assert client.get(f"{API}/auth/user/me").json()["user"]["email"] == "admin@acme.example"
    assert client.post(f"{API}/auth/refresh").status_code == 401
    acme.admin.refresh_from_db()
    assert acme.admin.last_login is None  # nobody of the company has signed in


def test_nobody_else_may(acme: Character, acme_api: APIClient, root: User, root_api: APIClient) -> None:
    ann = add(acme, "ann")
    path = f"{API}/user/{ann.id}/impersonate"
    for client in (acme_api, client_of(ann), key_client(acme, "admin", "full_access")):
        assert client.post(path).status_code == 403
    assert APIClient().post(path).status_code == 401
    other = User.objects.create_superuser("second@example.org", "a-long-enough-password")
    assert root_api.post(f"{API}/user/{other.id}/impersonate").status_code == 403
    User.objects.filter(pk=ann.pk).update(status="suspended")
    assert root_api.post(path).status_code == 409
    assert not UserSession.objects.exclude(impersonator=None).exists()


def test_what_must_not_be_done_as_somebody_else(acme: Character, root_api: APIClient) -> None:
    client = acting(root_api, acme.admin)
    ann = add(acme, "ann")
    made = client.post(f"{API}/auth/api-keys", {"name": "mine"})
    assert (made.status_code, made.json()["code"]) == (403, "IMPERSONATING")
    assert client.post(f"{API}/user/{ann.id}/impersonate").status_code == 403
    assert client.get(f"{API}/auth/api-keys").json()["api_keys"] == []


def test_keys_and_the_second_factor_are_left_alone(acme: Character, root_api: APIClient) -> None:
    key = create_api_key(actor=acme.principal, name="theirs").row
    client = acting(root_api, acme.admin)
    for answer in (
        client.patch(f"{API}/auth/api-keys/{key.id}", {"name": "mine"}),
        client.post(f"{API}/auth/api-keys/{key.id}/rotate"),
        client.post(f"{API}/auth/two-factor"),
        client.post(f"{API}/auth/two-factor/confirm", {"otp": "000000"}),
        client.post(f"{API}/auth/two-factor/recovery-codes", {"otp": "000000"}),
        client.delete(f"{API}/auth/two-factor", {"otp": "000000"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "IMPERSONATING")
    key.refresh_from_db()
    assert (key.name, key.rotated_at) == ("theirs", None)
    assert client.get(f"{API}/auth/two-factor").status_code == 200


def test_what_the_company_asks_of_its_people_is_not_asked_of_support(
    acme: Character, browser: Client, root_api: APIClient
) -> None:
    ann = add(acme, "ann")
    own = client_of(ann)
    Company.objects.filter(pk=acme.company.pk).update(requires_two_factor=True, requires_sso=True)
    client = acting(root_api, ann)
    assert (own.get(f"{API}/agent").status_code, client.get(f"{API}/agent").status_code) == (403, 200)
    act(browser, ann)
    assert browser.get("/agents").status_code == 200
    assert browser.get("/api/v1/agent").status_code == 200
    Company.objects.filter(pk=acme.company.pk).update(is_active=False)  # but this is
    assert client.get(f"{API}/agent").status_code == 401
    assert browser.get("/agents").headers["Location"] == "/admin/"


def test_the_company_sees_who_it_was(acme: Character, root: User, root_api: APIClient) -> None:
    client = acting(root_api, acme.admin, reason="Ticket 12")
    assert client.patch(f"{API}/config", {"config_key": "k", "config_value": 1}).status_code == 200
    assert client.post(f"{API}/auth/logout").status_code == 200
    assert client.get(f"{API}/auth/user/me").status_code == 401
    begin, change, end = events(acme.company)
    assert [(row.event_type, row.risk_level) for row in (begin, change, end)] == [
        ("user.impersonation_started", "high"),
        ("config.updated", "medium"),
        ("user.impersonation_ended", "high"),
    ]
    assert (begin.actor_label, begin.entity_id) == ("root@example.org", str(acme.admin.id))
    assert begin.changes["reason"] == [None, "Ticket 12"]
    assert begin.description.endswith("Reason: Ticket 12")
    for row in (change, end):
        assert (row.actor_label, row.impersonator_label, row.impersonator_id) == (
            "admin@acme.example",
            "root@example.org",
            root.id,
        )


@pytest.mark.parametrize(
    "change",
    [
        lambda session: UserSession.objects.filter(pk=session.pk).update(revoked_at=timezone.now()),
        lambda session: UserSession.objects.filter(pk=session.pk).update(expires_at=timezone.now()),
        lambda session: UserSession.objects.filter(pk=session.pk).update(impersonator=None),
        lambda session: User.objects.filter(pk=session.impersonator_id).update(status="suspended"),
        lambda session: User.objects.filter(pk=session.impersonator_id).update(
            role="admin", company=session.user.company
        ),
        lambda session: User.objects.filter(pk=session.user_id).update(status="suspended"),
        lambda session: User.objects.filter(pk=session.user_id).update(role="super_admin", company=None),
    ],
    ids=["revoked", "over", "rebound", "suspended", "demoted", "person suspended", "person promoted"],
)
def test_it_ends_at_once(acme: Character, root_api: APIClient, change: Any) -> None:
    client = acting(root_api, acme.admin)
    assert client.get(f"{API}/agent").status_code == 200
    change(UserSession.objects.select_related("user__company").exclude(impersonator=None).get())
    assert client.get(f"{API}/agent").status_code == 401


def ends(acme: Character) -> list[tuple[str, str]]:
    """Who has ended what, by the company's log."""
    rows = [row for row in events(acme.company) if row.event_type == "user.impersonation_ended"]
    return [(row.actor_kind, row.actor_label) for row in rows]


def test_whoever_signs_out_everywhere_else_ends_it_with_a_row(
    acme: Character, acme_client: Client, root_api: APIClient
) -> None:
    client = acting(root_api, acme.admin)
    acme_client.post("/account/sessions/revoke-others")
    assert client.get(f"{API}/agent").status_code == 401
    assert ends(acme) == [("user", acme.admin.email)]
    assert events(acme.company)[-1].event_type == "user.signed_out_elsewhere"


def test_the_person_ends_it_in_the_list_of_sessions(acme: Character, acme_client: Client, root_api: APIClient) -> None:
    acting(root_api, acme.admin)
    session = UserSession.objects.exclude(impersonator=None).get()
    acme_client.post(f"/account/sessions/{session.pk}/revoke")
    assert ends(acme) == [("user", acme.admin.email)]
    assert [row for row in events(acme.company) if row.event_type == "session.ended"] == []


def test_beat_ends_what_has_had_its_time(acme: Character, root_api: APIClient) -> None:
    acting(root_api, acme.admin)
    end_impersonations()
    assert ends(acme) == []  # it is not over
    UserSession.objects.exclude(impersonator=None).update(expires_at=timezone.now())
    for _ in range(2):
        end_impersonations()
    assert ends(acme) == [("system", "")]


# --- In the browser -----------------------------------------------------------------------------------------------


@pytest.fixture
def browser(root: User) -> Client:
    return super_admin_in_browser(root)


def act(browser: Client, user: User, reason: str = "Ticket 12") -> Any:
    return browser.post(f"/admin/tenants/user/{user.id}/act-as/", {"reason": reason})


def test_the_admin_asks_for_a_reason_and_every_page_shows_the_banner(acme: Character, browser: Client) -> None:
    page = browser.get(f"/admin/tenants/user/{acme.admin.id}/change/").content.decode()
    assert f"/admin/tenants/user/{acme.admin.id}/act-as/" in page
    assert "15 minutes" in browser.get(f"/admin/tenants/user/{acme.admin.id}/act-as/").content.decode()
    assert act(browser, acme.admin, reason=" ").status_code == 200
    assert events(acme.company) == []

    assert act(browser, acme.admin).headers["Location"] == "/home"
    until = timezone.localtime(UserSession.objects.exclude(impersonator=None).get().expires_at)
    for path in ("/home", "/agents", "/documents", "/people", "/api-keys", "/account", f"/agents/{acme.agent.id}/chat"):
        text = re.sub(r"<[^>]+>", "", browser.get(path).content.decode())
        assert f"You are acting as Acme Admin of Acme until {until:%H:%M}." in text, path
    assert browser.get("/admin/").status_code == 200  # there the super admin is themselves


def test_what_is_done_in_the_browser_carries_both_names(acme: Character, browser: Client) -> None:
    act(browser, acme.admin)
    ann = add(acme, "ann")
    browser.post(f"/people/{ann.id}/status", {"status": "suspended"})
    token = browser.get("/api/v1/auth/user/me").json()["user"]["email"]  # the pages' scripts call the API by cookie
    assert token == "admin@acme.example"
    answer = browser.post("/acting/stop")
    assert answer.headers["Location"] == f"/admin/tenants/user/{acme.admin.id}/change/"
    rows = [row for row in events(acme.company) if row.event_type != "user.created"]
    assert [(row.event_type, row.impersonator_label) for row in rows] == [
        ("user.impersonation_started", ""),
        ("user.status_changed", "root@example.org"),
        ("user.impersonation_ended", "root@example.org"),
    ]
    assert browser.get("/agents").headers["Location"] == "/admin/"  # a super admin has no dashboard
    assert browser.get("/api/v1/auth/user/me").json()["user"]["email"] == "root@example.org"


def test_secrets_of_the_person_are_safe_in_the_browser_too(acme: Character, browser: Client) -> None:
    act(browser, acme.admin)
    new = "another-long-password"
    body = {"form": "password", "current_password": PASSWORD, "new_password": new, "new_password_again": new}
    assert "act as somebody else" in browser.post("/account", body).content.decode()
    assert "act as somebody else" in browser.post("/api-keys", {"name": "x", "scopes": ["read"]}).content.decode()
    assert browser.get("/two-factor").status_code == 403  # it would show the secret of what is being set up
    assert "act as somebody else" in browser.post("/security", {"form": "remove"}, follow=True).content.decode()
    page = browser.post("/security", {"form": "policy", "is_required": "on"}, follow=True).content.decode()
    assert "act as somebody else" in page
    acme.admin.refresh_from_db()
    acme.company.refresh_from_db()
    assert acme.admin.check_password(PASSWORD)
    assert acme.company.requires_two_factor is False
    assert not acme.company.api_keys.exists()


def test_a_browser_s_row_is_what_acts(acme: Character, browser: Client) -> None:
    act(browser, acme.admin)
    row = UserSession.objects.exclude(impersonator=None).get()
    assert (row.kind, row.user, row.revoked_at) == ("browser", acme.admin, None)
    browser.post("/admin/logout/")
    row.refresh_from_db()
    assert row.revoked_at is not None


def test_time_ends_it_in_the_browser(acme: Character, browser: Client) -> None:
    act(browser, acme.admin)
    UserSession.objects.exclude(impersonator=None).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert browser.get("/agents").headers["Location"] == "/admin/"
    assert browser.get("/agents").headers["Location"] == "/admin/"
    assert [row.event_type for row in events(acme.company)] == [
        "user.impersonation_started",
        "user.impersonation_ended",
    ]


def test_signing_out_and_acting_as_the_next_one_end_it(acme: Character, globex: Character, browser: Client) -> None:
    act(browser, acme.admin)
    act(browser, globex.admin)
    assert [row.event_type for row in events(acme.company)][-1] == "user.impersonation_ended"
    browser.post("/logout")
    assert [row.event_type for row in events(globex.company)][-1] == "user.impersonation_ended"
    assert browser.get("/agents").headers["Location"].startswith("/login")


def test_a_forged_browser_session_acts_as_nobody(
    acme: Character, globex: Character, root: User, acme_client: Client
) -> None:
    """The id of somebody else's impersonation in one's own session opens nothing."""
    made = start_impersonation(actor=principal_of(root), user_id=globex.admin.id, kind=SessionKind.BROWSER)
    session = acme_client.session
    session["impersonation"] = str(made.id)
    session.save()
    page = acme_client.get("/agents").content.decode()
    assert ("Acme helper" in page, "Globex helper" in page) == (True, False)
