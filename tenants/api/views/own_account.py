"""What people do about their own account: where they are signed in, their password, their e-mail address."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from knowrithm.api.permissions import ONESELF, PUBLIC, SIGNED_IN
from knowrithm.api.schema import SentenceSerializer, answer
from knowrithm.api.throttling import check_mail, check_sign_in, limit
from knowrithm.api.views import ApiViewSet
from tenants import services
from tenants.api.serializers_accounts import EmailChange, EmailInput, PasswordChange, PasswordResetInput
from tenants.models import User, UserSession
from tenants.selectors import open_sessions
from tenants.sign_in import keep_signed_in


class SessionSerializer(serializers.ModelSerializer[UserSession]):
    is_current = serializers.SerializerMethodField()
    impersonator = serializers.SerializerMethodField(help_text="The super admin who acts as the person, if one does.")

    class Meta:
        model = UserSession
        fields = (
            "id", "kind", "ip_address", "user_agent", "is_current", "impersonator", "created_at", "last_seen_at",
            "expires_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_is_current(self, session: UserSession) -> bool:
        return bool(str(session.pk) == self.context["current"])

    def get_impersonator(self, session: UserSession) -> str | None:
        return session.impersonator.email if session.impersonator else None


class OwnAccountViewSet(ApiViewSet):
    needs_company = False
    access = {
        "sessions": SIGNED_IN,
        "end_session": SIGNED_IN,
        "end_other_sessions": SIGNED_IN,
        "change_password": ONESELF,
        "change_email": ONESELF,
    }

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("mail", per="credential")()] if self.action == "change_email" else []

    def _user(self) -> User:
        return User.objects.select_related("company").get(pk=self.principal().person_id)

    def _current(self) -> str | None:
        """The session that asks: a token's, or that of the dashboard's cookie."""
        own = self.principal().session_id
        return str(own) if own else None

    @extend_schema(responses=answer("Sessions", sessions=SessionSerializer(many=True)))
    def sessions(self, request: Request) -> Response:
        """Where the person is signed in, the latest first."""
        context = {"current": self._current()}
        rows = SessionSerializer(open_sessions(self._user()), many=True, context=context).data
        return Response({"sessions": rows, "items": rows, "data": rows})

    @extend_schema(responses=SentenceSerializer)
    def end_session(self, request: Request, session_id: uuid.UUID) -> Response:
        services.end_session(actor=self.principal(), session_id=session_id)
        return Response({"message": "That session has ended.", "session_id": session_id})

    @extend_schema(
        operation_id="auth_sessions_destroy_others",  # or it would be that of the address with an id
        responses=answer("SessionsEnded", message=serializers.CharField(), sessions_ended=serializers.IntegerField()),
    )
    def end_other_sessions(self, request: Request) -> Response:
        """All but the one that asks."""
        ended = services.end_other_sessions(actor=self.principal(), user=self._user(), keep_session_id=self._current())
        return Response({"message": "You were signed out everywhere else.", "sessions_ended": ended})

    @extend_schema(request=PasswordChange, responses=SentenceSerializer)
    def change_password(self, request: Request) -> Response:
        """Ends every session but the one that asks."""
        data: dict[str, Any] = self.validated(PasswordChange, request)
        user = self._user()
        check_sign_in(request, user.email)
        services.change_password(
            actor=self.principal(), user=user, current=data["current_password"], new=data["new_password"],
            keep_session_id=self._current(),
        )  # fmt: skip
        keep_signed_in(request._request, user)
        return Response({"message": "Your password was changed. You were signed out everywhere else."})

    @extend_schema(request=EmailChange, responses={202: SentenceSerializer})
    def change_email(self, request: Request) -> Response:
        """Mails a link to the new address; it takes the place of the old one when the link is opened."""
        user, data = self._user(), self.validated(EmailChange, request)
        check_sign_in(request, user.email)  # it tells whether the password is right
        services.change_email(actor=self.principal(), user=user, **data)
        told = f"Open the link that is mailed to {user.pending_email}." if user.pending_email else "It stays as it is."
        return Response({"message": told}, status=202)


class ForgottenPasswordViewSet(ApiViewSet):
    access = PUBLIC

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("mail" if self.action == "ask" else "login")()]

    @extend_schema(request=EmailInput, responses=SentenceSerializer)
    def ask(self, request: Request) -> Response:
        """Says the same whether there is such an account or not."""
        email = self.validated(EmailInput, request)["email"]
        check_mail(email)
        services.request_password_reset(email=email)
        return Response({"message": "If there is an account with this address, a mail with a link is on its way."})

    @extend_schema(request=PasswordResetInput, responses=SentenceSerializer)
    def reset(self, request: Request) -> Response:
        """By the token of the mailed link. Ends a lock-out and all sessions; afterwards the person signs in."""
        services.reset_password(**self.validated(PasswordResetInput, request))
        return Response({"message": "Your password was changed. Sign in with the new one."})
