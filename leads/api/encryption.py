"""Whether the personal data of a company's leads lie encrypted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from knowrithm.api.permissions import ADMIN
from knowrithm.api.responses import single
from knowrithm.api.schema import answer
from knowrithm.api.views import ApiViewSet
from leads import services
from leads.selectors import encryption_state


class EncryptionInput(serializers.Serializer[Any]):
    is_on = serializers.BooleanField()


class EncryptionSerializer(EncryptionInput):
    total = serializers.IntegerField()
    rewritten = serializers.IntegerField(help_text="How many of them lie as `is_on` says.")


STATE = answer("LeadEncryption", lead_encryption=EncryptionSerializer())


class LeadEncryptionViewSet(ApiViewSet):
    access = ADMIN

    @extend_schema(responses=STATE)
    def retrieve(self, request: Request) -> Response:
        return Response(single("lead_encryption", asdict(encryption_state())))

    @extend_schema(request=EncryptionInput, responses=STATE)
    def update(self, request: Request) -> Response:
        """What is stored already is rewritten in the background."""
        services.set_lead_encryption(actor=self.principal(), **self.validated(EncryptionInput, request))
        return Response(single("lead_encryption", asdict(encryption_state()), message="Saved."))
