"""Forgotten, forced and changed passwords, and the lock-out."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone
from django_tenants.utils import tenant_context
from pytest_django import Settings
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, bearer, key_client, page_client, super_admin_in_browser
from knowrithm.errors import ForbiddenError, InvalidInputError, NotFoundError
from tenants.audit.models import AuditEvent
from tenants.enums import Letter
from tenants.exceptions import InvalidLinkError
from tenants.jobs import mail_link
from tenants.models import PasswordReset, User
from tenants.passwords import check_new_password
from tenants.services import (
    ensure_super_admin,
    force_password_reset,
    principal_of,
    reset_password,
    start_session,
    unlock_user,
)
from tenants.tests.conftest import Deliver, token_in

Mails = list[EmailMessage]
NEW = "a-new-horse-battery"
SIGN_IN = {"email": "admin@acme.example", "password": PASSWORD}


@pytest.fixture
def token(acme: Character, mailoutbox: Mails) -> str:
    """Of a fresh reset link for acme's admin."""
    mail_link(Letter.RESET_PASSWORD, acme.admin.id)
    return token_in(mailoutbox[-1], "/password/reset")


@pytest.fixture
def root(db: None) -> User:
    return ensure_super_admin(email="root@example.com", password=PASSWORD)


def last_event(who: Character) -> AuditEvent:
    with tenant_context(who.company):
        return AuditEvent.objects.latest("position")


# --- Forgotten ----------------------------------------------------------------------------------------------------


def test_forgetting_mails_a_link_and_tells_everybody_the_same(
    client: Client, acme: Character, mailoutbox: Mails, deliver: Deliver
) -> None:
    pages = []
    with deliver():
        for email in ("admin@acme.example", "nobody@nowhere.example"):
            answer = client.post("/password/forgot", {"email": email})
            assert answer.status_code == 200
            pages.append(answer.content.decode().replace(email, "X").replace(client.cookies["csrftoken"].value, ""))
    assert [page.count("If there is an account for X") for page in pages] == [1, 1]
    assert [mail.to for mail in mailoutbox] == [["admin@acme.example"]]
    assert token_in(mailoutbox[0], "/password/reset") not in PasswordReset.objects.get().token_hash


def test_the_link_changes_the_password_and_ends_everything(acme: Character, client: Client, token: str) -> None:
    api, browser = bearer(acme), page_client(acme)
    User.objects.filter(pk=acme.admin.pk).update(locked_until=timezone.now() + timedelta(minutes=9), login_attempts=3)
    page = client.get("/password/reset", {"token": token})
    assert (acme.admin.email in page.content.decode(), page["Referrer-Policy"]) == (True, "same-origin")

    answer = client.post("/password/reset", {"token": token, "password": NEW, "password_again": NEW})

    assert answer.headers["Location"] == "/login"
    assert (api.get("/api/v1/auth/user/me").status_code, browser.get("/home").status_code) == (401, 302)
    event = last_event(acme)
    signed_in = client.post("/login", {"email": acme.admin.email, "password": NEW})
    assert signed_in.headers["Location"] == "/home"
    acme.admin.refresh_from_db()
    assert (acme.admin.locked_until, acme.admin.login_attempts, acme.admin.email_verified) == (None, 0, True)
    assert (event.event_type, event.risk_level, event.changes) == ("user.password_reset", "medium", {})


@pytest.mark.parametrize("death", ["used", "expired", "password changed", "sealed"])
def test_a_reset_link_is_good_once_for_an_hour_and_for_this_password(
    acme: Character, client: Client, token: str, death: str
) -> None:
    if death == "used":
        reset_password(token=token, password=NEW)
    elif death == "expired":
        assert PasswordReset.objects.get().expires_at - timezone.now() < timedelta(hours=1)
        PasswordReset.objects.update(expires_at=timezone.now())
    elif death == "password changed":  # past our services, as `manage.py changepassword` does
        acme.admin.set_password("another-horse-battery")
        acme.admin.save()
    else:
        token = token.swapcase()
    before = User.objects.get(pk=acme.admin.pk).password

    assert "This link no longer works" in client.get("/password/reset", {"token": token}).content.decode()
    form = {"token": token, "password": "third-horse-battery", "password_again": "third-horse-battery"}
    assert "This link no longer works" in client.post("/password/reset", form).content.decode()
    assert User.objects.get(pk=acme.admin.pk).password == before


def test_of_two_links_the_second_dies_with_the_first(acme: Character, mailoutbox: Mails, token: str) -> None:
    mail_link(Letter.RESET_PASSWORD, acme.admin.id)
    reset_password(token=token, password=NEW)
    with pytest.raises(InvalidLinkError):
        reset_password(token=token_in(mailoutbox[-1], "/password/reset"), password="third-horse-battery")


