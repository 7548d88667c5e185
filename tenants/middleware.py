"""The person of a page request, and the company: theirs. Before and after every request, no company is set."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import SimpleLazyObject

from knowrithm.db.schema import enter_company, leave_company
from tenants.browser import person_of
from tenants.models import User


class BrowserMiddleware(AuthenticationMiddleware):
    """Django's `request.user`, but only while the `UserSession` that the cookie names is open."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.user = SimpleLazyObject(lambda: person_of(request))  # type: ignore[assignment]  # lazy, as Django's own


class CompanyMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        leave_company()
        try:
            # API requests name their company by their own credential (tenants.api.authentication).
            if not request.path.startswith(("/api/", "/v1/")):
                user = request.user
                if isinstance(user, User) and user.company is not None:
                    enter_company(user.company)
            return self.get_response(request)
        finally:
            leave_company()
