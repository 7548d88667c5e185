"""The second factor: setting it up, signing in with it through pages, API and admin, and what it withstands."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyotp
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import Settings
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, bearer, enrol, key_client, page_client
from knowrithm.errors import NotFoundError
from tenants.audit.models import AuditEvent, AuditHead
from tenants.audit.services import open_log
from tenants.models import Company, RecoveryCode, TwoFactor, User
from tenants.services import (
    create_user,
    ensure_super_admin,
    reset_two_factor,
    start_session,
)

LOGIN = "/api/v1/auth/login"


def code_of(user: User, *, later: int = 0) -> str:
    """What the person's app shows, `later` steps from now."""
    secret = TwoFactor.objects.get(user=user).secret
    return pyotp.TOTP(secret).at(int(time.time()) + 30 * later)


def credentials(who: Character, **more: str) -> dict[str, str]:
    return {"email": who.admin.email, "password": PASSWORD, **more}


def events(company: Company) -> list[str]:
    with tenant_context(company):
        return list(AuditEvent.objects.order_by("position").values_list("event_type", flat=True))


def require_it(company: Company) -> None:
    Company.objects.filter(pk=company.pk).update(requires_two_factor=True)


# --- Through the API ----------------------------------------------------------------------------------------------


def test_it_is_set_up_through_the_api(acme: Character, acme_api: APIClient) -> None:
    assert acme_api.get("/api/v1/auth/two-factor").json()["two_factor"] == {
        "is_enabled": False, "is_required": False, "recovery_codes_left": 0,
    }  # fmt: skip
    begun = acme_api.post("/api/v1/auth/two-factor")
    assert begun.status_code == 201
    body = begun.json()
    assert pyotp.parse_uri(body["otpauth_url"]).secret == body["secret"]
    assert acme_api.get("/api/v1/auth/user/me").json()["user"]["two_factor_enabled"] is False

    wrong = acme_api.post("/api/v1/auth/two-factor/confirm", {"otp": "000000"})
    right = acme_api.post("/api/v1/auth/two-factor/confirm", {"totp_code": pyotp.TOTP(body["secret"]).now()})

    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["otp"])
    assert right.status_code == 200
    assert len(set(right.json()["recovery_codes"])) == 10
    assert acme_api.get("/api/v1/auth/user/me").json()["user"]["two_factor_enabled"] is True
    assert acme_api.get("/api/v1/auth/two-factor").json()["recovery_codes_left"] == 10
    assert events(acme.company)[-2:] == ["two_factor.set_up_started", "two_factor.enabled"]


@pytest.mark.django_db
def test_secrets_are_not_in_the_database_in_clear(acme: Character) -> None:
    codes = enrol(acme.admin)
    secret = TwoFactor.objects.get(user=acme.admin).secret
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM tenants_twofactor")
        (stored,) = cursor.fetchone()
        cursor.execute("SELECT string_agg(code_hash, ' ') FROM tenants_recoverycode")
        (hashes,) = cursor.fetchone()
    assert secret not in stored
    assert [code for code in codes if code in hashes or code.replace("-", "") in hashes] == []


@pytest.mark.parametrize("name", ["otp", "totp_code", "two_factor_code"])
def test_api_sign_in_asks_for_the_code(acme: Character, anonymous: APIClient, name: str) -> None:
    enrol(acme.admin)

    without = anonymous.post(LOGIN, credentials(acme))
    wrong = anonymous.post(LOGIN, credentials(acme, **{name: "000000"}))
    right = anonymous.post(LOGIN, credentials(acme, **{name: code_of(acme.admin)}))

    assert (without.status_code, without.json()["code"]) == (401, "TWO_FACTOR_REQUIRED")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "TWO_FACTOR_INVALID")
    assert (right.status_code, right.json()["user"]["two_factor_enabled"]) == (200, True)


def test_a_code_is_good_once(acme: Character, anonymous: APIClient) -> None:
    enrol(acme.admin)
    body = credentials(acme, otp=code_of(acme.admin))
    assert [anonymous.post(LOGIN, body).status_code for _ in range(2)] == [200, 401]


def test_an_older_code_is_refused_after_a_newer_one(acme: Character, anonymous: APIClient) -> None:
    enrol(acme.admin)
    newer, older = code_of(acme.admin, later=1), code_of(acme.admin)
    statuses = [anonymous.post(LOGIN, credentials(acme, otp=otp)).status_code for otp in (newer, older)]
    assert statuses == [200, 401]


