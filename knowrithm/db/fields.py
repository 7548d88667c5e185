from __future__ import annotations

from typing import Any

from django.db import models

from knowrithm.security.encryption import decrypt, encrypt


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]  # the stubs' parameters do not exist at run time
    """Text that is encrypted at rest. It cannot be filtered on: equal texts differ in the database."""

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(str(value)) if value else ""

    def from_db_value(self, value: str | None, *_: object) -> str:
        return decrypt(value) if value else ""
