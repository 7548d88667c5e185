"""Proving an e-mail address: by the API, by the page, and who is asked to."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tenants.utils import tenant_context
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings
from rest_framework.test import APIClient

from conftest import PASSWORD, Character
from tenants.audit.models import AuditEvent
from tenants.enums import Letter
from tenants.jobs import mail_link
from tenants.models import EmailVerification, User
from tenants.services import request_password_reset, request_verification
from tenants.tests.conftest import Deliver, token_in

Mails = list[EmailMessage]


@pytest.fixture
def token(acme: Character, mailoutbox: Mails) -> str:
    """Of a fresh verification link for acme's admin."""
    mail_link(Letter.VERIFY_EMAIL, acme.admin.id)
    return token_in(mailoutbox[-1], "/verify-email")


def is_verified(who: Character) -> bool:
    return User.objects.get(pk=who.admin.pk).email_verified


@pytest.mark.django_db  # before the mailbox: setting up the database renews it
def test_signing_up_mails_a_link_that_works_once(anonymous: APIClient, mailoutbox: Mails, deliver: Deliver) -> None:
    body = {"company_name": "Initech", "email": "peter@initech.example", "first_name": "Peter", "last_name": "G"}
    with deliver():
        assert anonymous.post("/api/v1/auth/register", {**body, "password": PASSWORD}).status_code == 201
    [mail] = mailoutbox
    token = token_in(mail, "/verify-email")
    assert (mail.to, token in EmailVerification.objects.get().token_hash) == (["peter@initech.example"], False)

    first = anonymous.post("/api/v1/verify", {"token": token})
    second = anonymous.post("/api/v1/verify", {"token": token})

    assert (first.status_code, first.json()) == (200, {"message": "Your e-mail address is confirmed."})
    assert (second.status_code, second.json()["code"]) == (400, "LINK_INVALID")
    assert User.objects.get(email="peter@initech.example").email_verified


@pytest.mark.parametrize("bad", ["bad", "", "x" * 10_000, "\0", "ü", None, ["x"], {"a": 1}])
def test_a_token_that_is_none_is_400(anonymous: APIClient, token: str, acme: Character, bad: Any) -> None:
    answer = anonymous.post("/api/v1/verify", {"token": bad})
    assert (answer.status_code, answer.json()["success"], is_verified(acme)) == (400, False, False)


@pytest.mark.parametrize("change", ["expired", "address changed"])
def test_a_link_dies_with_its_time_and_with_its_address(
    anonymous: APIClient, acme: Character, token: str, change: str
) -> None:
    if change == "expired":
        EmailVerification.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    else:
        User.objects.filter(pk=acme.admin.pk).update(email="other@acme.example")
    assert anonymous.post("/api/v1/verify", {"token": token}).status_code == 400
    assert not is_verified(acme)


def test_one_kind_of_link_does_not_stand_for_another(anonymous: APIClient, acme: Character, mailoutbox: Mails) -> None:
    mail_link(Letter.RESET_PASSWORD, acme.admin.id)
    reset = token_in(mailoutbox[-1], "/password/reset")
    assert anonymous.post("/api/v1/verify", {"token": reset}).status_code == 400


def test_a_person_who_waits_for_it_becomes_active(anonymous: APIClient, acme: Character, token: str) -> None:
    User.objects.filter(pk=acme.admin.pk).update(status="pending_verification")
    sign_in = {"email": acme.admin.email, "password": PASSWORD}
    waiting = anonymous.post("/api/v1/auth/login", sign_in)
    assert (waiting.status_code, waiting.json()["message"]) == (
        401,
        "Confirm your e-mail address first: open the link that we have mailed to you.",
    )
    anonymous.post("/api/v1/verify", {"token": token})
    assert anonymous.post("/api/v1/auth/login", sign_in).status_code == 200
    with tenant_context(acme.company):
        event = AuditEvent.objects.get(event_type="user.email_verified")
    assert event.changes == {"email_verified": [False, True], "status": ["pending_verification", "active"]}


