"""From a right password, or a provider's word, to a session in the browser. In between lies the second factor."""

from __future__ import annotations

import time
import uuid

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.auth import login as start_browser_session
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.crypto import constant_time_compare

from knowrithm.errors import ServiceError
from tenants import services
from tenants.browser import SESSION_KEY
from tenants.models import User
from tenants.selectors import session_by_id

PENDING = "pending_sign_in"
PENDING_SECONDS = 5 * 60
BY_SSO = "signed_in_by_sso"


def continue_sign_in(request: HttpRequest, user: User, *, next_url: str) -> HttpResponse:
    """After the password: into the dashboard, or to the page that asks for the code."""
    if not user.two_factor_enabled:
        finish_sign_in(request, user)
        return redirect(next_url)
    request.session.cycle_key()  # who knew the session's id before must not know it now
    request.session[PENDING] = {
        "user": str(user.pk),
        "seal": user.get_session_auth_hash(),
        "next": next_url,
        "at": time.time(),
    }
    return redirect("login-code")


def pending_user(request: HttpRequest) -> User | None:
    """Who has given a password in this browser in the last five minutes, and has not given a code yet."""
    pending = request.session.get(PENDING)
    if pending is None:
        return None
    user = User.objects.select_related("company").filter(pk=pending["user"]).first()
    if (
        user is None
        or not user.may_enter(user.company, allows_archived=True)
        or time.time() - pending["at"] > PENDING_SECONDS
        or not constant_time_compare(pending["seal"], user.get_session_auth_hash())
    ):
        del request.session[PENDING]
        return None
    return user


@transaction.atomic
def finish_sign_in(request: HttpRequest, user: User, *, by_sso: bool = False, is_new: bool = False) -> None:
    """`is_new`: the event that made the person, a registration or an invitation, tells of their first session too."""
    start_browser_session(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    request.session.pop(PENDING, None)
    request.session[BY_SSO] = by_sso
    if not is_new:
        services.record_sign_in(user=user, session_id=uuid.UUID(request.session[SESSION_KEY]), by_sso=by_sso)


def keep_signed_in(request: HttpRequest, user: User) -> None:
    """After a change of the password or the second factor, which signs out every browser of the person: not this one,
    if it is theirs."""
    user.refresh_from_db(fields=["password", "two_factor_enabled"])
    session = session_by_id(request.session.get(SESSION_KEY))
    if session is not None and session.revoked_at is None and session.user_id == user.pk:
        request.session.cycle_key()
        request.session[HASH_SESSION_KEY] = user.get_session_auth_hash()


def missing_step(request: HttpRequest, user: User) -> ServiceError | None:
    """What keeps a signed-in person out all the same. Who came through the company's provider has done its steps."""
    if user.company is not None and request.session.get(BY_SSO):
        return None
    try:
        services.require_steps(user)
    except ServiceError as error:
        return error
    return None
