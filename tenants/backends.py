"""Sign-in with e-mail and password, for Django admin. Pages and API call `tenants.services.verify_password` alike."""

from __future__ import annotations

import uuid

from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest

from knowrithm.api.throttling import check_sign_in
from knowrithm.errors import ServiceError
from tenants.models import User
from tenants.services import verify_password


class EmailBackend(BaseBackend):
    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_: object
    ) -> User | None:
        if not username or not password:
            return None
        if request is not None:
            check_sign_in(request, username)  # Django admin's form; the refusal becomes a page
        try:
            return verify_password(email=username, password=password)
        except ServiceError:
            return None

    def get_user(self, user_id: uuid.UUID | str) -> User | None:
        user = User.objects.select_related("company").filter(pk=user_id).first()
        return user if user is not None and user.may_sign_in else None
