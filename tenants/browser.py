"""Who is behind the dashboard's cookie. The cookie names a `UserSession`, which has to be open at each request; and a
second one while a super admin acts as a person.
"""

from __future__ import annotations

import uuid

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from tenants import services, tokens
from tenants.enums import SessionKind
from tenants.models import LAST_SEEN_RESOLUTION, User, UserSession
from tenants.selectors import session_by_id

# In Django's session, the ids of rows:
SESSION_KEY = "session_id"  # of who signed in
ACTING_KEY = "impersonation"  # of the person as whom they act


def person_of(request: HttpRequest) -> User | AnonymousUser:
    """In one query, whatever else Django's own way would ask: this stands in its place."""
    session = _open_session(request)
    if session is None or not session.user.may_sign_in:
        return AnonymousUser()
    now = timezone.now()
    if now - session.last_seen_at > LAST_SEEN_RESOLUTION:
        UserSession.objects.filter(pk=session.pk).update(last_seen_at=now)
    return _acted_by(request, session.user) or session.user


def session_id_of(request: HttpRequest, user: User) -> uuid.UUID | None:
    """The session that the cookie stands for: the person's own, or that of who acts as them."""
    if user.impersonation is not None:
        return user.impersonation.pk
    own = request.session.get(SESSION_KEY)
    return uuid.UUID(own) if own else None


def _acted_by(request: HttpRequest, who: User) -> User | None:
    """As whom a super admin acts here; in the admin they stay themselves. What is over is forgotten, and recorded."""
    acting = request.session.get(ACTING_KEY)
    if acting is None or request.path.startswith("/admin/"):
        return None
    session = session_by_id(acting)
    if (
        session is None
        or session.kind != SessionKind.BROWSER
        or session.impersonator_id != who.pk
        or not tokens.impersonation_is_current(session)
    ):
        stop_acting(request)
        return None
    return session.user


def start_acting(request: HttpRequest, session: UserSession) -> None:
    stop_acting(request)
    request.session[ACTING_KEY] = str(session.id)


def stop_acting(request: HttpRequest) -> UserSession | None:
    """The impersonation that ended by this, if one was running in this browser."""
    acting = request.session.pop(ACTING_KEY, None)
    session = session_by_id(acting) if acting else None
    if session is None or session.impersonator is None:
        return None
    services.end_impersonation(session=session, actor=services.principal_of(session.user, session_id=session.id))
    return session


def archived_admin(request: HttpRequest) -> User | None:
    """The admin of an archived company whose browser this is, while the company can still be restored.

    `request.user` is nobody for them, so no page opens but the one that asks here.
    """
    session = _open_session(request) if hasattr(request, "session") else None
    if session is None or session.user.may_sign_in:
        return None
    return session.user if session.user.may_enter(session.user.company, allows_archived=True) else None


def _open_session(request: HttpRequest) -> UserSession | None:
    session_id = request.session.get(SESSION_KEY)
    session = session_by_id(session_id) if session_id else None
    is_open = (
        session is not None
        and session.kind == SessionKind.BROWSER
        and session.revoked_at is None
        and session.expires_at > timezone.now()
        # A password that was changed in another way than through our services ends the session too.
        and constant_time_compare(request.session.get(HASH_SESSION_KEY, ""), session.user.get_session_auth_hash())
    )
    return session if is_open else None
