"""The filters of the lists of people, and what is asked of the endpoints that govern them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from tenants.enums import ROLE_CHOICES, UserStatus
from tenants.services.configuration import KEY, KEY_RULE

SORTABLE = (
    "created_at", "updated_at", "email", "username", "first_name", "last_name", "role", "status", "last_login",
    "login_attempts",
)  # fmt: skip


@extend_schema_field(OpenApiTypes.STR)
class CountOrBoolean(serializers.Field[Any, Any, Any, Any]):
    """A number, or true or false in any case: published clients send either."""

    default_error_messages = {"invalid": "Give a number, true or false."}

    def to_internal_value(self, data: Any) -> int | bool:
        text = str(data).lower()
        if text in {"true", "false"}:
            return text == "true"
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            self.fail("invalid")
        return int(text)

    def to_representation(self, value: Any) -> Any:
        return value


def _one_of(choices: Sequence[Any], *, required: bool = True, help_text: str = "") -> serializers.ChoiceField:
    names = [choice if isinstance(choice, str) else choice[0] for choice in choices]
    messages: dict[str, Any] = {"invalid_choice": f'"{{input}}" is unknown. Give one of: {", ".join(names)}.'}
    return serializers.ChoiceField(choices=choices, required=required, help_text=help_text, error_messages=messages)


def _reason() -> serializers.CharField:
    return serializers.CharField(max_length=300, required=False, allow_blank=True)


class PeopleFilters(serializers.Serializer[Any]):
    status = _one_of(UserStatus.choices, required=False)
    role = _one_of(ROLE_CHOICES, required=False)
    email_verified = serializers.BooleanField(required=False)
    two_factor_enabled = serializers.BooleanField(required=False)
    never_logged_in = serializers.BooleanField(required=False)
    locked = serializers.BooleanField(required=False)
    high_login_attempts = CountOrBoolean(
        required=False, help_text="The least number of failed sign-ins since the last good one; true means 5."
    )
    include_deleted = serializers.BooleanField(required=False, help_text="Archived people too.")
    only_deleted = serializers.BooleanField(required=False, help_text="Archived people alone.")
    search = serializers.CharField(max_length=200, required=False, help_text="In names, user name and e-mail address.")
    created_after = serializers.DateTimeField(required=False, help_text="From this date or time on.")
    created_before = serializers.DateTimeField(required=False, help_text="Before this date or time.")
    last_login_after = serializers.DateTimeField(required=False)
    last_login_before = serializers.DateTimeField(required=False)
    timezone = serializers.CharField(max_length=64, required=False)
    language = serializers.CharField(max_length=16, required=False)
    sort_by = _one_of(SORTABLE, required=False, help_text="created_at without it.")
    sort_order = _one_of(("asc", "desc"), required=False, help_text="desc without it.")


class StatusInput(serializers.Serializer[Any]):
    status = _one_of(UserStatus.choices)
    reason = _reason()


class NamesInput(serializers.Serializer[Any]):
    first_name = serializers.CharField(max_length=100, required=False)
    last_name = serializers.CharField(max_length=100, required=False, allow_blank=True)


class ReasonInput(serializers.Serializer[Any]):
    reason = _reason()


class RoleInput(serializers.Serializer[Any]):
    """`company_id` is needed where a super admin becomes something else: the company to join."""

    role = _one_of(ROLE_CHOICES)
    company_id = serializers.UUIDField(required=False)
    reason = _reason()


class ImpersonationInput(serializers.Serializer[Any]):
    reason = _reason()


class ConfigInput(serializers.Serializer[Any]):
    """`company_id` is for super admins: without it the entry is the platform's."""

    config_key = serializers.RegexField(
        KEY,
        max_length=100,
        error_messages={"invalid": KEY_RULE},
    )
    config_value = serializers.JSONField(allow_null=True)
    config_type = serializers.CharField(max_length=40, required=False, allow_blank=True)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    is_sensitive = serializers.BooleanField(required=False)
    company_id = serializers.UUIDField(required=False)
