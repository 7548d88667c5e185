"""What surrounds every request: who it is, whose company, and what an API key's call is counted as."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import SimpleLazyObject

from knowrithm.db.schema import enter_company, leave_company
from tenants import key_use
from tenants.browser import person_of
from tenants.models import User


class BrowserMiddleware(AuthenticationMiddleware):
    """Django's `request.user`, but only while the `UserSession` that the cookie names is open."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.user = SimpleLazyObject(lambda: person_of(request))  # type: ignore[assignment]  # lazy, as Django's own


class KeyUseMiddleware:
    """Counts the calls of API keys when they have been answered, and tells the caller how many are left."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        key_use.begin_request()
        started = time.perf_counter()
        response = self.get_response(request)
        use, match = key_use.current_use(), request.resolver_match
        if use is not None and match is not None:
            count = partial(
                key_use.count_use,
                use,
                method=str(request.method),
                endpoint=key_use.endpoint_of(match.route),
                status=response.status_code,
                milliseconds=(time.perf_counter() - started) * 1000,
            )
            # Once the caller has the answer. The thread does it before it takes the next request.
            response._resource_closers.append(count)  # type: ignore[attr-defined]  # not in the stubs
            for name, value in use.headers.items():
                response[name] = value
        return response


class CompanyMiddleware:
    """The company of a page request: the signed-in person's. Before and after every request, no company is set."""

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
