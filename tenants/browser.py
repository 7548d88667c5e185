"""Who is behind the dashboard's cookie. The cookie names a `UserSession`, which has to be open at each request."""

from __future__ import annotations

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from tenants.enums import SessionKind
from tenants.models import LAST_USED_RESOLUTION, User, UserSession
from tenants.selectors import session_by_id

SESSION_KEY = "session_id"  # in Django's session


def person_of(request: HttpRequest) -> User | AnonymousUser:
    """In one query, whatever else Django's own way would ask: this stands in its place."""
    session_id = request.session.get(SESSION_KEY)
    session = session_by_id(session_id) if session_id else None
    if session is None or not _is_open(session, request):
        return AnonymousUser()
    now = timezone.now()
    if now - session.last_seen_at > LAST_USED_RESOLUTION:
        UserSession.objects.filter(pk=session.pk).update(last_seen_at=now)
    return session.user


def _is_open(session: UserSession, request: HttpRequest) -> bool:
    return (
        session.kind == SessionKind.BROWSER
        and session.revoked_at is None
        and session.expires_at > timezone.now()
        and session.user.may_sign_in
        # A password that was changed in another way than through our services ends the session too.
        and constant_time_compare(request.session.get(HASH_SESSION_KEY, ""), session.user.get_session_auth_hash())
    )
