"""API keys."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from knowrithm.api.permissions import ONESELF, SIGNED_IN
from knowrithm.api.schema import SentenceSerializer, answer
from knowrithm.api.views import ApiViewSet
from tenants import services
from tenants.api.serializers import (
    ApiKeyInput,
    ApiKeySerializer,
)
from tenants.models import ApiKey


class ApiKeyViewSet(ApiViewSet):
    access = {"list": SIGNED_IN, "create": ONESELF, "destroy": SIGNED_IN}

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
