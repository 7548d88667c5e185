"""The base of the serializers that show rows and take none.

DRF makes the fields anew for every answer and asks each of them for its value in several steps, which is most of the
time of a list. Here a class's fields are made once, and a value is one attribute and one conversion away.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

from django.db import models
from rest_framework import serializers

Row = TypeVar("Row", bound=models.Model)
Read = Callable[[Any], Any]


class RecordSerializer(serializers.ModelSerializer[Row]):
    def to_representation(self, instance: Row) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for name, read, show in _plan(type(self)):
            if isinstance(read, str):
                record[name] = getattr(self, read)(instance)
            else:
                value = read(instance)
                record[name] = None if value is None else show(value)
        return record


@cache
def _plan(kind: type[RecordSerializer[Any]]) -> tuple[tuple[str, str | Read, Read], ...]:
    """Name, how to read the value (or the serializer's method that does), and how to show it, of each field."""
    plan: list[tuple[str, str | Read, Read]] = []
    for name, field in kind().fields.items():
        if isinstance(field, serializers.SerializerMethodField):
            plan.append((name, str(field.method_name), field.to_representation))
        elif _is_plain(field, kind.Meta.model):
            plan.append((name, attrgetter(".".join(field.source_attrs)), _show(field)))
        else:
            plan.append((name, field.get_attribute, field.to_representation))
    return tuple(plan)


def _show(field: serializers.Field[Any, Any, Any, Any]) -> Read:
    if type(field) is serializers.DateTimeField:
        return _moment
    return field.to_representation


def _moment(value: datetime) -> str:
    """As DRF writes it, which first finds out what zone the server is in: always UTC."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _is_plain(field: serializers.Field[Any, Any, Any, Any], model: type[models.Model]) -> bool:
    """Its value is an attribute, at the end of a chain that cannot break off."""
    if isinstance(field, serializers.BaseSerializer | serializers.RelatedField | serializers.ManyRelatedField):
        return False
    if len(field.source_attrs) > 1 and field.allow_null:
        return False
    return bool(field.source_attrs) and not callable(getattr(model, field.source_attrs[0], None))
