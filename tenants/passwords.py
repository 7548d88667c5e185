"""The rules for passwords, beside Django's own validators. `settings.AUTH_PASSWORD_VALIDATORS` lists them all."""

from __future__ import annotations

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from knowrithm.errors import InvalidInputError
from tenants.models import User

MAX_LENGTH = 200
RULES = "8 to 200 characters: no common password, not only digits, and nothing like your name or e-mail address."


class MaximumLengthValidator:
    """Longer texts would only cost time to hash."""

    def validate(self, password: str, user: object = None) -> None:
        if len(password) > MAX_LENGTH:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self) -> str:
        return f"A password has at most {MAX_LENGTH} characters."


def check_new_password(password: str, user: User, *, field: str = "password") -> None:
    """Raises `InvalidInputError` that names every rule which the password breaks, at the input `field`."""
    faults: list[str] = []
    try:
        validate_password(password, user)
    except ValidationError as error:
        faults = error.messages
    if not faults and user.password and user.has_usable_password() and user.check_password(password):
        faults = ["This is the present password. Choose another one."]
    if faults:
        raise InvalidInputError(faults[0], fields={field: faults})
