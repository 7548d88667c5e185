"""Passwords that an admin wants to have changed."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from knowrithm.api.permissions import ADMIN
from knowrithm.api.schema import SentenceSerializer
from knowrithm.api.views import ApiViewSet
from tenants import services
from tenants.selectors import person_to_govern


class PasswordViewSet(ApiViewSet):
    needs_company = False
    access = ADMIN

    @extend_schema(request=None, responses=SentenceSerializer)
    def force_reset(self, request: Request, user_id: uuid.UUID) -> Response:
        actor = self.principal()
        user = services.force_password_reset(actor=actor, user=person_to_govern(actor, user_id))
        return Response({"message": f"{user} has been signed out and gets a mail to choose a new password."})
