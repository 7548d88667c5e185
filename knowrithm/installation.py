"""What every page may have to say of the installation: whose terms hold, and whether mail goes out."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

WRITES_TO_ITS_LOG = "django.core.mail.backends.console.EmailBackend"


def about_installation(request: HttpRequest) -> dict[str, Any]:
    """A context processor: `legal` holds the addresses of the terms of use and the privacy policy that are set, by what
    a link to them is called; `sends_mail` is false where mail is written to a log instead, and `mail_log` is its file
    if that is known.
    """
    pages = {"Terms of use": settings.TERMS_URL, "Privacy policy": settings.PRIVACY_URL}
    return {
        "legal": {name: address for name, address in pages.items() if address},
        "sends_mail": settings.EMAIL_BACKEND != WRITES_TO_ITS_LOG,
        "mail_log": settings.MAIL_LOG,
    }
