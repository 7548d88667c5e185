"""Registering and signing in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from knowrithm.api.permissions import PUBLIC
from knowrithm.api.throttling import check_account, client_address, limit
from knowrithm.api.views import ApiViewSet
from knowrithm.errors import AuthenticationFailedError
from tenants import services
from tenants.api.authentication import bearer_token
from tenants.api.serializers import (
    CompanySerializer,
    LoginInput,
    RefreshInput,
    RegisterInput,
    SignedInAnswer,
    TokenFields,
    UserSerializer,
)
from tenants.tokens import TokenPair


def token_fields(pair: TokenPair) -> dict[str, Any]:
    return {
        "access_token": pair.access,
        "refresh_token": pair.refresh,
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
        "expires_at": timezone.now() + timedelta(seconds=pair.expires_in),
    }


def device_of(request: Request) -> dict[str, str]:
    return {"ip_address": client_address(request), "user_agent": request.headers.get("User-Agent", "")}


def signed_in_answer(signed_in: services.SignedIn, message: str) -> dict[str, Any]:
    user = signed_in.user
    return {
        **token_fields(signed_in.tokens),
        "message": message,
        "user": UserSerializer(user).data,
        "company": CompanySerializer(user.company).data if user.company else None,
    }


class RegisterViewSet(ApiViewSet):
    access = PUBLIC
    throttle_classes = (limit("register"),)

    @extend_schema(request=RegisterInput, responses={201: SignedInAnswer})
    def create(self, request: Request) -> Response:
        data = self.validated(RegisterInput, request)
        if "company_id" in data:
            data.pop("phone")
            user = services.register_first_admin(**data)
        else:
            user = services.register_company(**data)
        signed_in = services.start_session(user=user, **device_of(request))
        return Response(signed_in_answer(signed_in, "Welcome to Knowrithm."), status=201)


class LoginViewSet(ApiViewSet):
    access = PUBLIC
    throttle_classes = (limit("login"),)

    @extend_schema(request=LoginInput, responses=SignedInAnswer)
    def login(self, request: Request) -> Response:
        """Who has a second factor sends its code, or a recovery code, as `otp`."""
        data = self.validated(LoginInput, request)
        check_account(data["email"])
        user = services.verify_password(email=data["email"], password=data["password"])
        services.pass_second_step(user=user, otp=data["otp"])
        return Response(signed_in_answer(services.sign_in(user=user, **device_of(request)), "Signed in."))

    @extend_schema(request=RefreshInput, responses=TokenFields)
    def refresh(self, request: Request) -> Response:
        """The refresh token as Bearer or as `refresh_token` in the body. It is good for one use."""
        token = bearer_token(request.headers) or str(self.validated(RefreshInput, request).get("refresh_token", ""))
        if not token:
            raise AuthenticationFailedError("Send the refresh token as Bearer or as refresh_token.")
        signed_in = services.refresh_session(refresh_token=token)
        return Response(token_fields(signed_in.tokens))
