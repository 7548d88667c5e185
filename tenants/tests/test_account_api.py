"""One's own sessions and password through the API; what an admin mends of a person; the company's sign-in settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyotp
import pytest
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, bearer, enrol, key_client, page_client, super_admin_in_browser
from tenants import tokens
from tenants.models import Company, ProviderIdentity, SingleSignOn, User, UserSession
from tenants.services import principal_of, start_impersonation, start_session
from tenants.tests.conftest import Deliver, token_in
from tenants.tests.test_people_api import add, events, root
from tenants.tests.test_single_sign_on import confirm_address

__all__ = ["root"]  # a fixture
API = "/api/v1"
OTHER = "another-long-password"


# --- One's own account --------------------------------------------------------------------------------------------


def test_sessions_are_listed_and_ended(acme: Character, globex: Character, acme_client: Client) -> None:
    here, there = bearer(acme), bearer(acme)
    foreign = start_session(user=globex.admin).session
    rows = here.get(f"{API}/auth/sessions").json()["sessions"]
    assert sorted((row["kind"], row["is_current"]) for row in rows) == [
        ("api", False),
        ("api", True),
        ("browser", False),
    ]
    assert here.delete(f"{API}/auth/sessions/{foreign.pk}").status_code == 404
    other = next(row["id"] for row in rows if row["kind"] == "browser")
    assert here.delete(f"{API}/auth/sessions/{other}").status_code == 200
    assert acme_client.get("/home").status_code == 302
    assert here.delete(f"{API}/auth/sessions").json()["sessions_ended"] == 1
    assert [client.get(f"{API}/agent").status_code for client in (here, there)] == [200, 401]
    assert UserSession.objects.get(pk=foreign.pk).revoked_at is None


def test_the_dashboard_s_cookie_is_a_session_too(acme: Character, acme_client: Client) -> None:
    [row] = acme_client.get(f"{API}/auth/sessions").json()["sessions"]
    assert (row["kind"], row["is_current"]) == ("browser", True)
    assert acme_client.delete(f"{API}/auth/sessions").json()["sessions_ended"] == 0
    body = {"current_password": PASSWORD, "new_password": OTHER}
    assert acme_client.post(f"{API}/auth/password", body, content_type="application/json").status_code == 200
    assert acme_client.get("/home").status_code == 200


def test_who_confirms_a_second_factor_by_cookie_stays_signed_in_and_every_other_session_ends(
    acme: Character, acme_client: Client
) -> None:
    elsewhere, by_token = page_client(acme), bearer(acme)

    def post(path: str, body: dict[str, str]) -> Any:
        return acme_client.post(f"{API}/auth/two-factor{path}", body, content_type="application/json").json()

    secret = pyotp.TOTP(post("", {})["secret"])
    confirmed = post("/confirm", {"otp": secret.now()})

    assert len(confirmed["recovery_codes"]) == 10
    assert [client.get("/home").status_code for client in (acme_client, elsewhere)] == [200, 302]
    assert [acme_client.get(f"{API}/agent").status_code, by_token.get(f"{API}/agent").status_code] == [200, 401]
    [left] = acme_client.get(f"{API}/auth/sessions").json()["sessions"]
    assert (left["kind"], left["is_current"]) == ("browser", True)
    assert acme_client.post(f"{API}/auth/logout").status_code == 200
    assert acme_client.get("/home").status_code == 302
    assert UserSession.objects.get(pk=left["id"]).revoked_at is not None


def test_the_password_is_changed(acme: Character, anonymous: APIClient) -> None:
    here, there = bearer(acme), bearer(acme)

    def change(current: str, new: str) -> tuple[int, list[str]]:
        answer = here.post(f"{API}/auth/password", {"current_password": current, "new_password": new})
        return answer.status_code, list(answer.json().get("errors", {}))

    assert change("wrong", OTHER) == (400, ["current_password"])
    assert change(PASSWORD, "12345678") == (400, ["new_password"])
    assert change(PASSWORD, OTHER) == (200, [])
    assert [client.get(f"{API}/agent").status_code for client in (here, there)] == [200, 401]
    login = {"email": acme.admin.email, "password": OTHER}
    assert anonymous.post(f"{API}/auth/login", login).status_code == 200
    key = key_client(acme, "read", "write", "admin", "full_access")
    assert key.post(f"{API}/auth/password", {"current_password": OTHER, "new_password": PASSWORD}).status_code == 403


def test_nobody_who_acts_as_a_person_changes_password_or_address(acme: Character, root: User) -> None:

    session = start_impersonation(actor=principal_of(root), user_id=acme.admin.pk, reason="x")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue_for_impersonator(session)}")
    body = {"current_password": PASSWORD, "new_password": OTHER, "email": "x@acme.example", "password": PASSWORD}
    assert [client.post(f"{API}/auth/{name}", body).status_code for name in ("password", "email")] == [403, 403]
    assert client.put(f"{API}/company/two-factor-policy", {"is_required": True}).status_code == 403


def test_a_forgotten_password_is_reset(
    acme: Character, anonymous: APIClient, mailoutbox: list[EmailMessage], deliver: Deliver
) -> None:
    with deliver():
        answers = [
            anonymous.post(f"{API}/auth/password/forgot", {"email": email})
            for email in (acme.admin.email, "nobody@nowhere.example")
        ]
    assert (answers[0].status_code, answers[0].json()) == (200, answers[1].json())
    [mail] = mailoutbox
    token = token_in(mail, "/password/reset")
    reset = f"{API}/auth/password/reset"
    assert anonymous.post(reset, {"token": token, "password": "123"}).status_code == 400
    assert anonymous.post(reset, {"token": token, "password": OTHER}).status_code == 200
    again = anonymous.post(reset, {"token": token, "password": PASSWORD})
    assert (again.status_code, again.json()["code"]) == (400, "LINK_INVALID")
    assert anonymous.post(f"{API}/auth/login", {"email": acme.admin.email, "password": OTHER}).status_code == 200


# --- Of other people ----------------------------------------------------------------------------------------------


def test_an_admin_unlocks_resets_and_unlinks(acme: Character, acme_api: APIClient) -> None:
    ann = add(acme, "ann", locked_until=timezone.now() + timedelta(hours=1))
    enrol(ann)
    sso = SingleSignOn.objects.create(company=acme.company, issuer="https://login.example", client_id="x")
    ProviderIdentity.objects.create(user=ann, single_sign_on=sso, issuer=sso.issuer, subject="s")
    path = f"{API}/user/{ann.pk}"
    by_ann = bearer(Character(acme.company, ann, acme.agent))
    calls = (("post", "unlock"), ("delete", "two-factor"), ("delete", "single-sign-on"))
    assert [getattr(by_ann, verb)(f"{API}/user/{acme.admin.pk}/{name}").status_code for verb, name in calls] == [
        403, 403, 403,
    ]  # fmt: skip
    assert [getattr(acme_api, verb)(f"{path}/{name}").status_code for verb, name in calls] == [200, 200, 200]
    ann.refresh_from_db()
    assert (ann.is_locked, ann.two_factor_enabled, ProviderIdentity.objects.count()) == (False, False, 0)
    assert [getattr(acme_api, verb)(f"{path}/{name}").status_code for verb, name in calls[1:]] == [409, 409]


def test_a_super_admin_ends_sessions_in_the_admin(acme: Character, root: User) -> None:
    browser, client = super_admin_in_browser(root), bearer(acme)
    mine = UserSession.objects.get(user=acme.admin)
    form = {"action": "end", "_selected_action": [str(mine.pk)]}
    for expected in ("Sessions ended: 1.", "Sessions ended: 0."):
        page = browser.post("/admin/tenants/usersession/", form, follow=True)
        assert expected in page.content.decode()
    assert client.get(f"{API}/agent").status_code == 401
    [event] = events(acme.company, "session.ended")
    assert (event.user_id, event.entity_id) == (root.pk, str(mine.pk))


# --- The company's settings ---------------------------------------------------------------------------------------

SSO: dict[str, Any] = {
    "issuer": "https://login.acme.example", "client_id": "app", "client_secret": "s3cret-7f3a",
    "email_domains": ["acme.example"], "is_enabled": True, "confirms_addresses": True,
}  # fmt: skip


def test_single_sign_on_is_saved_shown_and_removed(acme: Character, acme_api: APIClient) -> None:
    url = f"{API}/company/single-sign-on"
    assert acme_api.get(url).status_code == 404
    refused = acme_api.put(url, SSO, format="json")
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["email_domains"])  # nobody has proved it
    confirm_address(acme)
    saved = acme_api.put(url, SSO, format="json")
    shown = acme_api.get(url)
    assert "s3cret-7f3a" not in saved.content.decode() + shown.content.decode()
    row = shown.json()["single_sign_on"]
    names = ("issuer", "has_client_secret", "email_domains", "default_role", "is_enabled", "creates_users",
             "confirms_addresses", "requires_sso", "redirect_uri")  # fmt: skip
    assert [row[name] for name in names] == [
        "https://login.acme.example", True, ["acme.example"], "user", True, False, True, False,
        "http://localhost:8543/sso/callback",
    ]  # fmt: skip
    assert acme_api.put(url, {**SSO, "is_enabled": False, "requires_sso": True}, format="json").status_code == 400
    key = key_client(acme, "read", "write", "admin", "full_access")
    assert [key.get(url).status_code, key.put(url, SSO, format="json").status_code] == [403, 403]
    assert acme_api.delete(url).status_code == 200
    assert SingleSignOn.objects.count() == 0


@pytest.mark.parametrize(
    ("path", "column", "good", "bad"),
    [
        ("two-factor-policy", "requires_two_factor", {"is_required": True}, {"is_required": "perhaps"}),
        ("audit-retention", "audit_retention_days", {"days": 90}, {"days": 3}),
        ("audit-retention", "audit_retention_days", {"days": None}, {"days": "long"}),
        ("lead-encryption", "encrypts_lead_data", {"is_on": True}, {}),
    ],
)
def test_settings_of_the_company(
    acme: Character, acme_api: APIClient, super_admin_api: APIClient, path: str, column: str, good: Any, bad: Any
) -> None:
    url = f"{API}/company/{path}"
    enrol(acme.admin)
    api = bearer(acme)
    [wanted] = good.values()
    assert api.put(url, bad, format="json").status_code == 400
    assert super_admin_api.put(url, good, format="json").status_code == 403
    assert (
        bearer(Character(acme.company, add(acme, "ann"), acme.agent)).put(url, good, format="json").status_code == 403
    )
    assert api.put(url, good, format="json").status_code == 200
    [name] = good
    assert api.get(url).json()[path.replace("-", "_")][name] == wanted
    assert getattr(Company.objects.get(pk=acme.company.pk), column) == wanted
