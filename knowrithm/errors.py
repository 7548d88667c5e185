"""What a service raises when it will not do what was asked. The API and the pages turn it into an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class ServiceError(Exception):
    """`str(error)` is a sentence for the caller; `code` is stable; `fields` maps an input's name to its faults."""

    code = "BAD_REQUEST"
    status = 400
    retry_after: int | None = None  # seconds, where waiting helps

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        fields: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code or self.code
        self.fields = dict(fields or {})


class InvalidInputError(ServiceError):
    code = "VALIDATION_ERROR"


class AuthenticationFailedError(ServiceError):
    code = "AUTHENTICATION_FAILED"
    status = 401


class ForbiddenError(ServiceError):
    code = "FORBIDDEN"
    status = 403


class NotFoundError(ServiceError):
    """Also said of what another company owns: nobody learns that it exists."""

    code = "NOT_FOUND"
    status = 404


class ConflictError(ServiceError):
    code = "CONFLICT"
    status = 409


class TooLargeError(ServiceError):
    code = "TOO_LARGE"
    status = 413


class LockedError(ServiceError):
    code = "LOCKED"
    status = 423

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimitedError(ServiceError):
    code = "RATE_LIMITED"
    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnavailableError(ServiceError):
    code = "UNAVAILABLE"
    status = 503
