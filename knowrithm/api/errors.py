"""Every 4xx and 5xx of the API in one envelope, readable by each published client."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import DisallowedHost, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from redis.exceptions import RedisError
from rest_framework import exceptions
from rest_framework.response import Response

from knowrithm.errors import ForbiddenError, ServiceError

log = structlog.get_logger(__name__)


def envelope(message: str, code: str, fields: Mapping[str, Any] | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "success": False,
        "error": message,
        "message": message,
        "code": code,
        "error_code": code,
        "details": {},
    }
    if fields:
        body["errors"] = {name: _sentences(faults) for name, faults in fields.items()}
        body["details"] = body["errors"]
    return body


def _sentences(faults: Any) -> list[str]:
    if isinstance(faults, Mapping):
        return [f"{name}: {text}" for name, inner in faults.items() for text in _sentences(inner)]
    if isinstance(faults, list | tuple):
        return [text for fault in faults for text in _sentences(fault)]
    return [str(faults)]


def _first_sentence(fields: Mapping[str, Any]) -> str:
    for name, faults in fields.items():
        for text in _sentences(faults):
            return text if name == "non_field_errors" else f"{name}: {text}"
    return "The request is not valid."


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook. What is not an expected error is logged with its traceback and answered without it."""
    if isinstance(error, ServiceError):
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
        return Response(envelope(str(error), error.code, error.fields), status=error.status, headers=headers)
    if isinstance(error, Http404):
        error = exceptions.NotFound("Not found.")
    elif isinstance(error, DjangoPermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, RequestDataTooBig | TooManyFieldsSent | TooManyFilesSent):
        return Response(envelope("The request is too large.", "TOO_LARGE"), status=413)
    if isinstance(error, RedisError | OperationalError | InterfaceError):
        # A restart of Redis or PostgreSQL: nothing has been done, and the next try finds a new connection.
        log.error("service_unavailable", exc_info=error)
        message = "A part of the service is not available at the moment. Try again in a few seconds."
        return Response(envelope(message, "UNAVAILABLE"), status=503, headers={"Retry-After": "5"})
    if isinstance(error, exceptions.ValidationError):
        fields = error.detail if isinstance(error.detail, Mapping) else {"non_field_errors": error.detail}
        return Response(envelope(_first_sentence(fields), "VALIDATION_ERROR", fields), status=400)
    if isinstance(error, exceptions.APIException):
        headers = {}
        if auth_header := getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = auth_header
        if wait := getattr(error, "wait", None):
            headers["Retry-After"] = str(max(1, round(wait)))
        code = str(error.get_codes()).upper() if isinstance(error.detail, str) else "ERROR"
        code = ForbiddenError.code if code == "PERMISSION_DENIED" else code  # one word for one thing
        return Response(envelope(str(error.detail), code), status=error.status_code, headers=headers)
    reference = uuid.uuid4().hex
    log.error("unhandled", reference=reference, view=type(context.get("view")).__name__, exc_info=error)
    message = f"Something went wrong on our side. Reference: {reference}."
    return Response({**envelope(message, "INTERNAL_ERROR"), "request_id": reference}, status=500)


def is_api(request: HttpRequest) -> bool:
    """Whether the path is the API's: those that browsers may call from anywhere."""
    return re.match(settings.CORS_URLS_REGEX, request.path) is not None


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What no view has seen, such as a Host header that names another server."""
    if not is_api(request):
        return defaults.bad_request(request, exception)
    is_host = isinstance(exception, DisallowedHost)
    sentence = "This server does not answer to the name in the Host header." if is_host else "The request is not valid."
    return JsonResponse(envelope(sentence, "BAD_REQUEST"), status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    """What failed outside of every view; Django has logged it."""
    if not is_api(request):
        return defaults.server_error(request)
    return JsonResponse(envelope("Something went wrong on our side. Try again.", "INTERNAL_ERROR"), status=500)


@csrf_exempt  # an unknown path is 404 for every verb
def not_found(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    """404 for an API path that no route knows (pages have their own)."""
    return JsonResponse(envelope("There is no such endpoint.", "NOT_FOUND"), status=404)
