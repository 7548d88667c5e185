"""The terms of use and the privacy policy of whoever runs the installation, for every page that links them."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def legal_pages(request: HttpRequest) -> dict[str, dict[str, str]]:
    """A context processor: `legal` holds the addresses of those that are set, by what a link to them is called."""
    pages = {"Terms of use": settings.TERMS_URL, "Privacy policy": settings.PRIVACY_URL}
    return {"legal": {name: address for name, address in pages.items() if address}}