def test_codes_far_from_now_are_refused(acme: Character, anonymous: APIClient) -> None:
    enrol(acme.admin)
    otp = code_of(acme.admin, later=3)
    assert anonymous.post(LOGIN, credentials(acme, otp=otp)).status_code == 401


def test_a_recovery_code_stands_in_once(acme: Character, anonymous: APIClient) -> None:
    codes = enrol(acme.admin)
    body = credentials(acme, otp=codes[0].upper().replace("-", " "))
    assert [anonymous.post(LOGIN, body).status_code for _ in range(2)] == [200, 401]
    assert RecoveryCode.objects.filter(user=acme.admin, used_at=None).count() == 9
    assert events(acme.company)[-3:] == ["two_factor.recovery_code_used", "user.signed_in", "user.sign_in_failed"]


def test_a_recovery_code_of_somebody_else_is_wrong(acme: Character, globex: Character, anonymous: APIClient) -> None:
    enrol(acme.admin)
    foreign = enrol(globex.admin)[0]
    assert anonymous.post(LOGIN, credentials(acme, otp=foreign)).status_code == 401
    assert RecoveryCode.objects.filter(user=globex.admin, used_at=None).count() == 10


def test_wrong_codes_lock_the_account_and_a_right_password_in_between_does_not_help(
    acme: Character, anonymous: APIClient, settings: Settings
) -> None:
    settings.LOGIN_FAILURE_LIMIT = 3
    enrol(acme.admin)
    statuses = []
    for _ in range(3):
        statuses.append(anonymous.post(LOGIN, credentials(acme, otp="000000")).status_code)
        anonymous.post(LOGIN, credentials(acme))  # the password alone

    assert statuses == [401, 401, 401]
    locked = anonymous.post(LOGIN, credentials(acme, otp=code_of(acme.admin)))
    assert (locked.status_code, locked.json()["code"]) == (423, "ACCOUNT_LOCKED")


@pytest.mark.parametrize("garbage", ["", "0", "é" * 6, "１２３４５６", "x" * 40, "000000000000"])
def test_garbage_is_a_wrong_code(acme: Character, anonymous: APIClient, garbage: str) -> None:
    enrol(acme.admin)
    assert anonymous.post(LOGIN, credentials(acme, otp=garbage)).status_code == 401


@pytest.mark.parametrize("value", ["x" * 41, ["1"], {"a": 1}, "a\0b"])
def test_what_can_be_no_code_is_400(acme: Character, anonymous: APIClient, value: Any) -> None:
    answer = anonymous.post(LOGIN, {**credentials(acme), "otp": value}, format="json")
    assert answer.status_code == 400


def test_switching_off_needs_password_and_code(acme: Character, acme_api: APIClient) -> None:
    enrol(acme.admin)
    acme_api = bearer(acme)
    body = {"password": PASSWORD, "otp": code_of(acme.admin)}

    refused = [
        acme_api.delete("/api/v1/auth/two-factor", {**body, "password": "wrong"}).status_code,
        acme_api.delete("/api/v1/auth/two-factor", {**body, "otp": "000000"}).status_code,
        acme_api.delete("/api/v1/auth/two-factor").status_code,
    ]

    assert refused == [400, 400, 400]
    assert acme_api.delete("/api/v1/auth/two-factor", body).status_code == 200
    assert (TwoFactor.objects.count(), RecoveryCode.objects.count()) == (0, 0)
    assert APIClient().post(LOGIN, credentials(acme)).status_code == 200
    again = acme_api.delete("/api/v1/auth/two-factor", body)
    assert (again.status_code, again.json()["code"]) == (409, "TWO_FACTOR_STATE")


def test_guesses_of_the_password_lock_the_account(acme: Character, acme_api: APIClient, settings: Settings) -> None:
    settings.LOGIN_FAILURE_LIMIT = 3
    enrol(acme.admin)
    api = bearer(acme)
    guesses = [
        api.delete("/api/v1/auth/two-factor", {"password": f"guess-{number}", "otp": "000000"}) for number in range(3)
    ]
    locked = api.delete("/api/v1/auth/two-factor", {"password": PASSWORD, "otp": code_of(acme.admin)})
    assert [answer.status_code for answer in (*guesses, locked)] == [400, 400, 400, 423]
    assert locked.json()["code"] == "ACCOUNT_LOCKED"


