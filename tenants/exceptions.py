from __future__ import annotations

import uuid

from knowrithm.errors import AuthenticationFailedError, ConflictError, ForbiddenError, InvalidInputError, LockedError


class BadCredentialsError(AuthenticationFailedError):
    code = "INVALID_CREDENTIALS"


class AccountUnavailableError(AuthenticationFailedError):
    """The person or the company is suspended, archived or not set up."""

    code = "ACCOUNT_UNAVAILABLE"


class AccountLockedError(LockedError):
    code = "ACCOUNT_LOCKED"


class TwoFactorRequiredError(AuthenticationFailedError):
    """The password is right; the code of the second factor is missing."""

    code = "TWO_FACTOR_REQUIRED"


class TwoFactorInvalidError(AuthenticationFailedError):
    code = "TWO_FACTOR_INVALID"


class TwoFactorSetupRequiredError(ForbiddenError):
    """The company requires a second factor, and this person has not set one up."""

    code = "TWO_FACTOR_SETUP_REQUIRED"


class TwoFactorStateError(ConflictError):
    """It is on already, or not yet."""

    code = "TWO_FACTOR_STATE"


class SingleSignOnRequiredError(ForbiddenError):
    """The company's people sign in through its own provider, not by a password."""

    code = "SSO_REQUIRED"


class SingleSignOnError(AuthenticationFailedError):
    """The provider's answer was not accepted, or there was none."""

    code = "SSO_FAILED"


class AnotherPersonError(SingleSignOnError):
    """The provider gave an account's e-mail address to somebody else than the person it is linked to."""

    def __init__(self, message: str, *, user_id: uuid.UUID) -> None:
        super().__init__(message)
        self.user_id = user_id


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
