"""Every sign-in by cookie has a row: the pages', Django admin's, and whatever else calls Django's `login`."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from tenants import services
from tenants.browser import SESSION_KEY
from tenants.models import User


@receiver(user_logged_in)
def open_browser_session(request: HttpRequest, user: User, **_: Any) -> None:
    replaced = request.session.get(SESSION_KEY)
    session = services.start_browser_session(user=user, replaces=replaced)
    request.session[SESSION_KEY] = str(session.id)


@receiver(user_logged_out)
def close_browser_session(request: HttpRequest, **_: Any) -> None:
    if session_id := request.session.get(SESSION_KEY):
        services.close_browser_session(session_id=session_id)
