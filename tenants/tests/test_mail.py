"""Mail leaves through a real SMTP server and through a server that speaks Resend's protocol, both on loopback."""

from __future__ import annotations

import json
import logging
import runpy
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from celery import signals
from django.conf import settings as django_settings
from django.test import Client
from pytest_django import Settings

from conftest import Character
from knowrithm.tests.mailbox import Mailbox, free_port, parts
from tenants.audit.models import AuditEvent
from tenants.enums import Letter
from tenants.jobs import mail_link
from tenants.mail import MailNotSentError, send
from tenants.models import EmailVerification, User
from tenants.services import request_password_reset, request_verification
from tenants.tests.conftest import Deliver

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # on loopback
BACKENDS = {
    "smtp": "django.core.mail.backends.smtp.EmailBackend",
    "resend": "anymail.backends.resend.EmailBackend",
    "console": "django.core.mail.backends.console.EmailBackend",
}


@pytest.fixture
def inbox(settings: Settings) -> Iterator[Mailbox]:
    """A mail server that wants a password, and the platform set up for it."""
    with Mailbox(login=("mailer", "mail-password")) as mailbox:
        settings.EMAIL_BACKEND = BACKENDS["smtp"]
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", mailbox.port, False
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "mailer", "mail-password"
        settings.DEFAULT_FROM_EMAIL = "Knowrithm <noreply@knowrithm.example>"
        yield mailbox


def test_a_mail_has_a_text_and_an_html_part_with_the_same_link(inbox: Mailbox, acme: Character) -> None:
    mail_link(Letter.VERIFY_EMAIL, acme.admin.id)

    [mail] = inbox.taken
    assert (mail["To"], mail["From"]) == ("admin@acme.example", "Knowrithm <noreply@knowrithm.example>")
    assert (mail["Subject"], mail["Auto-Submitted"]) == ("Confirm your e-mail address", "auto-generated")
    assert mail.get_content_type() == "multipart/alternative"
    text, html = parts(mail)
    [link] = [line for line in text.splitlines() if line.startswith(django_settings.BASE_URL)]
    assert link.startswith(f"{django_settings.BASE_URL}/verify-email?token=")
    assert html.count(f'href="{link}"') == 2


def test_names_are_escaped_in_html_only_and_cannot_add_headers(inbox: Mailbox, acme: Character) -> None:
    acme.company.name = "Tom & <b>Jerry</b>\r\nBcc: victim@example.org"
    context = {"company": acme.company, "invitation": None, "link": "https://k.example/"}

    send(Letter.INVITATION, to="a@b.example", subject=f"{acme.company.name} invites you", context=context)

    [mail] = inbox.taken
    assert (mail["Subject"], mail["Bcc"]) == ("Tom & <b>Jerry</b> Bcc: victim@example.org invites you", None)
    text, html = parts(mail)
    assert ("Tom & <b>Jerry</b>" in text, "<b>" in html, "Tom &amp; &lt;b&gt;Jerry" in html) == (True, False, True)


def test_a_mail_that_is_refused_is_sent_again(inbox: Mailbox, acme: Character, deliver: Deliver) -> None:
    inbox.refuse = 2
    with deliver():
        request_verification(email=acme.admin.email)
    assert (inbox.refused, len(inbox.taken)) == (2, 1)
    # Each try made a link of its own; the log tells of the one mail that was sent.
    assert EmailVerification.objects.filter(user=acme.admin).count() == 3


def test_what_a_failure_says_holds_neither_address_nor_link(
    inbox: Mailbox, acme: Character, caplog: pytest.LogCaptureFixture
) -> None:
    inbox.refuse = 1
    with caplog.at_level(logging.INFO), pytest.raises(MailNotSentError) as caught:
        mail_link(Letter.RESET_PASSWORD, acme.admin.id)
    assert (str(caught.value), caught.value.__suppress_context__) == ("SMTPDataError 451", True)
    told = " ".join(record.getMessage() for record in caplog.records if record.name != "mail.log")  # the server's own
    assert [word for word in ("token", acme.admin.email) if word in told] == []


def test_a_mail_server_that_is_away_does_not_fail_the_request(
    settings: Settings, acme: Character, deliver: Deliver, client: Any
) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = BACKENDS["smtp"], "127.0.0.1"
    settings.EMAIL_PORT, settings.EMAIL_USE_TLS = free_port(), False  # nobody listens there
    with deliver():
        answer = client.post("/api/v1/send", {"email": acme.admin.email}, content_type="application/json")
    # Nine tries, each with a link of its own.
    assert (answer.status_code, EmailVerification.objects.count()) == (200, 9)


