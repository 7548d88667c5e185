from __future__ import annotations

from knowrithm.errors import AuthenticationFailedError, ConflictError, ForbiddenError, InvalidInputError, LockedError


class BadCredentialsError(AuthenticationFailedError):
    code = "INVALID_CREDENTIALS"


class AccountUnavailableError(AuthenticationFailedError):
    """The person or the company is suspended, archived or not set up."""

    code = "ACCOUNT_UNAVAILABLE"


class AccountLockedError(LockedError):
    code = "ACCOUNT_LOCKED"


class AlreadyRegisteredError(ConflictError):
    code = "ALREADY_REGISTERED"


class PasswordResetRequiredError(ForbiddenError):
    """The password is right, but an admin wants a new one."""

    code = "PASSWORD_RESET_REQUIRED"


class InvalidLinkError(InvalidInputError):
    """A mailed link's token is unknown, used, expired or has been replaced: the answer does not say which."""

    code = "LINK_INVALID"


class InvitationExistsError(ConflictError):
    code = "INVITATION_EXISTS"
