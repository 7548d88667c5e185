"""Inviting people to the team: by the API, by the page, and accepting."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, bearer, key_client, page_client
from knowrithm.errors import ConflictError, ForbiddenError, InvalidInputError
from tenants.audit.models import AuditEvent
from tenants.enums import Letter
from tenants.exceptions import AlreadyRegisteredError, InvitationExistsError
from tenants.jobs import mail_link
from tenants.models import Company, Invitation, User
from tenants.services import accept_invitation, invite_user, resend_invitation, revoke_invitation
from tenants.tests.conftest import Deliver, token_in

Mails = list[EmailMessage]
WILE = {"first_name": "Wile", "last_name": "Coyote", "password": PASSWORD}


@pytest.fixture
def invitation(in_acme: Character) -> Invitation:
    return invite_user(actor=in_acme.principal, email="wile@acme.example", role="admin")


@pytest.fixture
def token(invitation: Invitation, mailoutbox: Mails) -> str:
    mail_link(Letter.INVITATION, invitation.id)
    return token_in(mailoutbox[-1], "/invitation")


def test_an_invitation_is_mailed_and_accepted_by_the_api(
    acme: Character, acme_api: APIClient, anonymous: APIClient, mailoutbox: Mails, deliver: Deliver
) -> None:
    with deliver():
        made = acme_api.post("/api/v1/invitation", {"email": "Wile@acme.example"})
    assert made.status_code == 201
    assert {name: made.json()["invitation"][name] for name in ("email", "role", "status", "invited_by")} == {
        "email": "wile@acme.example", "role": "user", "status": "pending", "invited_by": "admin@acme.example",
    }  # fmt: skip
    [mail] = mailoutbox
    token = token_in(mail, "/invitation")
    assert (mail.to, mail.subject) == (["wile@acme.example"], "Acme invites you to Knowrithm")
    assert "Acme Admin invites you to the team of Acme on Knowrithm, as user." in mail.body

    accepted = anonymous.post("/api/v1/invitation/accept", {"token": token, **WILE})

    assert accepted.status_code == 201
    body = accepted.json()
    assert (body["user"]["role"], body["user"]["email_verified"], body["company"]["name"]) == ("user", True, "Acme")
    anonymous.credentials(HTTP_AUTHORIZATION=f"Bearer {body['access_token']}")
    assert anonymous.get("/api/v1/agent").json()["agents"][0]["name"] == "Acme helper"
    [row] = acme_api.get("/api/v1/invitation").json()["invitations"]
    assert (row["status"], row["sent_at"] is None) == ("accepted", False)
    with tenant_context(acme.company):
        events = list(AuditEvent.objects.order_by("position").values_list("event_type", flat=True))
    assert events[-3:] == ["invitation.created", "invitation.mailed", "invitation.accepted"]


@pytest.mark.parametrize("death", ["accepted", "revoked", "expired", "resent", "company", "wrong"])
def test_a_link_that_is_not_good_any_more(
    in_acme: Character, invitation: Invitation, token: str, anonymous: APIClient, death: str
) -> None:
    if death == "accepted":
        accept_invitation(token=token, **WILE)
    elif death == "revoked":
        revoke_invitation(actor=in_acme.principal, invitation_id=invitation.id)
    elif death == "expired":
        Invitation.objects.update(expires_at=timezone.now())
    elif death == "resent":
        resend_invitation(actor=in_acme.principal, invitation_id=invitation.id)
        mail_link(Letter.INVITATION, invitation.id)
    elif death == "company":
        Company.objects.filter(pk=in_acme.company.pk).update(is_active=False)
    else:
        token = ""
    before = User.objects.count()
    answer = anonymous.post("/api/v1/invitation/accept", {**WILE, "token": token or "x"})
    assert (answer.status_code, answer.json()["code"], User.objects.count()) == (400, "LINK_INVALID", before)
    page = Client().get("/invitation", {"token": token})
    assert "This invitation no longer works" in page.content.decode()


def test_sending_again_renews_the_week(in_acme: Character, invitation: Invitation, mailoutbox: Mails) -> None:
    Invitation.objects.update(expires_at=timezone.now())
    assert Invitation.objects.get().status == "expired"
    resend_invitation(actor=in_acme.principal, invitation_id=invitation.id)
    mail_link(Letter.INVITATION, invitation.id)
    assert accept_invitation(token=token_in(mailoutbox[-1], "/invitation"), **WILE).role == "admin"


@pytest.mark.parametrize("end", [revoke_invitation, None])
def test_what_is_over_cannot_be_sent_again(
    in_acme: Character, invitation: Invitation, mailoutbox: Mails, token: str, end: Any
) -> None:
    if end:
        end(actor=in_acme.principal, invitation_id=invitation.id)
    else:
        accept_invitation(token=token, **WILE)
    for service in (resend_invitation, revoke_invitation):
        with pytest.raises(ConflictError):
            service(actor=in_acme.principal, invitation_id=invitation.id)
    mail_link(Letter.INVITATION, invitation.id)  # a message that was still in the queue
    assert len(mailoutbox) == 1


def test_one_open_invitation_for_an_address_and_company(in_acme: Character, globex: Character) -> None:
    invite_user(actor=in_acme.principal, email="wile@acme.example")
    with pytest.raises(InvitationExistsError):
        invite_user(actor=in_acme.principal, email="WILE@acme.example")
    with pytest.raises(IntegrityError), transaction.atomic():
        Invitation.objects.create(company=in_acme.company, email="Wile@acme.example", expires_at=timezone.now())
    with tenant_context(globex.company):
        invite_user(actor=globex.principal, email="wile@acme.example")
    Invitation.objects.filter(company=in_acme.company).update(expires_at=timezone.now() - timedelta(days=1))
    invite_user(actor=in_acme.principal, email="wile@acme.example")
    assert [row.status for row in Invitation.objects.filter(company=in_acme.company)] == ["pending", "revoked"]


def test_people_who_have_an_account_are_not_invited(in_acme: Character, globex: Character) -> None:
    for email in ("ADMIN@acme.example", globex.admin.email):
        with pytest.raises(AlreadyRegisteredError):
            invite_user(actor=in_acme.principal, email=email)
    assert not Invitation.objects.exists()


def test_somebody_who_signs_up_in_between_is_told(in_acme: Character, anonymous: APIClient, token: str) -> None:
    User.objects.filter(pk=in_acme.admin.pk).update(email="wile@acme.example")
    answer = anonymous.post("/api/v1/invitation/accept", {**WILE, "token": token})
    assert (answer.status_code, answer.json()["code"]) == (409, "ALREADY_REGISTERED")


def test_only_admins_invite_and_nobody_becomes_a_super_admin(in_acme: Character) -> None:
    for role in ("super_admin", "viewer", ""):
        with pytest.raises(InvalidInputError):
            invite_user(actor=in_acme.principal, email="wile@acme.example", role=role)
        assert bearer(in_acme).post("/api/v1/invitation", {"email": "w@x.example", "role": role}).status_code == 400
    assert key_client(in_acme, "read", "write").post("/api/v1/invitation", {"email": "w@x.example"}).status_code == 403
    User.objects.filter(pk=in_acme.admin.pk).update(role="user")
    assert bearer(in_acme).get("/api/v1/invitation").status_code == 403
    in_acme.admin.refresh_from_db()
    with pytest.raises(ForbiddenError):
        invite_user(actor=in_acme.principal, email="wile@acme.example")
    assert page_client(in_acme).get("/invitations").status_code == 403


@pytest.mark.parametrize(
    "change", [{"password": "short"}, {"password": "password123"}, {"first_name": ""}, {"last_name": "x" * 101}]
)
def test_accepting_says_what_is_wrong_and_leaves_the_link_good(
    anonymous: APIClient, token: str, change: dict[str, str]
) -> None:
    answer = anonymous.post("/api/v1/invitation/accept", {**WILE, "token": token, **change})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, list(change))
    assert anonymous.post("/api/v1/invitation/accept", {**WILE, "token": token}).status_code == 201


@pytest.mark.parametrize("count", [1, 3])
def test_list_queries(
    in_acme: Character, acme_api: APIClient, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    for number in range(count):
        invite_user(actor=in_acme.principal, email=f"w{number}@acme.example")
    acme_api.get("/api/v1/invitation")
    with django_assert_num_queries(3):  # session with person and company, search path, invitations
        body = acme_api.get("/api/v1/invitation").json()
    assert (len(body["invitations"]), body["total"]) == (count, count)


# --- Pages --------------------------------------------------------------------------------------------------------


def test_several_are_invited_at_once_and_those_who_cannot_be_stay_in_the_form(
    acme: Character, acme_client: Client, mailoutbox: Mails, deliver: Deliver
) -> None:
    form = {"emails": "a@x.example, b@x.example\nA@x.example;admin@acme.example", "role": "user"}
    with deliver():
        answer = acme_client.post("/invitations", form)
    assert sorted(mail.to[0] for mail in mailoutbox) == ["a@x.example", "b@x.example"]
    assert answer.context["form"]["emails"].value() == "admin@acme.example"
    assert answer.context["form"].errors == {
        "emails": ["admin@acme.example: An account with this e-mail address exists already."]
    }
    assert "data-open-on-load" in answer.content.decode()
    assert [row.email for row in answer.context["page_obj"]] == ["b@x.example", "a@x.example"]


@pytest.mark.parametrize(
    ("emails", "errors"),
    [
        ("a@x.example nonsense", ["nonsense is no e-mail address."]),
        (" ,; ", ["Give at least one e-mail address."]),
        (" ".join(f"a{n}@x.example" for n in range(51)), ["Invite at most 50 people at once."]),
    ],
)
def test_wrong_addresses_invite_nobody(acme_client: Client, emails: str, errors: list[str]) -> None:
    answer = acme_client.post("/invitations", {"emails": emails, "role": "user"})
    assert (answer.context["form"].errors, Invitation.objects.exists()) == ({"emails": errors}, False)


def test_the_page_lists_sends_again_and_revokes(acme_client: Client, invitation: Invitation) -> None:
    assert "wile@acme.example" in acme_client.get("/invitations").content.decode()
    assert acme_client.post(f"/invitations/{invitation.id}/resend").headers["Location"] == "/invitations"
    acme_client.post(f"/invitations/{invitation.id}/revoke")
    assert Invitation.objects.get().status == "revoked"
    assert "Send again" not in acme_client.get("/invitations").content.decode()


@pytest.mark.parametrize("count", [1, 3])
def test_page_queries(
    in_acme: Character, acme_client: Client, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    for number in range(count):
        invite_user(actor=in_acme.principal, email=f"w{number}@acme.example")
    acme_client.get("/invitations")
    with django_assert_num_queries(6):  # two search paths, cookie, session with person and company, count, invitations
        assert len(acme_client.get("/invitations").context["page_obj"]) == count


def test_accepting_by_the_page_signs_in(client: Client, token: str) -> None:
    page = client.get("/invitation", {"token": token})
    assert ("Join Acme" in page.content.decode(), page["Referrer-Policy"]) == (True, "same-origin")
    assert not User.objects.filter(email="wile@acme.example").exists()

    answer = client.post("/invitation", {"token": token, **WILE})

    assert answer.headers["Location"] == "/home"
    assert "Hello, Wile" in client.get("/home").content.decode()
    assert "wile@acme.example" in client.get("/account").content.decode()


def test_accepting_by_the_page_says_at_the_field_what_is_wrong(client: Client, token: str) -> None:
    answer = client.post("/invitation", {"token": token, **WILE, "password": "password"})
    assert answer.context["form"].errors == {"password": ["This password is too common."]}
