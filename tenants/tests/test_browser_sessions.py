"""A cookie is worth what its row in the table of sessions says, at each request."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from conftest import PASSWORD, Character, bearer, page_client
from knowrithm.templatetags.knowrithm import device
from tenants.models import Company, User, UserSession
from tenants.services import ensure_super_admin, start_session

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def test_signing_in_by_the_page_makes_a_row_and_signing_out_ends_it(client: Client, acme: Character) -> None:
    client.post(
        "/login", {"email": acme.admin.email, "password": PASSWORD}, REMOTE_ADDR="203.0.113.7", HTTP_USER_AGENT=FIREFOX
    )
    row = UserSession.objects.get()
    assert (row.user, row.kind, row.ip_address, row.user_agent) == (acme.admin, "browser", "203.0.113.7", FIREFOX)
    page = client.get("/account").content.decode()
    assert ("Firefox on Linux" in page, "This browser" in page, "203.0.113.7" in page) == (True, True, True)

    client.post("/logout")
    row.refresh_from_db()
    assert (row.revoked_at is None, client.get("/home").status_code) == (False, 302)


def test_django_admin_s_sign_in_has_a_row_too(client: Client, db: None) -> None:
    ensure_super_admin(email="root@example.com", password=PASSWORD)
    client.post("/admin/login/?next=/admin/", {"username": "root@example.com", "password": PASSWORD})
    assert UserSession.objects.get().kind == "browser"
    assert client.get("/two-factor").status_code == 200  # what a super admin is led to first
    UserSession.objects.update(revoked_at=timezone.now())
    assert client.get("/two-factor").status_code == 302


@pytest.mark.parametrize("end", ["revoked", "expired", "deleted", "suspended", "company", "must reset", "password"])
def test_a_cookie_ends_at_once_with_what_it_rests_on(acme: Character, acme_client: Client, end: str) -> None:
    assert acme_client.get("/home").status_code == 200
    if end == "revoked":
        UserSession.objects.update(revoked_at=timezone.now())
    elif end == "expired":
        UserSession.objects.update(expires_at=timezone.now())
    elif end == "deleted":
        UserSession.objects.all().delete()
    elif end == "suspended":
        User.objects.filter(pk=acme.admin.pk).update(status="suspended")
    elif end == "company":
        Company.objects.filter(pk=acme.company.pk).update(is_active=False)
    elif end == "must reset":
        User.objects.filter(pk=acme.admin.pk).update(must_reset_password=True)
    else:  # as `manage.py changepassword` does it
        acme.admin.set_password("another-horse-battery")
        acme.admin.save()
    assert acme_client.get("/home").status_code == 302
    assert acme_client.get("/api/v1/auth/user/me").status_code == 401


@pytest.mark.parametrize("session_id", ["", "nonsense", "00000000-0000-4000-8000-000000000000", "api's"])
def test_a_cookie_that_names_no_session_of_a_browser_is_nobody_s(
    acme: Character, acme_client: Client, session_id: str
) -> None:
    """Also one from before there were such rows, and one that names a session of the API."""
    session = acme_client.session
    session["session_id"] = str(start_session(user=acme.admin).session.id) if session_id == "api's" else session_id
    session.save()
    assert acme_client.get("/home").status_code == 302


def test_a_browser_can_be_signed_out_from_another(acme: Character, acme_client: Client) -> None:
    other = page_client(acme)
    [row] = [one for one in UserSession.objects.all() if str(one.pk) == other.session["session_id"]]
    acme_client.post(f"/account/sessions/{row.pk}/revoke")
    assert (other.get("/home").status_code, acme_client.get("/home").status_code) == (302, 200)


def test_all_others_can_be_signed_out_at_once(acme: Character, globex_client: Client, acme_client: Client) -> None:
    other, api = page_client(acme), bearer(acme)
    assert acme_client.post("/account/sessions/revoke-others").headers["Location"] == "/account"
    assert [client.get("/account").status_code for client in (acme_client, other, globex_client)] == [200, 302, 200]
    assert api.get("/api/v1/auth/user/me").status_code == 401


def test_signing_in_again_in_a_browser_ends_its_former_session(acme: Character, acme_client: Client) -> None:
    acme_client.force_login(acme.admin, "tenants.backends.EmailBackend")
    assert [row.revoked_at is None for row in UserSession.objects.order_by("created_at")] == [False, True]


def test_being_seen_is_written_once_a_minute(acme_client: Client) -> None:
    seen = UserSession.objects.get().last_seen_at
    acme_client.get("/home")
    assert UserSession.objects.get().last_seen_at == seen
    UserSession.objects.update(last_seen_at=seen - timedelta(minutes=2))
    acme_client.get("/home")
    assert UserSession.objects.get().last_seen_at > seen


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5", "curl/8.5"),
        ("", "Unknown app"),
    ],
)
def test_devices_are_named_in_words(user_agent: str, name: str) -> None:
    assert device(user_agent) == name
