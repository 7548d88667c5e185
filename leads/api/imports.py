"""Leads from a CSV file: it is checked, somebody starts the import, and a task tells how far that is."""

from __future__ import annotations

import uuid

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from knowrithm.api.permissions import READ, WRITE
from knowrithm.api.responses import single, task_fields
from knowrithm.api.schema import answer
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from leads import selectors, services
from leads.api.serializers import (
    ImportColumnSerializer,
    ImportEncodingInput,
    LeadImportInput,
    LeadImportSerializer,
)
from leads.export import refused_download
from leads.models import LeadImport


class ImportRecord(LeadImportSerializer):
    """`columns` and `first_rows` are empty once the import was started."""

    columns = ImportColumnSerializer(many=True)
    first_rows = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))

    class Meta(LeadImportSerializer.Meta):
        fields = (*LeadImportSerializer.Meta.fields, "columns", "first_rows")  # type: ignore[assignment]  # more of them
        read_only_fields = fields  # type: ignore[assignment]  # as above


ImportAnswer = answer("LeadImportAnswer", lead_import=ImportRecord())


class LeadImportViewSet(ApiViewSet):
    access = {"create": WRITE, "retrieve": READ, "recheck": WRITE, "start": WRITE, "refused": READ}

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("upload", per="company")()] if self.action in {"create", "recheck"} else []

    @extend_schema(request={"multipart/form-data": LeadImportInput}, responses={201: ImportAnswer})
    def create(self, request: Request) -> Response:
        """Read every row and write none: what is wrong with which row is answered."""
        row = services.check_import(actor=self.principal(), **self.validated(LeadImportInput, request))
        return Response(_record(row), status=201)

    @extend_schema(responses=ImportAnswer)
    def retrieve(self, request: Request, import_id: uuid.UUID) -> Response:
        return Response(_record(selectors.get_import(import_id)))

    @extend_schema(request=ImportEncodingInput, responses=ImportAnswer)
    def recheck(self, request: Request, import_id: uuid.UUID) -> Response:
        """Read the file again in another encoding, before it is started."""
        encoding = self.validated(ImportEncodingInput, request)["encoding"]
        row = selectors.get_import(import_id)
        return Response(_record(services.recheck_import(actor=self.principal(), row=row, encoding=encoding)))

    @extend_schema(
        request=None,
        responses={
            202: answer(
                "LeadImportStarted",
                lead_import=ImportRecord(),
                task_id=serializers.UUIDField(),
                status_url=serializers.CharField(),
                message=serializers.CharField(),
            )
        },
    )
    def start(self, request: Request, import_id: uuid.UUID) -> Response:
        """Have a worker write the rows that have no fault. Leads that are there already stay as they are."""
        row = services.start_import(actor=self.principal(), row=selectors.get_import(import_id))
        body = {**_record(row), **task_fields(row.task_id), "message": "The leads are being imported."}
        return Response(body, status=202)

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def refused(self, request: Request, import_id: uuid.UUID) -> StreamingHttpResponse:
        """A CSV file with the line of every row that was refused, and why."""
        return refused_download(request._request, selectors.get_import(import_id))


def _record(row: LeadImport) -> dict[str, object]:
    preview = selectors.preview_of_import(row)
    columns = [{"name": column.name, "field": column.field or None} for column in preview.columns]
    return single("lead_import", {**LeadImportSerializer(row).data, "columns": columns, "first_rows": preview.rows})
