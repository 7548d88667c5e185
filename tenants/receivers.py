"""Sign-ins and sign-outs of browsers: pages, Django admin and whatever else uses Django's own sessions."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest

from tenants.audit.services import log_of, record_event
from tenants.models import User
from tenants.services import principal_of, record_sign_in


@receiver(user_logged_in)
def record_browser_sign_in(*, request: HttpRequest | None, user: User, **_: Any) -> None:
    match = request.resolver_match if request is not None else None
    if match is None or match.url_name != "signup":  # the registration has a row of its own
        record_sign_in(user=user)


@receiver(user_logged_out)
def record_browser_sign_out(*, user: User | None, **_: Any) -> None:
    if user is not None:
        with transaction.atomic(), log_of(user.company):
            record_event(actor=principal_of(user), event_type="user.signed_out", entity=user)
