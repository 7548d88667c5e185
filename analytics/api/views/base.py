from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer

from knowrithm.api.permissions import SUPER_ADMIN, Access
from knowrithm.api.views import ApiViewSet


class QueryViewSet(ApiViewSet):
    """Reads its parameters through a serializer: a wrong one is a 400 with its name."""

    def query(self, serializer: type[BaseSerializer[Any]], request: Request) -> dict[str, Any]:
        given = {name: value for name, value in request.query_params.items() if value != ""}
        bound = serializer(data=given)
        bound.is_valid(raise_exception=True)
        data: dict[str, Any] = bound.validated_data
        return data


class ConsoleViewSet(QueryViewSet):
    """For super admins with a token (or the dashboard's session), who have no company."""

    needs_company = False
    access: Access | dict[str, Access] = SUPER_ADMIN
