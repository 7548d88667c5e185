"""Who sits at a browser: the person who signed in, or the one as whom a super admin acts for a while."""

from __future__ import annotations

from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from tenants import services, tokens
from tenants.models import User, UserSession

ACTING = "impersonation"  # in the browser session of the super admin: the id of the UserSession


def signed_in_person(request: HttpRequest) -> User | None:
    """The person whose dashboard this browser shows. An impersonation that is over is forgotten, and its end recorded.

    A super admin stays themselves in the admin.
    """
    user = get_user(request)
    if not isinstance(user, User) or not user.may_sign_in:
        return None
    acting = request.session.get(ACTING)
    if acting is None or request.path.startswith("/admin/"):
        return user
    session = services.session_by_id(acting)
    if session is None or session.impersonator_id != user.pk or not tokens.impersonation_is_current(session):
        stop_acting(request)
        return user
    session.user.impersonation = session
    return session.user


def person_or_anonymous(request: HttpRequest) -> User | AnonymousUser:
    return signed_in_person(request) or AnonymousUser()


def start_acting(request: HttpRequest, session: UserSession) -> None:
    stop_acting(request)
    request.session[ACTING] = str(session.id)


def stop_acting(request: HttpRequest) -> UserSession | None:
    """The impersonation that ended by this, if one was running in this browser."""
    session = services.session_by_id(request.session.pop(ACTING, None))
    if session is None or session.impersonator is None:
        return None
    services.end_impersonation(session=session)
    return session