def test_switching_off_is_limited_like_a_sign_in(acme: Character, settings: Settings) -> None:
    User.objects.filter(pk=acme.admin.pk).update(email=f"{uuid.uuid4().hex}@acme.example")  # nobody has counted it yet
    acme.admin.refresh_from_db()
    enrol(acme.admin)
    settings.RATE_LIMIT_ENABLED = True
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login_account": "1/day"}
    api, body = bearer(acme), {"password": "guess", "otp": "000000"}
    answers = [api.delete("/api/v1/auth/two-factor", body, REMOTE_ADDR="192.0.2.78") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [400, 429]


def test_renewed_recovery_codes_replace_the_old_ones(acme: Character, anonymous: APIClient) -> None:
    old = enrol(acme.admin)
    answer = bearer(acme).post("/api/v1/auth/two-factor/recovery-codes", {"otp": code_of(acme.admin)})
    new = answer.json()["recovery_codes"]
    statuses = [anonymous.post(LOGIN, credentials(acme, otp=otp)).status_code for otp in (old[0], new[0])]
    assert (len(new), statuses) == (10, [401, 200])


def test_keys_do_not_manage_it(acme: Character) -> None:
    client = key_client(acme, "read", "write", "admin")
    assert client.post("/api/v1/auth/two-factor").status_code == 403


def test_beginning_again_while_it_is_on_is_refused(acme: Character) -> None:
    enrol(acme.admin)
    assert bearer(acme).post("/api/v1/auth/two-factor").json()["code"] == "TWO_FACTOR_STATE"


def test_switching_it_on_ends_the_sessions_that_began_without_it(acme: Character, acme_api: APIClient) -> None:
    browser = page_client(acme)
    enrol(acme.admin)
    assert acme_api.get("/api/v1/user/profile").status_code == 401
    assert browser.get("/account").status_code == 302


def on_its_own_connection(task: Callable[[], Any]) -> Any:
    """What `task` returns. It commits, unlike the test itself, so that other connections see what it writes."""
    try:
        return task()
    finally:
        connection.close()


@pytest.mark.django_db
def test_one_code_opens_one_session_even_at_once() -> None:
    """The same code four times at the same moment: the lock on the person's row lets one in."""

    def make() -> dict[str, str]:
        user = ensure_super_admin(email="race@example.com", password=PASSWORD)
        enrol(user)
        return {"email": user.email, "password": PASSWORD, "otp": code_of(user)}

    def clean_up() -> None:
        user = User.objects.get(email="race@example.com")
        AuditEvent.objects.all().delete()
        AuditHead.objects.all().delete()
        open_log()
        user.delete()

    with ThreadPoolExecutor(4) as threads:
        body = threads.submit(on_its_own_connection, make).result()
        try:
            calls = [
                threads.submit(on_its_own_connection, lambda: APIClient().post(LOGIN, body).status_code)
                for _ in range(4)
            ]
            statuses = [call.result() for call in calls]
        finally:
            threads.submit(on_its_own_connection, clean_up).result()
    assert sorted(statuses) == [200, 401, 401, 401]


# --- Through the pages --------------------------------------------------------------------------------------------


def test_the_pages_ask_for_the_code_after_the_password(acme: Character) -> None:
    enrol(acme.admin)
    browser = Client()
    first = browser.post("/login", {**credentials(acme), "next": "/agents"})
    assert first.url == "/login/code"  # type: ignore[attr-defined]
    assert browser.get("/home").status_code == 302  # not in yet

    wrong = browser.post("/login/code", {"otp": "000000"})
    right = browser.post("/login/code", {"otp": code_of(acme.admin)})

    assert list(wrong.context["form"].errors) == ["__all__"]
    assert right.url == "/agents"  # type: ignore[attr-defined]
    assert browser.get("/home").status_code == 200


def test_the_page_for_the_code_leads_strangers_to_the_password(db: None) -> None:
    assert Client().get("/login/code").url == "/login"  # type: ignore[attr-defined]


@pytest.mark.parametrize("change", ["too late", "password changed", "suspended"])
def test_a_password_given_is_forgotten(acme: Character, change: str) -> None:
    enrol(acme.admin)
    browser = Client()
    browser.post("/login", credentials(acme))
    if change == "too late":
        session = browser.session
        session["pending_sign_in"] = {**session["pending_sign_in"], "at": time.time() - 301}
        session.save()
    elif change == "suspended":
        User.objects.filter(pk=acme.admin.pk).update(status="suspended")
    else:
        acme.admin.set_password("a-new-horse-battery")
        acme.admin.save()
    answer = browser.post("/login/code", {"otp": code_of(acme.admin)})
    assert answer.url == "/login"  # type: ignore[attr-defined]
    assert "_auth_user_id" not in browser.session


def test_it_is_set_up_on_its_page(acme: Character, acme_client: Client) -> None:
    assert acme_client.post("/two-factor", {"form": "begin"}).url == "/two-factor"  # type: ignore[attr-defined]
    page = acme_client.get("/two-factor")
    body = page.content.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>|\son\w+=|\sstyle=|<style", body) == []
    assert "<svg" in page.context["qr_code"]
    assert "no-store" in page["Cache-Control"]
    secret = page.context["set_up"].secret
    assert secret in body

    wrong = acme_client.post("/two-factor", {"form": "confirm", "otp": "000000"})
    right = acme_client.post("/two-factor", {"form": "confirm", "otp": pyotp.TOTP(secret).now()})

    assert list(wrong.context["confirm_form"].errors) == ["otp"]
    codes = right.context["codes"]
    assert (len(codes), [code for code in codes if code not in right.content.decode()]) == (10, [])
    assert acme_client.get("/account").status_code == 200  # this browser stays signed in
    again = acme_client.get("/two-factor").content.decode()
    assert [code for code in codes if code in again] == []
    assert secret not in again

    off = acme_client.post(
        "/two-factor", {"form": "disable", "password": PASSWORD, "otp": code_of(acme.admin, later=1)}
    )
    assert off.url == "/two-factor"  # type: ignore[attr-defined]
    assert acme_client.get("/account").status_code == 200


def test_the_page_keeps_a_stranger_out(db: None) -> None:
    assert Client().get("/two-factor").url == "/login?next=/two-factor"  # type: ignore[attr-defined]


# --- Required by the company --------------------------------------------------------------------------------------


def test_a_company_that_requires_it_leads_its_people_to_it(acme: Character, globex: Character) -> None:
    browser, api, refresh = page_client(acme), bearer(acme), start_session(user=acme.admin).tokens.refresh
    other = page_client(globex)
    require_it(acme.company)

    assert [browser.get(path).url for path in ("/home", "/agents", "/account")] == ["/two-factor"] * 3  # type: ignore[attr-defined]
    fragment = browser.get("/agents", headers={"HX-Request": "true"})
    assert fragment["HX-Redirect"] == "/two-factor"
    answers: list[Any] = [
        api.get("/api/v1/agent"),
        APIClient().post("/api/v1/auth/refresh", {"refresh_token": refresh}),
        APIClient().post(LOGIN, credentials(acme)),
        browser.get("/api/v1/agent"),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (403, "TWO_FACTOR_SETUP_REQUIRED")
    ] * 4
    assert other.get("/home").status_code == 200

    browser.post("/two-factor", {"form": "begin"})
    secret = browser.get("/two-factor").context["set_up"].secret
    browser.post("/two-factor", {"form": "confirm", "otp": pyotp.TOTP(secret).now()})
    assert browser.get("/home").status_code == 200
    signed_in = APIClient().post(LOGIN, credentials(acme, otp=pyotp.TOTP(secret).at(int(time.time()) + 30)))
    assert signed_in.status_code == 200
    assert api.get("/api/v1/agent").status_code == 401  # began with the password alone


def test_requiring_it_ends_the_sessions_of_those_without(acme: Character, acme_client: Client) -> None:
    colleague = create_user(
        actor=acme.principal, email="c@acme.example", username="colleague", password=PASSWORD, first_name="C",
        last_name="D",
    )  # fmt: skip
    without = start_session(user=colleague).session
    enrol(acme.admin)
    having = start_session(user=acme.admin).session
    client = page_client(acme)

    assert client.post("/security", {"form": "policy", "is_required": "on"}).url == "/security"  # type: ignore[attr-defined]

    for session in (without, having):
        session.refresh_from_db()
    assert (without.revoked_at is None, having.revoked_at is None) == (False, True)
    with tenant_context(acme.company):
        event = AuditEvent.objects.get(event_type="company.security_changed")
    assert event.changes == {"requires_two_factor": [False, True]}


# --- Lost ---------------------------------------------------------------------------------------------------------


def test_an_admin_resets_a_colleague_s(acme: Character, globex: Character) -> None:
    colleague = create_user(
        actor=acme.principal, email="c@acme.example", username="colleague", password=PASSWORD, first_name="C",
        last_name="D",
    )  # fmt: skip
    enrol(colleague)
    session = start_session(user=colleague).session
    with pytest.raises(NotFoundError):
        reset_two_factor(actor=globex.principal, user_id=colleague.pk)

    reset_two_factor(actor=acme.principal, user_id=colleague.pk)

    colleague.refresh_from_db()
    session.refresh_from_db()
    assert (colleague.two_factor_enabled, session.revoked_at is None) == (False, False)
    assert events(acme.company)[-1] == "two_factor.reset"


@pytest.mark.django_db
def test_the_command_resets_the_only_super_admin_s(capsys: pytest.CaptureFixture[str]) -> None:
    root = ensure_super_admin(email="root@example.com", password=PASSWORD)
    enrol(root)
    call_command("reset_two_factor", "ROOT@example.com")
    root.refresh_from_db()
    assert root.two_factor_enabled is False
    with pytest.raises(CommandError, match="has no second factor"):
        call_command("reset_two_factor", "root@example.com")
    with pytest.raises(CommandError, match="nobody"):
        call_command("reset_two_factor", "nobody@example.com")


# --- Django admin -------------------------------------------------------------------------------------------------


def test_the_admin_leads_a_super_admin_to_set_it_up_and_then_asks_for_it(db: None) -> None:
    root = ensure_super_admin(email="root@example.com", password=PASSWORD)
    browser = Client()
    assert browser.get("/admin/").url == "/admin/login/?next=/admin/"  # type: ignore[attr-defined]
    form = {"username": root.email, "password": PASSWORD, "next": "/admin/"}
    assert browser.get("/admin/login/").status_code == 200
    assert browser.post("/admin/login/", form).url == "/admin/"  # type: ignore[attr-defined]
    led = browser.get("/admin/tenants/user/", follow=True)
    assert led.redirect_chain[-1] == ("/two-factor", 302)

    browser.post("/two-factor", {"form": "begin"})
    secret = browser.get("/two-factor").context["set_up"].secret
    browser.post("/two-factor", {"form": "confirm", "otp": pyotp.TOTP(secret).now()})
    assert browser.get("/admin/").status_code == 200
    assert browser.get("/admin/tenants/user/").status_code == 200
    assert browser.get("/admin/tenants/emaildomain/").status_code == 200

    elsewhere = Client()
    assert elsewhere.post("/admin/login/", form).url == "/login/code"  # type: ignore[attr-defined]
    assert elsewhere.get("/admin/").status_code == 302
    otp = pyotp.TOTP(secret).at(int(time.time()) + 30)
    assert elsewhere.post("/login/code", {"otp": otp}).url == "/admin/"  # type: ignore[attr-defined]
    assert elsewhere.get("/admin/").status_code == 200


def test_wrong_passwords_in_the_admin_stay_on_its_form(db: None) -> None:
    ensure_super_admin(email="root@example.com", password=PASSWORD)
    answer = Client().post("/admin/login/", {"username": "root@example.com", "password": "wrong"})
    assert (answer.status_code, User.objects.get(email="root@example.com").login_attempts) == (200, 1)


def test_people_of_companies_do_not_enter_the_admin_with_a_second_factor(acme: Character) -> None:
    enrol(acme.admin)
    assert page_client(acme).get("/admin/").url == "/admin/login/?next=/admin/"  # type: ignore[attr-defined]


def test_a_super_admin_resets_a_second_factor_in_the_admin(acme: Character) -> None:
    root = ensure_super_admin(email="root@example.com", password=PASSWORD)
    enrol(root)
    enrol(acme.admin)
    browser = Client()
    browser.force_login(root, "tenants.backends.EmailBackend")
    browser.post("/admin/tenants/user/", {"action": "reset_two_factor", "_selected_action": [str(acme.admin.pk)]})
    acme.admin.refresh_from_db()
    assert acme.admin.two_factor_enabled is False
