"""The second factor of the person who is signed in."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from knowrithm.api.permissions import ONESELF, SIGNED_IN
from knowrithm.api.responses import single
from knowrithm.api.schema import SentenceSerializer, answer
from knowrithm.api.throttling import check_sign_in
from knowrithm.api.views import ApiViewSet
from tenants import services
from tenants.api.serializers import DisableTwoFactorInput, OtpInput
from tenants.models import User
from tenants.sign_in import keep_signed_in

RECOVERY_CODES = {
    "message": serializers.CharField(),
    "recovery_codes": serializers.ListField(child=serializers.CharField()),
}


class TwoFactorViewSet(ApiViewSet):
    """Never by a key: it stands for software, which has no authenticator app."""

    needs_company = False
    access = {
        "show": SIGNED_IN,
        "begin": ONESELF,
        "confirm": ONESELF,
        "renew_recovery_codes": ONESELF,
        "disable": ONESELF,
    }

    def _user(self) -> User:
        return User.objects.select_related("company").get(pk=self.principal().person_id)

    @extend_schema(
        responses=answer(
            "TwoFactor",
            is_enabled=serializers.BooleanField(),
            is_required=serializers.BooleanField(),
            recovery_codes_left=serializers.IntegerField(),
        )
    )
    def show(self, request: Request) -> Response:
        user = self._user()
        state = {
            "is_enabled": user.two_factor_enabled,
            "is_required": user.company is not None and user.company.requires_two_factor,
            "recovery_codes_left": services.recovery_codes_left(user),
        }
        return Response(single("two_factor", state))

    @extend_schema(
        request=None,
        responses={
            201: answer(
                "TwoFactorBegun",
                message=serializers.CharField(),
                secret=serializers.CharField(),
                otpauth_url=serializers.CharField(),
            )
        },
    )
    def begin(self, request: Request) -> Response:
        """A secret for the authenticator app. It is in force once it is confirmed by a first code."""
        begun = services.begin_two_factor(actor=self.principal())
        message = "Add the secret to your authenticator app, then confirm with its first code."
        return Response({"message": message, "secret": begun.secret, "otpauth_url": begun.address}, status=201)

    @extend_schema(request=OtpInput, responses=answer("TwoFactorConfirmed", **RECOVERY_CODES))
    def confirm(self, request: Request) -> Response:
        codes = services.confirm_two_factor(actor=self.principal(), **self.validated(OtpInput, request))
        keep_signed_in(request._request, self._user())
        message = "Two-factor sign-in is on. Keep the recovery codes: they are shown this once."
        return Response({"message": message, "recovery_codes": codes})

    @extend_schema(request=OtpInput, responses=answer("RecoveryCodesRenewed", **RECOVERY_CODES))
    def renew_recovery_codes(self, request: Request) -> Response:
        codes = services.renew_recovery_codes(actor=self.principal(), **self.validated(OtpInput, request))
        return Response(
            {"message": "These codes replace the old ones. They are shown this once.", "recovery_codes": codes}
        )

    @extend_schema(request=DisableTwoFactorInput, responses=SentenceSerializer)
    def disable(self, request: Request) -> Response:
        check_sign_in(request, self.principal().label)
        services.disable_two_factor(actor=self.principal(), **self.validated(DisableTwoFactorInput, request))
        keep_signed_in(request._request, self._user())
        return Response({"message": "Two-factor sign-in is off."})
