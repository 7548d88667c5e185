"""OpenAPI: what drf-spectacular cannot see for itself."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema as SpectacularAutoSchema
from drf_spectacular.plumbing import is_list_serializer
from drf_spectacular.utils import Direction, OpenApiParameter, inline_serializer
from rest_framework import serializers

CANONICAL = "/api/v1/"


def only_canonical_prefix(endpoints: list[tuple[str, str, str, Any]], **_: Any) -> list[tuple[str, str, str, Any]]:
    """The API answers under three prefixes; the schema describes the one to use."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith(CANONICAL)]


class AutoSchema(SpectacularAutoSchema):
    def get_tags(self) -> list[str]:
        """The app that owns the view, as the documentation's chapter."""
        return [type(self.view).__module__.split(".")[0].capitalize()]

    def get_request_serializer(self) -> Any:
        return None if self.method == "DELETE" else super().get_request_serializer()  # but where a view declares one

    def _get_request_body(self, direction: Direction = "request") -> Any:
        """The published clients send JSON with some DELETEs, which the generator takes to have no body."""
        generator: Any = super()  # without types
        if self.method != "DELETE" or self.get_request_serializer() is None:
            return generator._get_request_body(direction)
        self.method = "POST"
        try:
            return generator._get_request_body(direction)
        finally:
            self.method = "DELETE"

    def _insert_field_validators(self, field: Any, schema: Any) -> None:
        """An address of a record may be empty, where its column may be: then the answer's text has no format."""
        generator: Any = super()
        generator._insert_field_validators(field, schema)
        model: Any = getattr(getattr(field.parent, "Meta", None), "model", None)
        is_address = field.read_only and model is not None and schema.get("format") in {"uri", "email"}
        if is_address and model._meta.get_field(field.source).blank:
            del schema["format"]

    def _is_list_view(self, serializer: Any = None) -> bool:
        """An action named `list` names the operation; its answer is an object all the same, unless declared a list."""
        return super()._is_list_view() if serializer is None else is_list_serializer(serializer)

    def _get_response_bodies(self, direction: Direction = "response") -> Any:
        """With what every operation may answer: the envelope of errors. A DELETE answers like the others."""
        generator: Any = super()
        declared = self.get_response_serializers()
        if self.method == "DELETE" and not isinstance(declared, dict):
            bodies = {"200": generator._get_response_for_code(declared, "200", direction=direction)}
        else:
            bodies = generator._get_response_bodies(direction)
        return {
            **bodies,
            "4XX": generator._get_response_for_code(ErrorSerializer, "4XX", ["application/json"], direction),
        }


def answer(name: str, **fields: Any) -> Any:
    """A serializer that only describes an answer's envelope: `answer("AgentAnswer", agent=AgentSerializer())`."""
    return inline_serializer(name, fields)


def page(name: str, key: str, rows: Any) -> Any:
    """The description of a page of `rows` under `key` (the aliases beside it are not described)."""
    return answer(name, **{key: rows, "pagination": PaginationSerializer()})


class TaskAcceptedSerializer(serializers.Serializer[Any]):
    """A 202 that says nothing else."""

    status = serializers.CharField()
    task_id = serializers.UUIDField()
    status_url = serializers.CharField()
    message = serializers.CharField()


class PaginationSerializer(serializers.Serializer[Any]):
    page = serializers.IntegerField()
    per_page = serializers.IntegerField()
    total = serializers.IntegerField()
    pages = serializers.IntegerField()
    has_next = serializers.BooleanField()
    has_prev = serializers.BooleanField()


class ErrorSerializer(serializers.Serializer[Any]):
    """What went wrong, under each name that a published client reads; see knowrithm.api.errors.envelope."""

    success = serializers.BooleanField()
    error = serializers.CharField()
    message = serializers.CharField()
    code = serializers.CharField()
    error_code = serializers.CharField()
    details = serializers.DictField()
    errors = serializers.DictField(  # type: ignore[assignment]  # the base class has an attribute of this name
        child=serializers.ListField(child=serializers.CharField()), required=False
    )


class SentenceSerializer(serializers.Serializer[Any]):
    message = serializers.CharField()


PAGE_PARAMETERS = [
    OpenApiParameter("page", int, description="From 1."),
    OpenApiParameter("per_page", int, description="At most 100."),
]
