"""The person and the company of a page request. Before and after every request, no company is set."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import SimpleLazyObject

from knowrithm.db.schema import enter_company, leave_company
from tenants.browser import person_or_anonymous
from tenants.models import User


class PersonMiddleware:
    """After Django's own: `request.user` is the person as whom a super admin acts, where one does."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.user = SimpleLazyObject(lambda: person_or_anonymous(request))  # type: ignore[assignment]  # as Django
        return self.get_response(request)


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
