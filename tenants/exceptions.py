from __future__ import annotations

from knowrithm.errors import AuthenticationFailedError, ConflictError, LockedError


class BadCredentialsError(AuthenticationFailedError):
    code = "INVALID_CREDENTIALS"


class AccountUnavailableError(AuthenticationFailedError):
    """The person or the company is suspended, archived or not set up."""

    code = "ACCOUNT_UNAVAILABLE"


class AccountLockedError(LockedError):
    code = "ACCOUNT_LOCKED"


class AlreadyRegisteredError(ConflictError):
    code = "ALREADY_REGISTERED"
