"""The person behind the credential."""

from __future__ import annotations

from django.contrib.auth import logout
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from knowrithm.api.permissions import ADMIN_OR_WRITE_KEY, ANYONE_OF_COMPANY, READ, SIGNED_IN, WRITE
from knowrithm.api.responses import single
from knowrithm.api.schema import SentenceSerializer, answer
from knowrithm.api.views import ApiViewSet
from tenants import services
from tenants.api.authentication import BrowserAuthentication
from tenants.api.serializers import (
    ApiKeySerializer,
    CompanySerializer,
    ProfileInput,
    UserInput,
    UserSerializer,
)
from tenants.browser import stop_acting
from tenants.models import ApiKey, User
from tenants.selectors import session_by_id, with_waiting_uses


class AccountViewSet(ApiViewSet):
    """The person behind the credential."""

    needs_company = False
    access = {
        "logout": SIGNED_IN,
        "me": READ,
        "profile": READ,
        "update_profile": WRITE,
        "create_user": ADMIN_OR_WRITE_KEY,
        "validate": ANYONE_OF_COMPANY,
    }

    def _user(self) -> User:
        return User.objects.select_related("company").get(pk=self.principal().person_id)

    @extend_schema(request=None, responses=SentenceSerializer)
    def logout(self, request: Request) -> Response:
        principal = self.principal()
        if principal.impersonator_id:
            stopped = stop_acting(request._request)
            if stopped is None and (session := session_by_id(principal.session_id)):
                services.end_impersonation(session=session, actor=principal)
        elif isinstance(request.successful_authenticator, BrowserAuthentication):
            logout(request._request)  # which ends the session too
        elif principal.session_id and principal.user_id:
            services.end_session(actor=principal, session_id=principal.session_id)
        return Response({"message": "Signed out."})

    @extend_schema(responses=answer("Me", user=UserSerializer(), company=CompanySerializer(allow_null=True)))
    def me(self, request: Request) -> Response:
        user = self._user()
        company = CompanySerializer(user.company).data if user.company else None
        return Response({"user": UserSerializer(user).data, "company": company})

    @extend_schema(responses=answer("Profile", user=UserSerializer()))
    def profile(self, request: Request) -> Response:
        return Response(single("user", UserSerializer(self._user()).data))

    @extend_schema(
        request=ProfileInput,
        responses=answer("ProfileUpdated", message=serializers.CharField(), user=UserSerializer()),
    )
    def update_profile(self, request: Request) -> Response:
        user = services.update_profile(
            actor=self.principal(), user=self._user(), changes=self.validated(ProfileInput, request)
        )
        return Response({"message": "Profile updated.", "user": UserSerializer(user).data})

    @extend_schema(
        request=UserInput,
        responses={201: answer("UserCreated", message=serializers.CharField(), user=UserSerializer())},
    )
    def create_user(self, request: Request) -> Response:
        user = services.create_user(actor=self.principal(), **self.validated(UserInput, request))
        return Response({"message": "User created.", "user": UserSerializer(user).data}, status=201)

    @extend_schema(
        responses=answer(
            "Validated",
            valid=serializers.BooleanField(),
            user=UserSerializer(),
            company=CompanySerializer(allow_null=True),
            api_key_info=ApiKeySerializer(allow_null=True),
        )
    )
    def validate(self, request: Request) -> Response:
        principal, user = self.principal(), self._user()
        [key] = (
            with_waiting_uses(principal.company_id, ApiKey.objects.filter(pk=principal.id))
            if principal.kind == "api_key"
            else [None]
        )
        return Response(
            {
                "valid": True,
                "user": UserSerializer(user).data,
                "company": CompanySerializer(user.company).data if user.company else None,
                "api_key_info": ApiKeySerializer(key).data if key else None,
            }
        )
