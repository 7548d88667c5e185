"""OpenAPI: what drf-spectacular cannot see for itself."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema as SpectacularAutoSchema
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers

CANONICAL = "/api/v1/"


def only_canonical_prefix(endpoints: list[tuple[str, str, str, Any]], **_: Any) -> list[tuple[str, str, str, Any]]:
    """The API answers under three prefixes; the schema describes the one to use."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith(CANONICAL)]


class AutoSchema(SpectacularAutoSchema):
    def get_tags(self) -> list[str]:
        """The app that owns the view, as the documentation's chapter."""
        return [type(self.view).__module__.split(".")[0].capitalize()]


def answer(name: str, **fields: Any) -> Any:
    """A serializer that only describes an answer's envelope: `answer("AgentAnswer", agent=AgentSerializer())`."""
    return inline_serializer(name, fields)


def page(name: str, key: str, rows: Any) -> Any:
    """The description of a page of `rows` under `key` (the aliases beside it are not described)."""
    return answer(name, **{key: rows, "pagination": PaginationSerializer()})


class PaginationSerializer(serializers.Serializer[Any]):
    page = serializers.IntegerField()
    per_page = serializers.IntegerField()
    total = serializers.IntegerField()
    pages = serializers.IntegerField()
    has_next = serializers.BooleanField()
    has_prev = serializers.BooleanField()


class SentenceSerializer(serializers.Serializer[Any]):
    message = serializers.CharField()


PAGE_PARAMETERS = [
    OpenApiParameter("page", int, description="From 1."),
    OpenApiParameter("per_page", int, description="At most 100."),
]
