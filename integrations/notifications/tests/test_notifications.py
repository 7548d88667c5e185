"""What people are told, how they choose, and the mails."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries

from conftest import Character, bearer, page_client
from conversations import jobs as conversation_jobs
from conversations.tests.test_handover import colleague
from documents.models import Document
from documents.signals import document_failed
from integrations.notifications import jobs
from integrations.notifications.enums import Kind
from integrations.notifications.models import Notification, Preference
from integrations.notifications.services import notify
from knowrithm.tests.within import Within
from leads.services import create_lead, register_lead
from tenants.audit.models import AuditEvent

QUERIES_OF_THE_LIST = 3
QUERIES_OF_THE_PAGE = 7


@pytest.fixture
def acme_api(in_acme: Character) -> Within:
    return Within(bearer(in_acme), in_acme)


@pytest.fixture
def acme_client(in_acme: Character) -> Within:
    return Within(page_client(in_acme), in_acme)


def tell(kind: Kind = Kind.HANDOVER, **more: Any) -> int:
    return notify(**{"kind": kind, "key": "k", "text": "A visitor wants a person", "path": "/inbox", **more})


def test_everybody_of_the_company_is_told_once(in_acme: Character, globex: Character) -> None:
    grace = colleague(in_acme)
    assert tell() == 2
    tell()
    rows = Notification.objects.all()
    assert {row.user_id for row in rows} == {in_acme.admin.pk, grace.id}
    assert len(rows) == 2
    with tenant_context(globex.company):
        assert Notification.objects.count() == 0


def test_who_does_not_want_a_kind_is_not_told(acme_api: Within, in_acme: Character) -> None:
    wanted = [{"kind": "handover", "in_app": False, "mail": False}, {"kind": "lead", "in_app": False, "mail": True}]
    answer = acme_api.put("/api/v1/notification/preferences", {"preferences": wanted}, format="json")
    assert {row["kind"]: (row["in_app"], row["mail"]) for row in answer.json()["preferences"]} == {
        "handover": (False, False), "assigned": (True, True), "message": (True, True), "lead": (False, True),
        "document": (True, False),
    }  # fmt: skip
    assert tell() == 0
    assert tell(Kind.LEAD) == 1
    row = Notification.objects.get()
    assert (row.is_shown, row.is_mail_due) == (False, True)
    assert acme_api.get("/api/v1/notification").json()["notifications"] == []
    for wrong in ([], [{"kind": "gossip", "in_app": True, "mail": True}], [{"kind": "lead"}]):
        body = {"preferences": wrong}
        assert acme_api.put("/api/v1/notification/preferences", body, format="json").status_code == 400


def test_one_s_own_are_listed_read_and_nobody_else_s(acme_api: Within, in_acme: Character) -> None:
    grace = colleague(in_acme)
    tell(user_ids=[grace.id])
    tell(key="mine", user_ids=[in_acme.admin.pk])
    [row] = acme_api.get("/api/v1/notification").json()["notifications"]
    assert (row["text"], row["read_at"]) == ("A visitor wants a person", None)
    foreign = Notification.objects.get(user_id=grace.id)
    assert acme_api.post(f"/api/v1/notification/{foreign.pk}/read").status_code == 404
    assert acme_api.post("/api/v1/notification/read").json()["count"] == 1
    assert acme_api.get("/api/v1/notification?unread=true").json()["notifications"] == []
    foreign.refresh_from_db()
    assert foreign.read_at is None


@pytest.mark.parametrize("count", [1, 3])
def test_the_lists_cost_the_same_however_long(
    acme_api: Within, in_acme: Character, acme_client: Within, count: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    for number in range(count):
        tell(key=str(number))
    acme_api.get("/api/v1/notification")
    with django_assert_num_queries(QUERIES_OF_THE_LIST):
        assert len(acme_api.get("/api/v1/notification").json()["notifications"]) == count
    acme_client.get("/notifications")
    with django_assert_num_queries(QUERIES_OF_THE_PAGE):
        acme_client.get("/notifications")


def test_the_page_opens_what_it_tells_of(in_acme: Character, acme_client: Within) -> None:
    assert "Nothing yet" in acme_client.get("/notifications").content.decode()
    tell()
    row = Notification.objects.get()
    assert "A visitor wants a person" in acme_client.get("/notifications").content.decode()
    opened = acme_client.post(f"/notifications/{row.pk}")
    assert (opened.status_code, opened.headers["Location"]) == (302, "/inbox")
    row.refresh_from_db()
    assert row.read_at is not None
    acme_client.post("/notifications/preferences", {"lead-in_app": "on", "lead-mail": "on"})
    chosen = {row.kind: (row.in_app, row.mail) for row in Preference.objects.all()}
    assert chosen == {
        "lead": (True, True), "handover": (False, False), "assigned": (False, False), "message": (False, False),
        "document": (False, False),
    }  # fmt: skip


# --- Mails --------------------------------------------------------------------------------------------------------


def mailed() -> EmailMultiAlternatives:
    [sent] = mail.outbox
    assert isinstance(sent, EmailMultiAlternatives)
    return sent


def test_a_mail_can_be_unsubscribed_from_in_one_click(in_acme: Character) -> None:
    tell()
    jobs.mail_due()
    jobs.mail_due()
    sent = mailed()
    assert (sent.to, sent.subject) == (["admin@acme.example"], "A visitor wants a person")
    assert sent.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = sent.extra_headers["List-Unsubscribe"].strip("<>")
    assert link in sent.body
    path = "/" + link.split("/", 3)[3]

    browser = Within(Client(enforce_csrf_checks=True), in_acme)
    assert "No more of these mails?" in browser.get(path).content.decode()
    assert Preference.objects.count() == 0  # who only looks changes nothing
    done = browser.post(path, {"List-Unsubscribe": "One-Click"})
    assert (done.status_code, "No more mails of this kind" in done.content.decode()) == (200, True)
    row = Preference.objects.get()
    assert (row.user_id, row.kind, row.in_app, row.mail) == (in_acme.admin.pk, "handover", True, False)
    event = AuditEvent.objects.get(event_type="notification.unsubscribed")
    assert event.entity_id == str(in_acme.admin.pk)
    tell(key="later")
    jobs.mail_due()
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("token", ["", "x", "eyJ4IjoxfQ:1abc:AAAA"])
def test_a_link_that_is_not_ours_does_nothing(in_acme: Character, token: str) -> None:
    browser = Within(Client(), in_acme)
    for send in (browser.get, browser.post):
        assert send(f"/notifications/unsubscribe?token={token}").status_code == 404
    assert Preference.objects.count() == 0


def test_what_was_read_meanwhile_is_not_mailed(in_acme: Character, acme_api: Within) -> None:
    tell()
    acme_api.post("/api/v1/notification/read")
    jobs.mail_due()
    assert mail.outbox == []
    assert not Notification.objects.filter(is_mail_due=True).exists()


def test_what_the_mail_server_does_not_take_stays_due(in_acme: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    tell()

    with monkeypatch.context() as patched:
        patched.setattr("tenants.mail.EmailMultiAlternatives.send", _refuse_to_connect)
        jobs.mail_due()
    assert Notification.objects.filter(is_mail_due=True).count() == 1
    jobs.mail_due()
    assert len(mail.outbox) == 1


def _refuse_to_connect(*_: object, **__: object) -> None:
    raise ConnectionRefusedError


def test_people_who_may_not_sign_in_are_neither_told_nor_mailed(in_acme: Character) -> None:
    tell()
    in_acme.admin.status = "suspended"
    in_acme.admin.save()
    jobs.mail_due()
    assert mail.outbox == []
    assert tell(key="later") == 0


# --- What is told of ----------------------------------------------------------------------------------------------


def test_a_lead_is_told_of_once_and_a_visitor_of_the_demo_never(in_acme: Character) -> None:
    common: dict[str, Any] = {"agent": in_acme.agent, "company_id": in_acme.company.id}
    lead = register_lead(**common, email="vic@example.org", first_name="Vic", last_name="Itor").lead
    demo = register_lead(**common, email="d@demo.invalid", first_name="Visitor", source="demo").lead
    for lead_id in (lead.pk, lead.pk, demo.pk, uuid.uuid4()):
        conversation_jobs.tell_of_lead(lead_id)
    row = Notification.objects.get()
    assert (row.kind, row.text, row.path) == ("lead", "Vic Itor registered with Acme helper", f"/leads/{lead.pk}")
    assert row.is_mail_due is False


def test_a_lead_that_the_team_adds_has_not_registered(in_acme: Character) -> None:
    grace = colleague(in_acme)
    lead = create_lead(actor=in_acme.principal, email="eve@example.org", first_name="Eve")
    conversation_jobs.tell_of_lead(lead.pk)
    row = Notification.objects.get()  # who did it knows it
    assert (row.user_id, row.text) == (grace.id, f"Eve was added by {in_acme.principal.label}")


def test_a_document_that_fails_is_told_of(in_acme: Character) -> None:
    document = Document.objects.create(agent=in_acme.agent, original_filename="broken.pdf")
    document_failed.send(sender=Document, document=document, error="It is damaged.", error_code="DAMAGED")
    row = Notification.objects.get()
    assert (row.kind, row.text, row.path) == ("document", "broken.pdf could not be read", f"/documents/{document.pk}")


def test_a_mail_holds_no_more_than_what_is_shown(in_acme: Character) -> None:
    tell(text="A visitor\r\nBcc: eve@evil.example wants a person")
    jobs.mail_due()
    assert mailed().subject == "A visitor Bcc: eve@evil.example wants a person"
    assert re.search(r"^Bcc:", mailed().message().as_string(), re.MULTILINE) is None