@pytest.mark.parametrize(
    ("password", "again", "errors"),
    [
        (NEW, "other", {"password_again": ["The two passwords differ."]}),
        (PASSWORD, PASSWORD, {"password": ["This is the present password. Choose another one."]}),
        ("password", "password", {"password": ["This password is too common."]}),
    ],
)
def test_a_refused_password_leaves_the_link_good(
    client: Client, token: str, password: str, again: str, errors: dict[str, list[str]]
) -> None:
    answer = client.post("/password/reset", {"token": token, "password": password, "password_again": again})
    assert (answer.status_code, answer.context["form"].errors) == (200, errors)
    answer = client.post("/password/reset", {"token": token, "password": NEW, "password_again": NEW})
    assert answer.headers["Location"] == "/login"


# --- Rules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("short", "This password is too short. It must contain at least 8 characters."),
        ("x1" * 101, "A password has at most 200 characters."),
        ("password123", "This password is too common."),
        ("83920174659", "This password is entirely numeric."),
        ("admin@acme.example", "The password is too similar to the email."),
        (PASSWORD, "This is the present password. Choose another one."),
    ],
)
def test_what_a_password_may_not_be(acme: Character, password: str, fault: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_new_password(password, acme.admin)
    assert caught.value.fields["password"][0] == fault


@pytest.mark.parametrize("password", ["x1" * 100, NEW, "päßwörter sind schön 漢字"])
def test_what_a_password_may_be(acme: Character, password: str) -> None:
    check_new_password(password, acme.admin)


@pytest.mark.parametrize("path", ["/signup", "/account"])
def test_forms_show_the_rules(acme_client: Client, client: Client, path: str) -> None:
    page = (client if path == "/signup" else acme_client).get(path).content.decode()
    assert page.count("8 to 200 characters: no common password") == 1


# --- Forced -------------------------------------------------------------------------------------------------------


def test_a_forced_reset_signs_out_everywhere_and_says_why(
    acme: Character, anonymous: APIClient, client: Client, mailoutbox: Mails, deliver: Deliver
) -> None:
    api, browser, by_key = bearer(acme), page_client(acme), key_client(acme, "admin")
    refresh = anonymous.post("/api/v1/auth/login", SIGN_IN).json()["refresh_token"]

    with deliver():
        answer = by_key.post(f"/api/v1/user/{acme.admin.id}/force-password-reset")

    assert (answer.status_code, list(answer.json())) == (200, ["message"])
    assert (api.get("/api/v1/auth/user/me").status_code, browser.get("/home").status_code) == (401, 302)
    assert anonymous.post("/api/v1/auth/refresh", {"refresh_token": refresh}).status_code == 401
    refused = anonymous.post("/api/v1/auth/login", SIGN_IN)
    assert (refused.status_code, refused.json()["code"]) == (403, "PASSWORD_RESET_REQUIRED")
    wrong = anonymous.post("/api/v1/auth/login", {**SIGN_IN, "password": "wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "INVALID_CREDENTIALS")
    page = client.post("/login", SIGN_IN)
    assert page.context["form"].errors["__all__"][0].startswith("Your password has to be changed")
    with tenant_context(acme.company):
        assert AuditEvent.objects.get(event_type="user.forced_reset_mailed").entity_id == str(acme.admin.id)

    reset_password(token=token_in(mailoutbox[-1], "/password/reset"), password=NEW)
    assert anonymous.post("/api/v1/auth/login", {**SIGN_IN, "password": NEW}).status_code == 200


def test_a_forced_reset_is_in_the_company_s_log_with_its_actor(acme: Character) -> None:
    force_password_reset(actor=acme.principal, user=acme.admin)
    event = last_event(acme)
    assert (event.event_type, event.actor_id, event.entity_id, event.risk_level, event.changes) == (
        "user.password_reset_forced", acme.admin.id, str(acme.admin.id), "high", {"must_reset": [False, True]},
    )  # fmt: skip


def test_a_super_admin_forces_and_unlocks_anybody(acme: Character, root: User) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {start_session(user=root).tokens.access}")
    assert client.post(f"/api/v1/user/{acme.admin.id}/force-password-reset").status_code == 200
    acme.admin.refresh_from_db()
    assert (acme.admin.must_reset_password, last_event(acme).actor_label) == (True, "root@example.com")
    unlock_user(actor=principal_of(root), user=acme.admin)
    assert last_event(acme).event_type == "user.unlocked"


@pytest.mark.parametrize("service", [force_password_reset, unlock_user])
def test_nobody_else_governs(acme: Character, globex: Character, root: User, service: object) -> None:
    assert callable(service)
    for user in (acme.admin, root):
        with pytest.raises(NotFoundError):
            service(actor=globex.principal, user=user)
    User.objects.filter(pk=acme.admin.pk).update(role="user")
    acme.admin.refresh_from_db()
    with pytest.raises(ForbiddenError):
        service(actor=acme.principal, user=acme.admin)
    assert bearer(acme).post(f"/api/v1/user/{acme.admin.id}/force-password-reset").status_code == 403


# --- Lock-out -----------------------------------------------------------------------------------------------------


def test_a_lock_says_when_to_come_back_and_ends_by_time_or_by_an_admin(
    acme: Character, globex: Character, anonymous: APIClient, client: Client, settings: Settings
) -> None:
    settings.LOGIN_FAILURE_LIMIT, settings.LOGIN_LOCK_MINUTES = 2, 15

    def lock() -> None:
        for _ in range(2):
            anonymous.post("/api/v1/auth/login", {**SIGN_IN, "password": "wrong"})

    lock()
    refused = anonymous.post("/api/v1/auth/login", SIGN_IN)
    assert (refused.status_code, refused.json()["code"]) == (423, "ACCOUNT_LOCKED")
    assert 890 < int(refused.headers["Retry-After"]) <= 900
    sentence = "This account is locked after too many failed attempts. Try again in 15 minutes, or reset your password."
    assert refused.json()["message"] == sentence
    assert client.post("/login", SIGN_IN).context["form"].errors == {"__all__": [sentence]}

    User.objects.filter(pk=acme.admin.pk).update(locked_until=timezone.now())
    assert anonymous.post("/api/v1/auth/login", SIGN_IN).status_code == 200

    lock()
    assert anonymous.post("/api/v1/auth/login", SIGN_IN).status_code == 423
    acme.admin.refresh_from_db()
    unlock_user(actor=acme.principal, user=acme.admin)
    assert anonymous.post("/api/v1/auth/login", SIGN_IN).status_code == 200


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("suspended", "Your account is suspended. Ask an admin of your company."),
        ("inactive", "Your account is inactive. Ask an admin of your company."),
    ],
)
def test_the_sign_in_page_says_why_to_who_knows_the_password_only(
    acme: Character, client: Client, status: str, sentence: str
) -> None:
    User.objects.filter(pk=acme.admin.pk).update(status=status)
    assert client.post("/login", SIGN_IN).context["form"].errors == {"__all__": [sentence]}
    wrong = client.post("/login", {**SIGN_IN, "password": "wrong"})
    assert wrong.context["form"].errors == {"__all__": ["The e-mail address or the password is not right."]}


def test_super_admins_unlock_and_force_resets_in_django_admin(acme: Character, root: User) -> None:
    client = super_admin_in_browser(root)
    User.objects.filter(pk=acme.admin.pk).update(locked_until=timezone.now() + timedelta(minutes=9))
    for action in ("unlock", "force_password_reset"):
        answer = client.post("/admin/tenants/user/", {"action": action, "_selected_action": [str(acme.admin.pk)]})
        assert answer.status_code == 302
    acme.admin.refresh_from_db()
    assert (acme.admin.locked_until, acme.admin.must_reset_password) == (None, True)
    event = last_event(acme)
    assert (event.event_type, event.actor_label) == ("user.password_reset_forced", "root@example.com")


# --- The password of somebody who is signed in --------------------------------------------------------------------

CHANGE = {"form": "password", "new_password": NEW, "new_password_again": NEW}


def test_guesses_of_a_stolen_session_lock_the_account(acme: Character, acme_client: Client, settings: Settings) -> None:
    settings.LOGIN_FAILURE_LIMIT = 3
    for number in range(3):
        answer = acme_client.post("/account", {**CHANGE, "current_password": f"guess-{number}"})
        assert answer.context["password_form"].errors["current_password"] == ["Not right."]
    locked = acme_client.post("/account", {**CHANGE, "current_password": PASSWORD})
    [said] = locked.context["password_form"].non_field_errors()
    assert said.startswith("This account is locked after too many failed attempts.")
    acme.admin.refresh_from_db()
    assert (acme.admin.is_locked, acme.admin.check_password(PASSWORD)) == (True, True)
    with tenant_context(acme.company):
        told = AuditEvent.objects.order_by("position").values_list("event_type", flat=True)
        assert list(told) == ["user.sign_in_failed", "user.sign_in_failed", "user.locked"]


def test_guesses_of_a_stolen_session_are_limited(acme: Character, acme_client: Client, settings: Settings) -> None:
    settings.RATE_LIMIT_ENABLED = True
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login_account": "1/day"}
    User.objects.filter(pk=acme.admin.pk).update(email=f"{uuid.uuid4().hex}@acme.example")  # nobody has counted it yet
    sent = {**CHANGE, "current_password": "guess"}
    first, second = (acme_client.post("/account", sent, REMOTE_ADDR="192.0.2.77") for _ in range(2))
    assert first.context["password_form"].errors["current_password"] == ["Not right."]
    assert second.context["password_form"].non_field_errors()[0].startswith("Too many requests.")
