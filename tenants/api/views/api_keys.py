"""API keys."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from knowrithm.api.permissions import SIGNED_IN
from knowrithm.api.responses import single
from knowrithm.api.schema import SentenceSerializer, answer
from knowrithm.api.views import ApiViewSet
from tenants import services
from tenants.api.serializers import ApiKeyChange, ApiKeyInput, ApiKeySerializer, RotationInput
from tenants.selectors import api_keys_for, with_waiting_uses
from tenants.services import NewApiKey

SECRET_ANSWER = {
    "message": serializers.CharField(),
    "api_key": serializers.CharField(),
    "api_secret": serializers.CharField(),
    "details": ApiKeySerializer(),
}


def _with_secret(made: NewApiKey, message: str) -> dict[str, Any]:
    return {
        "message": message,
        "id": made.row.id,
        "api_key": made.row.key,
        "api_secret": made.secret,
        "secret": made.secret,
        "details": ApiKeySerializer(made.row).data,
    }


class ApiKeyViewSet(ApiViewSet):
    access = SIGNED_IN

    @extend_schema(responses=answer("ApiKeys", api_keys=ApiKeySerializer(many=True)))
    def list(self, request: Request) -> Response:
        principal = self.principal()
        keys = with_waiting_uses(principal.company_id, api_keys_for(principal))
        rows = ApiKeySerializer(keys, many=True).data
        return Response({"api_keys": rows, "items": rows, "data": rows})

    @extend_schema(
        request=ApiKeyInput,
        responses={201: answer("ApiKeyCreated", **SECRET_ANSWER)},
    )
    def create(self, request: Request) -> Response:
        made = services.create_api_key(actor=self.principal(), **self.validated(ApiKeyInput, request))
        return Response(_with_secret(made, "API key created. The secret is shown this once."), status=201)

    @extend_schema(request=ApiKeyChange, responses=answer("ApiKeyChanged", api_key=ApiKeySerializer()))
    def partial_update(self, request: Request, api_key_id: uuid.UUID) -> Response:
        changes = self.validated(ApiKeyChange, request)
        row = services.update_api_key(actor=self.principal(), api_key_id=api_key_id, changes=changes)
        return Response(single("api_key", ApiKeySerializer(row).data, message="API key changed."))

    @extend_schema(request=RotationInput, responses=answer("ApiKeyRotated", **SECRET_ANSWER))
    def rotate(self, request: Request, api_key_id: uuid.UUID) -> Response:
        """A new secret for the same key. The old one works until the overlap has ended."""
        made = services.rotate_api_key(
            actor=self.principal(), api_key_id=api_key_id, **self.validated(RotationInput, request)
        )
        return Response(_with_secret(made, "API key rotated. The new secret is shown this once."))

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, api_key_id: uuid.UUID) -> Response:
        row = services.revoke_api_key(actor=self.principal(), api_key_id=api_key_id)
        return Response({"message": "API key revoked.", "api_key_id": row.id})
