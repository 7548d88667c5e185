"""Sign-in with e-mail and password, for Django admin. Pages and API call `tenants.services.verify_password` alike."""

from __future__ import annotations

import uuid

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from knowrithm.errors import ServiceError
from tenants.models import User
from tenants.services import verify_password


class EmailBackend(BaseBackend):
    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_: object
    ) -> User | None:
        if not username or not password:
            return None
        try:
            return verify_password(email=username, password=password)
        except ServiceError:
            return None

    def get_user(self, user_id: uuid.UUID | str) -> User | None:
        user = User.objects.select_related("company").filter(pk=user_id).first()
        return user if user is not None and user.may_sign_in else None


def archived_admin(request: HttpRequest) -> User | None:
    """The admin of an archived company whose browser session this is, while the company can still be restored.

    `request.user` is nobody for them, so no page opens but the one that asks here.
    """
    session = getattr(request, "session", None)
    if session is None or not session.get(SESSION_KEY):
        return None
    user = User.objects.select_related("company").filter(pk=session[SESSION_KEY]).first()
    if user is None or not constant_time_compare(session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()):
        return None
    is_restorer = not user.may_sign_in and user.may_enter(user.company, allows_archived=True)
    return user if is_restorer else None
