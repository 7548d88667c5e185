"""Re-encrypting what is stored, so that an old encryption key can be taken from the list, and hashing anew what values
are looked up by, so that an old SECRET_KEY can.

Every such column of every model is found by its field's class. What is in date is left alone: running again after any
interruption does the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, models, transaction
from django.db.models.functions import Cast
from django_tenants.utils import get_public_schema_name, get_tenant_model, schema_context

from knowrithm.db.fields import BlindIndexField, EncryptedTextField
from knowrithm.security.encryption import decrypt, encrypt, is_ciphertext, is_under_first_key

BATCH = 200  # rows that are read, and committed, at once


@dataclass(frozen=True, slots=True)
class Column:
    schema: str
    model: type[models.Model]
    field: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.model._meta.db_table}.{self.field}"


@dataclass(slots=True)
class Tally:
    """Of encrypted values. `older` were, or with a check are, under another key than the first."""

    current: int = 0
    older: int = 0
    unreadable: int = 0  # their key is not in the list
    doubles: int = 0  # blind indexes whose new value another row has: written by a process without the new key

    @property
    def seen(self) -> int:
        return self.current + self.older + self.unreadable + self.doubles

    def add(self, other: Tally) -> None:
        self.current += other.current
        self.older += other.older
        self.unreadable += other.unreadable
        self.doubles += other.doubles


def encrypted_columns() -> list[Column]:
    return _columns_of(EncryptedTextField)


def blind_indexes() -> list[Column]:
    return _columns_of(BlindIndexField)


def _columns_of(kind: type[models.Field[Any, Any]]) -> list[Column]:
    """Of the shared schema, and of every company's, archived ones too."""
    schemas: list[tuple[str, list[str]]] = [(get_public_schema_name(), settings.SHARED_APPS)]
    companies = get_tenant_model().objects.order_by("schema_name").values_list("schema_name", flat=True)
    schemas += [(schema, settings.TENANT_APPS) for schema in companies]
    return [
        Column(schema, model, field.name)
        for schema, names in schemas
        for config in apps.get_app_configs()
        if config.name in names
        for model in config.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, kind)
    ]


def rotate_column(column: Column, *, is_check: bool = False) -> Iterator[Tally]:
    """Work through a column in batches and yield what was found in each, once it is committed."""
    last: Any = None
    while True:
        with schema_context(column.schema), transaction.atomic():
            rows = _stored(column).exclude(stored="").order_by("pk")
            batch = list((rows if last is None else rows.filter(pk__gt=last)).values_list("pk", "stored")[:BATCH])
            tally = Tally()
            for pk, stored in batch:
                if not is_ciphertext(stored):
                    continue  # a column that may hold plain text as well
                if is_under_first_key(stored):
                    tally.current += 1
                    continue
                try:
                    text = decrypt(stored)
                except ImproperlyConfigured:
                    tally.unreadable += 1
                    continue
                tally.older += 1
                if not is_check:
                    # Only if nobody has written meanwhile: what is newer is under the first key anyway.
                    renewed = models.Value(encrypt(text), output_field=models.TextField())
                    _stored(column).filter(pk=pk, stored=stored).update(**{column.field: renewed})
        if not batch:
            return
        last = batch[-1][0]
        yield tally


def rebuild_index(column: Column, *, is_check: bool = False) -> Iterator[Tally]:
    """Work through a blind index in batches, as `rotate_column` does. A row is told by what it ought to have."""
    field = column.model._meta.get_field(column.field)
    assert isinstance(field, BlindIndexField)  # noqa: S101  # blind_indexes
    source = Column(column.schema, column.model, field.source)
    last: Any = None
    while True:
        with schema_context(column.schema), transaction.atomic():
            rows = _stored(source).exclude(stored="").order_by("pk")
            rows = rows if last is None else rows.filter(pk__gt=last)
            batch = list(rows.values_list("pk", "stored", column.field)[:BATCH])
            tally = Tally()
            for pk, stored, present in batch:
                try:
                    text = decrypt(stored) if is_ciphertext(stored) else stored
                except ImproperlyConfigured:
                    tally.unreadable += 1
                    continue
                renewed = field.index_of(text)
                if renewed == present:
                    tally.current += 1
                elif is_check or _renew(source, pk, stored, {column.field: renewed}):
                    tally.older += 1
                else:
                    tally.doubles += 1
        if not batch:
            return
        last = batch[-1][0]
        yield tally


def _renew(source: Column, pk: Any, stored: str, values: dict[str, str]) -> bool:
    try:
        with transaction.atomic():
            _stored(source).filter(pk=pk, stored=stored).update(**values)
    except IntegrityError:
        return False
    return True


def _stored(column: Column) -> models.QuerySet[Any]:
    """The rows with the column as it lies in the database, as `stored`."""
    manager: models.Manager[Any] = column.model._base_manager
    return manager.annotate(stored=Cast(column.field, models.TextField()))
