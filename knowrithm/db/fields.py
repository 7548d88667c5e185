from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from knowrithm.security.encryption import decrypt, encrypt


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]  # the stubs' parameters do not exist at run time
    """Text that is encrypted at rest. It cannot be filtered on: equal texts differ in the database."""

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(str(value)) if value else ""

    def from_db_value(self, value: str | None, *_: object) -> str:
        return decrypt(value) if value else ""


class BlindIndexField(models.CharField):  # type: ignore[type-arg]  # the stubs' parameters do not exist at run time
    """A keyed hash of what stands in the field `source`, to look it up by. `rotate_encryption` keeps it in date."""

    source: ClassVar[str]

    def index_of(self, text: str) -> str:
        """The hash under today's SECRET_KEY, in the company whose schema is set."""
        raise NotImplementedError

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        value = self.index_of(getattr(model_instance, self.source))
        setattr(model_instance, self.attname, value)
        return value
