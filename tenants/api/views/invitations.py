"""Inviting people, and accepting."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import ADMIN, PUBLIC
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, SentenceSerializer, answer, page
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from tenants import services
from tenants.api.serializers import SignedInAnswer
from tenants.api.serializers_accounts import AcceptInput, InvitationInput, InvitationSerializer
from tenants.api.views.auth import device_of, signed_in_answer
from tenants.models import Invitation
from tenants.selectors import invitations_of

THROTTLES = {"create": ("invitation", "company"), "resend": ("invitation", "company"), "accept": ("login", "address")}


class InvitationViewSet(ApiViewSet):
    access = {"list": ADMIN, "create": ADMIN, "resend": ADMIN, "revoke": ADMIN, "accept": PUBLIC}

    def get_throttles(self) -> list[BaseThrottle]:
        limited = THROTTLES.get(str(self.action))
        return [limit(limited[0], per=limited[1])()] if limited else []

    def _answer(self, invitation: Invitation, message: str) -> dict[str, object]:
        return single("invitation", InvitationSerializer(invitation).data, message=message)

    @extend_schema(
        parameters=PAGE_PARAMETERS, responses=page("Invitations", "invitations", InvitationSerializer(many=True))
    )
    def list(self, request: Request) -> Response:
        rows, pagination = paginate(request, invitations_of(self.principal()), per_page=20)
        return Response(listing(["invitations"], InvitationSerializer(rows, many=True).data, pagination))

    @extend_schema(
        request=InvitationInput,
        responses={201: answer("InvitationMade", message=serializers.CharField(), invitation=InvitationSerializer())},
    )
    def create(self, request: Request) -> Response:
        made = services.invite_user(actor=self.principal(), **self.validated(InvitationInput, request))
        return Response(self._answer(made, "The invitation is on its way."), status=201)

    @extend_schema(
        request=None,
        responses=answer("InvitationSentAgain", message=serializers.CharField(), invitation=InvitationSerializer()),
    )
    def resend(self, request: Request, invitation_id: uuid.UUID) -> Response:
        sent = services.resend_invitation(actor=self.principal(), invitation_id=invitation_id)
        return Response(self._answer(sent, "The invitation is on its way again."))

    @extend_schema(responses=SentenceSerializer)
    def revoke(self, request: Request, invitation_id: uuid.UUID) -> Response:
        revoked = services.revoke_invitation(actor=self.principal(), invitation_id=invitation_id)
        return Response(self._answer(revoked, "The invitation was revoked."))

    @extend_schema(request=AcceptInput, responses={201: SignedInAnswer})
    def accept(self, request: Request) -> Response:
        """The mailed token, a password and a name: the new person is signed in."""
        user = services.accept_invitation(**self.validated(AcceptInput, request))
        signed_in = services.start_session(user=user, **device_of(request))
        return Response(signed_in_answer(signed_in, f"Welcome to {user.company}."), status=201)
