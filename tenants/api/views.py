from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.contrib.auth import logout
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from knowrithm.api.permissions import ADMIN, ANYONE_OF_COMPANY, PUBLIC, READ, SIGNED_IN, WRITE
from knowrithm.api.responses import single
from knowrithm.api.schema import SentenceSerializer, answer
from knowrithm.api.throttling import client_address, limit
from knowrithm.api.views import ApiViewSet
from knowrithm.errors import AuthenticationFailedError
from tenants import services
from tenants.api.authentication import bearer_token
from tenants.api.serializers import (
    ApiKeyInput,
    ApiKeySerializer,
    CompanyInput,
    CompanySerializer,
    LoginInput,
    ProfileInput,
    RefreshInput,
    RegisterInput,
    SignedInAnswer,
    TokenFields,
    UserInput,
    UserSerializer,
)
from tenants.models import ApiKey, Company, User
from tenants.tokens import TokenPair


def token_fields(pair: TokenPair) -> dict[str, Any]:
    return {
        "access_token": pair.access,
        "refresh_token": pair.refresh,
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
        "expires_at": timezone.now() + timedelta(seconds=pair.expires_in),
    }


def _start_session(request: Request, user: User, message: str) -> dict[str, Any]:
    signed_in = services.start_session(
        user=user, ip_address=client_address(request), user_agent=request.headers.get("User-Agent", "")
    )
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
        return Response(_start_session(request, user, "Welcome to Knowrithm."), status=201)


class LoginViewSet(ApiViewSet):
    access = PUBLIC
    throttle_classes = (limit("login"),)

    @extend_schema(request=LoginInput, responses=SignedInAnswer)
    def login(self, request: Request) -> Response:
        user = services.verify_password(**self.validated(LoginInput, request))
        return Response(_start_session(request, user, "Signed in."))

    @extend_schema(request=RefreshInput, responses=TokenFields)
    def refresh(self, request: Request) -> Response:
        """The refresh token as Bearer or as `refresh_token` in the body. It is good for one use."""
        token = bearer_token(request.headers) or str(self.validated(RefreshInput, request).get("refresh_token", ""))
        if not token:
            raise AuthenticationFailedError("Send the refresh token as Bearer or as refresh_token.")
        signed_in = services.refresh_session(refresh_token=token)
        return Response(token_fields(signed_in.tokens))


class AccountViewSet(ApiViewSet):
    """The person behind the credential."""

    needs_company = False
    access = {
        "logout": SIGNED_IN,
        "me": READ,
        "profile": READ,
        "update_profile": WRITE,
        "create_user": ADMIN,
        "validate": ANYONE_OF_COMPANY,
    }

    def _user(self) -> User:
        return User.objects.select_related("company").get(pk=self.principal().person_id)

    @extend_schema(request=None, responses=SentenceSerializer)
    def logout(self, request: Request) -> Response:
        principal = self.principal()
        if principal.session_id and principal.user_id:
            services.end_session(session_id=principal.session_id, user_id=principal.user_id)
        else:  # signed in with the dashboard's cookie
            logout(request._request)
        return Response({"message": "Signed out."})

    @extend_schema(responses=answer("Me", user=UserSerializer(), company=CompanySerializer()))
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
        user = services.update_profile(user=self._user(), changes=self.validated(ProfileInput, request))
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
            company=CompanySerializer(),
            api_key_info=ApiKeySerializer(allow_null=True),
        )
    )
    def validate(self, request: Request) -> Response:
        principal, user = self.principal(), self._user()
        key = ApiKey.objects.filter(pk=principal.id).first() if principal.kind == "api_key" else None
        return Response(
            {
                "valid": True,
                "user": UserSerializer(user).data,
                "company": CompanySerializer(user.company).data if user.company else None,
                "api_key_info": ApiKeySerializer(key).data if key else None,
            }
        )


class ApiKeyViewSet(ApiViewSet):
    access = SIGNED_IN

    @extend_schema(responses=answer("ApiKeys", api_keys=ApiKeySerializer(many=True)))
    def list(self, request: Request) -> Response:
        principal = self.principal()
        keys = ApiKey.objects.filter(company_id=principal.company_id)
        if not principal.is_admin:
            keys = keys.filter(user_id=principal.person_id)
        rows = ApiKeySerializer(keys, many=True).data
        return Response({"api_keys": rows, "items": rows, "data": rows})

    @extend_schema(
        request=ApiKeyInput,
        responses={
            201: answer(
                "ApiKeyCreated",
                message=serializers.CharField(),
                api_key=serializers.CharField(),
                api_secret=serializers.CharField(),
                details=ApiKeySerializer(),
            )
        },
    )
    def create(self, request: Request) -> Response:
        made = services.create_api_key(actor=self.principal(), **self.validated(ApiKeyInput, request))
        return Response(
            {
                "message": "API key created. The secret is shown this once.",
                "id": made.row.id,
                "api_key": made.row.key,
                "api_secret": made.secret,
                "secret": made.secret,
                "details": ApiKeySerializer(made.row).data,
            },
            status=201,
        )

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, api_key_id: uuid.UUID) -> Response:
        row = services.revoke_api_key(actor=self.principal(), api_key_id=api_key_id)
        return Response({"message": "API key revoked.", "api_key_id": row.id})


class CompanyViewSet(ApiViewSet):
    access = {"create": PUBLIC, "retrieve": READ}

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("register")()] if self.action == "create" else []

    @extend_schema(request=CompanyInput, responses={201: CompanySerializer})
    def create(self, request: Request) -> Response:
        company = services.create_company(**self.validated(CompanyInput, request))
        return Response(single("company", CompanySerializer(company).data, message="Company created."), status=201)

    @extend_schema(responses=CompanySerializer)
    def retrieve(self, request: Request) -> Response:
        """The caller's own company."""
        company = Company.objects.get(pk=self.principal().company_id)
        record = CompanySerializer(company).data
        return Response(single("company", record, companies=[record], data=[record]))
