"""The base of the API's viewsets."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ViewSet

from knowrithm.api.caller import caller
from knowrithm.api.parsers import check_text
from knowrithm.api.permissions import Access
from knowrithm.principal import Principal


class ApiViewSet(ViewSet):
    """Routes name the action (`as_view({"get": "list"})`); `access` declares what each action asks of its caller."""

    access: Access | dict[str, Access]
    needs_company = True  # False where a super admin, who has none, may come too

    def get_authenticators(self) -> list[BaseAuthentication]:
        """On a public action no credential is looked at, so a wrong one does no harm: clients send dummy keys."""
        method = getattr(self.request, "method", "")  # there is no request while the OpenAPI schema is drawn
        action = self.action_map.get((method or "").lower())
        access = self.access if isinstance(self.access, Access) else self.access.get(str(action))
        return [] if access is not None and access.is_public else super().get_authenticators()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.needs_company and (principal := caller(request)) is not None:
            _ = principal.tenant  # refuses who has no company
        check_text(request.query_params)
        check_text(kwargs)
        if request.method not in SAFE_METHODS:
            check_text(request.data)

    def principal(self) -> Principal:
        """The caller. Only for actions that are not public: `HasAccess` has let nobody else through."""
        principal = caller(self.request)
        assert principal is not None  # noqa: S101  # states what HasAccess guarantees
        return principal

    def validated(self, serializer: type[BaseSerializer[Any]], request: Request, **options: Any) -> dict[str, Any]:
        bound = serializer(data=request.data, **options)
        bound.is_valid(raise_exception=True)
        data: dict[str, Any] = bound.validated_data
        return data
