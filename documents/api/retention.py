from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from documents.services import set_document_retention
from knowrithm.api.permissions import SIGNED_IN_ADMIN
from knowrithm.api.responses import single
from knowrithm.api.schema import answer
from knowrithm.api.views import ApiViewSet
from tenants.models import Company


class DocumentRetention(serializers.Serializer[Any]):
    version_days = serializers.IntegerField(
        allow_null=True, help_text="Of earlier versions that no answer cites. Null keeps them for ever."
    )
    archive_days = serializers.IntegerField(
        allow_null=True, help_text="Of all archived documents. Null keeps them for ever."
    )


RETENTION = answer("DocumentRetentionAnswer", document_retention=DocumentRetention())


def _record(company: Company) -> dict[str, int | None]:
    return {"version_days": company.version_retention_days, "archive_days": company.archive_retention_days}


class RetentionViewSet(ApiViewSet):
    access = {"retrieve": SIGNED_IN_ADMIN, "update": SIGNED_IN_ADMIN}

    @extend_schema(responses=RETENTION)
    def retrieve(self, request: Request) -> Response:
        return Response(single("document_retention", _record(Company.objects.get(pk=self.principal().company_id))))

    @extend_schema(request=DocumentRetention, responses=RETENTION)
    def update(self, request: Request) -> Response:
        """How many days after they were archived earlier versions and archived documents are kept."""
        company = set_document_retention(actor=self.principal(), **self.validated(DocumentRetention, request))
        return Response(single("document_retention", _record(company), message="Saved."))
