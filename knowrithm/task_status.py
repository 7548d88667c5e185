from __future__ import annotations

import uuid

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from knowrithm.api.permissions import PUBLIC
from knowrithm.api.views import ApiViewSet
from knowrithm.errors import NotFoundError, ServiceError
from knowrithm.jobs import note_polling, read_task
from knowrithm.principal import Principal


class TaskViewSet(ApiViewSet):
    """The unguessable id opens a task; a credential of its company keeps it open for as long as it is kept."""

    access = PUBLIC

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def status(self, request: Request, task_id: uuid.UUID) -> Response:
        record = read_task(str(task_id))
        if record is None or not record.is_readable_by(self._schema(request)):
            raise NotFoundError("There is no such task, or it has expired.")
        note_polling(record)
        headers = {} if record.is_over else {"Retry-After": "0.5"}
        return Response(record.as_document(), headers=headers)

    @staticmethod
    def _schema(request: Request) -> str | None:
        """The caller's company, if a good credential came along; a bad one is no reason to refuse."""
        for authenticator in (kind() for kind in ApiViewSet.authentication_classes):
            try:
                found = authenticator.authenticate(request)
            except ServiceError:
                continue
            if found and isinstance(found[0], Principal):
                return found[0].company.schema_name if found[0].company else None
        return None