def test_send_answers_the_same_to_everybody(
    anonymous: APIClient, acme: Character, mailoutbox: Mails, deliver: Deliver
) -> None:
    with deliver():
        answers = [
            anonymous.post("/api/v1/send", {"email": email})
            for email in ("ADMIN@acme.example", "nobody@nowhere.example")
        ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert [mail.to for mail in mailoutbox] == [["admin@acme.example"]]


@pytest.mark.parametrize("request_link", [request_verification, request_password_reset])
def test_the_request_does_the_same_work_for_an_unknown_address(
    acme: Character, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks, request_link: Any
) -> None:
    User.objects.exists()  # the first query of a test also sets the search path
    work = []
    for email in (acme.admin.email, "nobody@nowhere.example"):
        with CaptureQueriesContext(connection) as queries, django_capture_on_commit_callbacks() as queued:
            request_link(email=email)
        work.append((len(queries), len(queued)))
    assert work == [(1, 1), (1, 1)]


def test_nothing_is_mailed_to_a_confirmed_address(acme: Character, mailoutbox: Mails) -> None:
    User.objects.filter(pk=acme.admin.pk).update(email_verified=True)
    mail_link(Letter.VERIFY_EMAIL, acme.admin.id)
    assert mailoutbox == []


@pytest.mark.parametrize("per", ["asker", "address"])
@pytest.mark.parametrize("path", ["/api/v1/send", "/password/forgot"])
def test_mails_are_limited_by_asker_and_by_address(
    client: Client, settings: Settings, db: None, path: str, per: str
) -> None:
    settings.RATE_LIMIT_ENABLED, settings.RATE_LIMITS = True, {**settings.RATE_LIMITS, "mail": "2/hour"}
    now = time.time_ns()
    limited = []
    for number in range(3):
        email = f"e{now}@x.example" if per == "address" else f"e{now}{number}@x.example"
        asker = f"10.{now % 250}.{now // 250 % 250}.{number if per == 'address' else now // 62500 % 250}"
        answer = client.post(path, {"email": email}, REMOTE_ADDR=asker)
        errors = answer.context["form"].errors if answer.context else {}
        limited.append(answer.status_code == 429 or bool(errors))
    assert limited == [False, False, True]


# --- Pages --------------------------------------------------------------------------------------------------------


def test_opening_the_link_changes_nothing_and_the_button_confirms(client: Client, acme: Character, token: str) -> None:
    page = client.get("/verify-email", {"token": token})
    assert (page.status_code, page["Referrer-Policy"], is_verified(acme)) == (200, "same-origin", False)
    assert "no-store" in page["Cache-Control"]
    assert f'value="{token}"' in page.content.decode()

    assert client.post("/verify-email", {"token": token}).headers["Location"] == "/login"
    assert is_verified(acme)
    assert "This link no longer works" in client.post("/verify-email", {"token": token}).content.decode()


def test_the_dashboard_asks_for_it_until_it_is_done(
    acme_client: Client, acme: Character, token: str, mailoutbox: Mails, deliver: Deliver
) -> None:
    asks = "by the link that we have mailed to you"
    assert asks in acme_client.get("/home").content.decode()
    with deliver():
        sent = acme_client.post("/verify-email/send", {"email": "somebody-else@example.org"}, HTTP_REFERER="/agents")
    assert (sent.headers["Location"], mailoutbox[-1].to, len(mailoutbox)) == ("/agents", [acme.admin.email], 2)
    assert acme_client.post("/verify-email", {"token": token}).headers["Location"] == "/home"
    assert asks not in acme_client.get("/home").content.decode()


def test_a_stranger_asks_for_a_new_link_by_address(
    client: Client, acme: Character, mailoutbox: Mails, deliver: Deliver
) -> None:
    with deliver():
        for email in ("nobody@nowhere.example", acme.admin.email):
            assert client.post("/verify-email/send", {"email": email}).headers["Location"] == "/login"
    assert [mail.to for mail in mailoutbox] == [[acme.admin.email]]
    assert client.post("/verify-email/send", {"email": "x"}).context["form"].errors == {
        "email": ["Enter a valid email address."]
    }
