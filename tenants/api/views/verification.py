"""Proving an e-mail address."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from knowrithm.api.permissions import PUBLIC
from knowrithm.api.schema import SentenceSerializer
from knowrithm.api.throttling import check_mail, limit
from knowrithm.api.views import ApiViewSet
from tenants import services
from tenants.api.serializers_accounts import EmailInput, TokenInput


class VerificationViewSet(ApiViewSet):
    access = PUBLIC

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("mail" if self.action == "send" else "login")()]

    @extend_schema(request=EmailInput, responses=SentenceSerializer)
    def send(self, request: Request) -> Response:
        """Says the same whether there is such an account or not."""
        email = self.validated(EmailInput, request)["email"]
        check_mail(email)
        services.request_verification(email=email)
        return Response({"message": "If this address waits to be confirmed, a mail with a link is on its way."})

    @extend_schema(request=TokenInput, responses=SentenceSerializer)
    def verify(self, request: Request) -> Response:
        services.verify_email(**self.validated(TokenInput, request))
        return Response({"message": "Your e-mail address is confirmed."})