@pytest.fixture
def resend(settings: Settings) -> Iterator[list[dict[str, Any]]]:
    """A server that speaks Resend's protocol: what was sent to it."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            good = self.path == "/emails" and self.headers["Authorization"] == "Bearer re_good"
            answer = {"id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"} if good else {"name": "invalid_api_key", **body}
            if good:
                received.append(body)
            content = json.dumps(answer).encode()
            self.send_response(200 if good else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Kept in `received`, not printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    settings.EMAIL_BACKEND = BACKENDS["resend"]
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    settings.ANYMAIL = {"RESEND_API_KEY": "re_good", "RESEND_API_URL": address, "REQUESTS_TIMEOUT": 5}
    settings.DEFAULT_FROM_EMAIL = "Knowrithm <noreply@knowrithm.example>"
    yield received
    server.shutdown()
    server.server_close()


def test_mail_through_resend(resend: list[dict[str, Any]], acme: Character) -> None:
    mail_link(Letter.RESET_PASSWORD, acme.admin.id)

    [sent] = resend
    assert (sent["from"], sent["to"]) == ("Knowrithm <noreply@knowrithm.example>", ["admin@acme.example"])
    assert sent["subject"] == "Choose a new password"
    assert ["/password/reset?token=" in sent[part] for part in ("text", "html")] == [True, True]


def test_a_refused_key_of_resend_is_told_in_short(
    resend: list[dict[str, Any]], acme: Character, settings: Settings
) -> None:
    settings.ANYMAIL = {**settings.ANYMAIL, "RESEND_API_KEY": "re_bad"}
    with pytest.raises(MailNotSentError, match=r"^AnymailRequestsAPIError 401$"):
        mail_link(Letter.RESET_PASSWORD, acme.admin.id)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ("console", "", 587, True, False)),
        ({"RESEND_API_KEY": "re_1"}, ("resend", "", 587, True, False)),
        ({"SMTP_HOST": "mail.example", "RESEND_API_KEY": "re_1"}, ("smtp", "mail.example", 587, True, False)),
        ({"SMTP_HOST": "mail.example", "SMTP_PORT": "465"}, ("smtp", "mail.example", 465, False, True)),
        ({"SMTP_HOST": "mail.example", "SMTP_TLS": "false"}, ("smtp", "mail.example", 587, False, False)),
    ],
)
def test_the_environment_chooses_the_way(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: tuple[object, ...]
) -> None:
    for name in ("SMTP_HOST", "SMTP_PORT", "SMTP_TLS", "RESEND_API_KEY", "EMAIL_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    chosen = runpy.run_path(str(Path(django_settings.BASE_DIR) / "knowrithm/settings.py"))
    names = ("EMAIL_HOST", "EMAIL_PORT", "EMAIL_USE_TLS", "EMAIL_USE_SSL")
    assert (chosen["EMAIL_BACKEND"], *(chosen[name] for name in names)) == (BACKENDS[str(expected[0])], *expected[1:])


def test_ids_and_nothing_else_pass_through_the_queue(acme: Character, deliver: Deliver) -> None:
    seen: list[list[str]] = []

    def note(args: Any, kwargs: Any, **_: Any) -> None:
        seen.append([*args, *kwargs])

    signals.task_prerun.connect(note)
    try:
        with deliver():
            request_verification(email=acme.admin.email)
            request_password_reset(email=acme.admin.email)
    finally:
        signals.task_prerun.disconnect(note)
    assert seen == [["verify_email", str(acme.admin.id)], ["reset_password", str(acme.admin.id)]]


@pytest.mark.parametrize(("status", "count"), [("active", 1), ("pending_verification", 1), ("suspended", 0)])
def test_no_link_is_mailed_to_whom_it_would_not_help(
    acme: Character, mailoutbox: list[Any], status: str, count: int
) -> None:
    User.objects.filter(pk=acme.admin.pk).update(status=status)
    mail_link(Letter.RESET_PASSWORD, acme.admin.id)
    assert len(mailoutbox) == count


def test_sent_mail_is_in_the_company_s_log(in_acme: Character) -> None:
    mail_link(Letter.RESET_PASSWORD, in_acme.admin.id)
    event = AuditEvent.objects.latest("position")
    assert (event.event_type, event.entity_id) == ("user.reset_password_mailed", str(in_acme.admin.id))


@pytest.mark.parametrize("sends_mail", [True, False])
def test_pages_do_not_say_that_was_mailed_what_was_not(
    acme: Character, acme_client: Client, settings: Settings, sends_mail: bool
) -> None:
    User.objects.filter(pk=acme.admin.pk).update(email_verified=False)
    settings.EMAIL_BACKEND = BACKENDS["smtp" if sends_mail else "console"]
    page = acme_client.get("/invitations").content.decode()
    assert ("that we have mailed to you" in page, "sends no mail" in page) == (sends_mail, not sends_mail)
    settings.MAIL_LOG = "/srv/knowrithm/logs/worker.log"
    page = acme_client.get("/invitations").content.decode()
    assert page.count(settings.MAIL_LOG) == (0 if sends_mail else 2), "for the own address, and for the invited ones"
