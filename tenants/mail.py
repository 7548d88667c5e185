"""Writing and sending one mail, as text and as HTML, through the backend that settings chose."""

from __future__ import annotations

from collections.abc import Mapping
from smtplib import SMTPResponseException
from typing import Any

from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from tenants.enums import Letter


class MailNotSentError(Exception):
    """The mail server or service did not take it. The text names the failure and holds neither address nor content."""


def send(
    letter: Letter, *, to: str, subject: str, context: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> None:
    """Raises `MailNotSentError`; then nothing was sent, as far as the server said."""
    subject = " ".join(subject.split())  # names of companies and people may hold line breaks
    values = {**context, "subject": subject, "site": settings.BASE_URL}
    mail = EmailMultiAlternatives(
        subject,
        render_to_string(f"emails/{letter}.txt", values).strip() + "\n",
        to=[to],
        headers={"Auto-Submitted": "auto-generated", **(headers or {})},
    )
    mail.attach_alternative(render_to_string(f"emails/{letter}.html", values), "text/html")
    try:
        mail.send()
    except (OSError, AnymailError) as error:  # smtplib's and requests' errors are OSErrors
        raise MailNotSentError(_in_short(error)) from None


def _in_short(error: Exception) -> str:
    code = error.smtp_code if isinstance(error, SMTPResponseException) else getattr(error, "status_code", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__
