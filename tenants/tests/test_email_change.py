"""Changing one's own e-mail address: the new one is confirmed by mail, and the old one is told."""

from __future__ import annotations

import pytest
from django.core.mail import EmailMessage
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import Settings
from rest_framework.test import APIClient

from conftest import PASSWORD, Character
from tenants.audit.models import AuditEvent
from tenants.enums import Letter
from tenants.jobs import mail_link
from tenants.models import PasswordReset, User
from tenants.tests.conftest import Deliver, token_in

Mails = list[EmailMessage]
NEW = {"email": "new@acme.example", "password": PASSWORD}
URL = "/api/v1/auth/email"


def state(who: Character) -> tuple[str, str]:
    user = User.objects.get(pk=who.admin.pk)
    return user.email, user.pending_email


def test_the_new_address_is_confirmed_and_the_old_one_told(
    acme: Character, acme_api: APIClient, anonymous: APIClient, mailoutbox: Mails, deliver: Deliver
) -> None:
    mail_link(Letter.RESET_PASSWORD, acme.admin.pk)
    mailoutbox.clear()
    with deliver():
        answer = acme_api.post(URL, NEW)
    assert (answer.status_code, state(acme)) == (202, ("admin@acme.example", "new@acme.example"))
    [asked] = mailoutbox
    assert (asked.to, "new@acme.example" in asked.body) == (["new@acme.example"], True)

    with deliver():
        confirmed = anonymous.post("/api/v1/verify", {"token": token_in(asked, "/verify-email")})

    assert (confirmed.status_code, state(acme)) == (200, ("new@acme.example", ""))
    told = mailoutbox[-1]
    assert (told.to, told.subject) == (["admin@acme.example"], "Your e-mail address was changed")
    assert "changed from admin@acme.example to new@acme.example" in " ".join(told.body.split())
    assert PasswordReset.objects.count() == 0  # a link in the old mailbox opens nothing any more
    old, new = (
        anonymous.post("/api/v1/auth/login", {"email": email, "password": PASSWORD}).status_code
        for email in ("admin@acme.example", "new@acme.example")
    )
    assert (old, new, acme_api.get("/api/v1/user/profile").status_code) == (401, 200, 200)
    with tenant_context(acme.company):
        rows = list(AuditEvent.objects.filter(event_type__startswith="user.email").order_by("position"))
    assert [(row.event_type, row.risk_level) for row in rows] == [
        ("user.email_change_asked", "medium"),
        ("user.email_changed", "medium"),
    ]


def test_guesses_of_the_password_lock_the_account(acme: Character, acme_api: APIClient, settings: Settings) -> None:
    settings.LOGIN_FAILURE_LIMIT = 3
    for number in range(3):
        assert acme_api.post(URL, {**NEW, "password": f"guess-{number}"}).status_code == 400
    locked = acme_api.post(URL, NEW)
    assert (locked.status_code, locked.json()["code"], state(acme)) == (
        423,
        "ACCOUNT_LOCKED",
        ("admin@acme.example", ""),
    )


def test_what_is_refused(acme: Character, globex: Character, acme_api: APIClient, anonymous: APIClient) -> None:
    def refused(**changes: str) -> tuple[int, list[str]]:
        answer = acme_api.post(URL, {**NEW, **changes})
        return answer.status_code, list(answer.json().get("errors", {}))

    assert refused(password="not-the-right-one") == (400, ["password"])
    assert refused(email=globex.admin.email.upper()) == (409, ["email"])
    assert refused(email="no address") == (400, ["email"])
    assert anonymous.post(URL, NEW).status_code == 401
    User.objects.filter(pk=acme.admin.pk).update(password="!")
    assert refused() == (400, ["password"])
    assert state(acme) == ("admin@acme.example", "")


def test_who_was_slower_does_not_get_the_address(
    acme: Character, globex: Character, acme_api: APIClient, anonymous: APIClient, mailoutbox: Mails, deliver: Deliver
) -> None:
    with deliver():
        acme_api.post(URL, NEW)
    User.objects.filter(pk=globex.admin.pk).update(email="NEW@acme.example")
    answer = anonymous.post("/api/v1/verify", {"token": token_in(mailoutbox[-1], "/verify-email")})
    assert (answer.status_code, state(acme)) == (409, ("admin@acme.example", "new@acme.example"))


@pytest.mark.parametrize("how", ["taken back", "another one", "by a super admin"])
def test_a_link_dies_with_the_wish(
    acme: Character, acme_api: APIClient, anonymous: APIClient, super_admin_api: APIClient, mailoutbox: Mails,
    deliver: Deliver, how: str,
) -> None:  # fmt: skip
    with deliver():
        acme_api.post(URL, NEW)
    token = token_in(mailoutbox[-1], "/verify-email")
    if how == "by a super admin":
        super_admin_api.patch(f"/api/v1/super-admin/users/{acme.admin.pk}", {"email": "third@acme.example"})
    else:
        wanted = "ADMIN@acme.example" if how == "taken back" else "third@acme.example"
        assert acme_api.post(URL, {**NEW, "email": wanted}).status_code == 202
    assert anonymous.post("/api/v1/verify", {"token": token}).status_code == 400
    assert "new@acme.example" not in state(acme)


def test_the_page_changes_it(acme: Character, acme_client: Client, mailoutbox: Mails, deliver: Deliver) -> None:
    wrong = acme_client.post("/account", {"form": "email", **NEW, "password": "x"})
    assert wrong.context["email_form"].errors["password"] == ["Not right."]
    with deliver():
        assert acme_client.post("/account", {"form": "email", **NEW}).status_code == 302
    page = acme_client.get("/account").content.decode()
    assert "Open the link that we mail to new@acme.example" in page
    assert '<strong class="break">new@acme.example</strong> waits to be confirmed' in page
    token = token_in(mailoutbox[-1], "/verify-email")
    assert acme_client.post("/verify-email", {"token": token}).status_code == 302
    assert state(acme) == ("new@acme.example", "")
    assert acme_client.get("/account").status_code == 200
