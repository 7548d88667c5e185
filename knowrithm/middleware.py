"""What every request passes: an id and its one log line, security headers, and a page for what was asked too often."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable

import structlog
from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from redis.exceptions import RedisError

from knowrithm.errors import RateLimitedError
from knowrithm.origin import NOWHERE, Origin, set_origin

log = structlog.get_logger("knowrithm.request")
ACCEPTABLE_ID = re.compile(r"[\w.-]{8,64}")
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"  # of answers that are no page: nothing in them is run


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if ACCEPTABLE_ID.fullmatch(given) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        address, agent = request.META.get("REMOTE_ADDR") or None, request.headers.get("User-Agent", "")
        set_origin(Origin(ip_address=address, user_agent=agent, request_id=request_id))
        started = time.perf_counter()
        try:
            response = self.get_response(request)
        finally:
            set_origin(NOWHERE)  # or a thread that goes on to other work would tell of this request
        response["X-Request-Id"] = request_id
        log.info(
            "request",
            method=request.method,
            path=request.path,  # never the query string: it may carry a token
            status=response.status_code,
            milliseconds=round((time.perf_counter() - started) * 1000, 1),
        )
        return response


class SecurityHeadersMiddleware(CSPMiddleware):
    """The content security policy, narrowest for data and wider for a few pages of others; the permissions policy."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        for prefix, directives in settings.CONTENT_SECURITY_POLICY_EXCEPTIONS.items():
            if request.path.startswith(prefix) and not report_only:
                parts.replace = {**directives, **(parts.replace or {})}
        return parts

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        if response.headers.get("Content-Type", "").startswith(("application/json", "application/javascript")):
            response.headers.setdefault("Content-Security-Policy", DATA_POLICY)
            return response
        answered: HttpResponseBase = super().process_response(request, response)
        return answered


class RefusalPageMiddleware:
    """A page that was asked for too often (429), or that Redis or PostgreSQL would be needed for while it restarts
    (503): with `Retry-After`, in words. The API answers for itself.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, RateLimitedError):
            response = render(request, "429.html", {"sentence": str(exception)}, status=exception.status)
            response["Retry-After"] = str(exception.retry_after)
            return response
        if isinstance(exception, RedisError | OperationalError | InterfaceError):
            log.error("service_unavailable", exc_info=exception)
            # Without the request: whose it is stands where nothing can be asked now.
            return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": "5"})
        return None
