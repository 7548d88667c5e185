"""The company of a page request: the signed-in person's. Before and after every request, no company is set."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection
from django.http import HttpRequest, HttpResponseBase

from tenants.models import User


class CompanyMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        connection.set_schema_to_public()
        try:
            # API requests name their company by their own credential (tenants.api.authentication).
            if not request.path.startswith(("/api/", "/v1/")):
                user = request.user
                if isinstance(user, User) and user.company is not None:
                    connection.set_tenant(user.company)
            return self.get_response(request)
        finally:
            connection.set_schema_to_public()
