"""A mail server on loopback that keeps what it takes.

    with Mailbox() as mailbox:  # SMTP_HOST=127.0.0.1 SMTP_PORT={mailbox.port} SMTP_TLS=false
        ...
        mailbox.taken[-1]["Subject"]

`mailbox.refuse = 2` refuses the next two messages with "try later". With `login` it wants that user and password.
"""

from __future__ import annotations

import socket
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session


class Mailbox:
    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self.taken: list[EmailMessage] = []
        self.refuse = 0
        self.refused = 0
        self.port = free_port()
        self._login = login
        self._controller = Controller(
            self, hostname="127.0.0.1", port=self.port, authenticator=self._check, auth_required=login is not None,
            auth_require_tls=False,
        )  # fmt: skip

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.refused < self.refuse:
            self.refused += 1
            return f"451 Try later, {envelope.rcpt_tos[0]}"
        self.taken.append(message_from_bytes(cast(bytes, envelope.content), policy=policy.default))
        return "250 OK"

    def _check(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login.decode(), data.password.decode()) == self._login, handled=False)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()


def parts(mail: EmailMessage) -> tuple[str, str]:
    """The text and the HTML of a mail."""
    text, html = (cast(EmailMessage, part).get_content() for part in mail.iter_parts())
    return text, html


def free_port() -> int:
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])
