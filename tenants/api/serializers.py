from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from rest_framework import serializers

from knowrithm.principal import Scope
from tenants.models import ApiKey, Company, User
from tenants.services.api_keys import MAX_NETWORKS, MAX_OVERLAP_HOURS

MAX_LIMIT = 2**31 - 1  # what the column holds; the company's own maximum is the service's to check


class CompanySerializer(serializers.ModelSerializer[Company]):
    logo = serializers.SerializerMethodField()
    address = serializers.SerializerMethodField()
    deleted_at = serializers.DateTimeField(source="archived_at", read_only=True)

    class Meta:
        model = Company
        fields = (
            "id", "name", "email", "phone", "website", "industry", "logo", "address", "is_active", "is_verified",
            "created_at", "updated_at", "deleted_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_logo(self, company: Company) -> str | None:
        return None

    def get_address(self, company: Company) -> dict[str, Any]:
        return {"street": None, "city": None, "state": None, "country": None, "postal_code": None}


class UserSerializer(serializers.ModelSerializer[User]):
    two_factor_enabled = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = (
            "id", "company_id", "email", "username", "first_name", "last_name", "role", "status", "email_verified",
            "two_factor_enabled", "login_attempts", "last_login", "timezone", "language", "preferences",
            "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_two_factor_enabled(self, user: User) -> bool:
        return False


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    status = serializers.CharField(read_only=True)
    previous_secret_expires_at = serializers.DateTimeField(source="overlap_ends_at", read_only=True)
    key_prefix = serializers.CharField(read_only=True)

    class Meta:
        model = ApiKey
        fields = (
            "id", "name", "key_prefix", "scopes", "permissions", "status", "allowed_networks", "rate_limit_per_hour",
            "rate_limit_per_day", "usage_count", "last_used_at", "expires_at", "rotated_at",
            "previous_secret_expires_at", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields


class CompanyInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200)
    email = serializers.EmailField()
    phone = serializers.CharField(max_length=40, required=False, allow_blank=True, default="")
    website = serializers.URLField(required=False, allow_blank=True, default="")
    industry = serializers.CharField(max_length=100, required=False, allow_blank=True, default="")


class _NewUserInput(serializers.Serializer[Any]):
    email = serializers.EmailField()
    password = serializers.CharField(min_length=8, max_length=200, trim_whitespace=False)
    first_name = serializers.CharField(max_length=100)
    last_name = serializers.CharField(max_length=100)


class RegisterInput(_NewUserInput):
    """Two bodies: with `company_id` the first admin of a company that exists, with `company_name` a new company."""

    company_id = serializers.UUIDField(required=False)
    company_name = serializers.CharField(max_length=200, required=False)
    username = serializers.CharField(max_length=150, required=False, allow_blank=True, default="")
    phone = serializers.CharField(max_length=40, required=False, allow_blank=True, default="")
    accept_terms = serializers.BooleanField(required=False, default=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("company_id" in attrs) == ("company_name" in attrs):
            raise serializers.ValidationError({"company_id": ["Give either company_id or company_name."]})
        if not attrs.pop("accept_terms"):
            raise serializers.ValidationError({"accept_terms": ["The terms must be accepted."]})
        return attrs


class UserInput(_NewUserInput):
    username = serializers.CharField(min_length=3, max_length=50)


class LoginInput(serializers.Serializer[Any]):
    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=200, trim_whitespace=False)


class RefreshInput(serializers.Serializer[Any]):
    refresh_token = serializers.CharField(required=False, allow_blank=True)


def check_timezone(name: str) -> None:
    if name not in available_timezones():
        raise serializers.ValidationError("This is no time zone. Use a name such as Europe/Paris.")


class ProfileInput(serializers.Serializer[Any]):
    first_name = serializers.CharField(max_length=100, required=False)
    last_name = serializers.CharField(max_length=100, required=False)
    timezone = serializers.CharField(max_length=64, required=False, validators=[check_timezone])
    language = serializers.CharField(max_length=16, required=False)
    preferences = serializers.DictField(required=False)


class ApiKeyChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, required=False)
    permissions = serializers.DictField(required=False)
    allowed_networks = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, max_length=MAX_NETWORKS
    )
    rate_limit_per_hour = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, required=False)
    rate_limit_per_day = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, required=False)


class ApiKeyInput(ApiKeyChange):
    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=[scope.value for scope in Scope]), required=False, allow_empty=False
    )
    expires_in_days = serializers.IntegerField(min_value=1, max_value=365, required=False, allow_null=True)


class RotationInput(serializers.Serializer[Any]):
    overlap_hours = serializers.IntegerField(min_value=0, max_value=MAX_OVERLAP_HOURS, default=24)


class TokenFields(serializers.Serializer[Any]):
    access_token = serializers.CharField()
    refresh_token = serializers.CharField()
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField()
    expires_at = serializers.DateTimeField()


class SignedInAnswer(TokenFields):
    message = serializers.CharField()
    user = UserSerializer()
    company = CompanySerializer()
