from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from knowrithm.api.serializers import RecordSerializer
from knowrithm.principal import Scope
from tenants.enums import ROLE_CHOICES
from tenants.geography.selectors import primary_address
from tenants.models import ApiKey, Company, User
from tenants.services.api_keys import MAX_NETWORKS, MAX_OVERLAP_HOURS

MAX_LIMIT = 2**31 - 1  # what the column holds; the company's own maximum is the service's to check


class CompanySerializer(RecordSerializer[Company]):
    logo = serializers.SerializerMethodField()
    email = serializers.CharField(read_only=True)  # empty where a super admin has made the company
    status = serializers.CharField(read_only=True)
    ocr_languages = serializers.ListField(child=serializers.CharField(), read_only=True)
    address = serializers.SerializerMethodField()
    deleted_at = serializers.DateTimeField(source="archived_at", read_only=True, allow_null=True)

    class Meta:
        model = Company
        fields = (
            "id", "name", "email", "phone", "website", "industry", "logo", "address", "ocr_languages", "status",
            "is_active", "is_verified", "created_at", "updated_at", "deleted_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_logo(self, company: Company) -> str | None:
        return company.logo or None

    def get_address(self, company: Company) -> dict[str, Any]:
        address = primary_address(company)
        if address is None:
            return {"street": None, "city": None, "state": None, "country": None, "postal_code": None}
        return {
            "street": address.street_address,
            "city": address.city.name,
            "state": address.state.name,
            "country": address.country.name,
            "postal_code": address.postal_code,
        }


class UserSerializer(RecordSerializer[User]):
    deleted_at = serializers.DateTimeField(source="archived_at", read_only=True, allow_null=True)

    class Meta:
        model = User
        fields = (
            "id", "company_id", "email", "username", "first_name", "last_name", "role", "status", "email_verified",
            "two_factor_enabled", "login_attempts", "locked_until", "last_login", "timezone", "language", "preferences",
            "created_at", "updated_at", "deleted_at",
        )  # fmt: skip
        read_only_fields = fields


class ApiKeySerializer(RecordSerializer[ApiKey]):
    status = serializers.CharField(read_only=True)
    previous_secret_expires_at = serializers.DateTimeField(source="overlap_ends_at", read_only=True, allow_null=True)
    key_prefix = serializers.CharField(read_only=True)

    class Meta:
        model = ApiKey
        fields = (
            "id", "name", "key_prefix", "scopes", "permissions", "status", "allowed_networks", "rate_limit_per_hour",
            "rate_limit_per_day", "usage_count", "last_used_at", "expires_at", "rotated_at",
            "previous_secret_expires_at", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields


@extend_schema_field({"type": "string", "format": "binary"})
class LogoField(serializers.Field[Any, Any, Any, Any]):
    """A picture (multipart), or a text: an https address, or nothing. The service looks closer."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, UploadedFile | str):
            raise serializers.ValidationError("Send the logo as a file, or as an address that begins with https://.")
        return data.strip() if isinstance(data, str) else data


class _CompanyFields(serializers.Serializer[Any]):
    phone = serializers.CharField(max_length=40, required=False, allow_blank=True, allow_null=True)
    website = serializers.URLField(max_length=200, required=False, allow_blank=True, allow_null=True)
    industry = serializers.CharField(max_length=100, required=False, allow_blank=True, allow_null=True)
    logo = LogoField(required=False, allow_null=True, help_text="A PNG, JPEG, WebP or GIF file, or an https address.")
    address_id = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """No text is an empty text."""
        return {name: "" if value is None and name != "address_id" else value for name, value in attrs.items()}


class CompanyInput(_CompanyFields):
    name = serializers.CharField(max_length=200)
    email = serializers.EmailField(max_length=254)


class CompanyChanges(_CompanyFields):
    """All optional. `is_active` and `is_verified` are a super admin's."""

    name = serializers.CharField(max_length=200, required=False)
    email = serializers.EmailField(max_length=254, required=False)
    is_active = serializers.BooleanField(required=False)
    is_verified = serializers.BooleanField(required=False)
    ocr_languages = serializers.ListField(
        child=serializers.RegexField(r"^[A-Za-z0-9_]{2,30}\Z"),
        allow_empty=False,
        max_length=10,
        required=False,
        help_text="Of scanned pages, as tesseract calls them (`eng`, `deu`), the most frequent first.",
    )


class CompanyIds(serializers.Serializer[Any]):
    company_ids = serializers.ListField(child=serializers.UUIDField(), allow_empty=False, max_length=100)


class PurgeInput(serializers.Serializer[Any]):
    delete_related = serializers.BooleanField(required=False, default=False)


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
    accept_terms = serializers.BooleanField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("company_id" in attrs) == ("company_name" in attrs):
            raise serializers.ValidationError({"company_id": ["Give either company_id or company_name."]})
        accepts = attrs.pop("accept_terms", None)
        if accepts is False:
            raise serializers.ValidationError({"accept_terms": ["The terms must be accepted."]})
        return {**attrs, "accepts_terms": bool(accepts)}


class UserInput(_NewUserInput):
    """`company_id` is for super admins, who belong to none."""

    username = serializers.CharField(min_length=3, max_length=50)
    role = serializers.ChoiceField(choices=ROLE_CHOICES, required=False)
    company_id = serializers.UUIDField(required=False, allow_null=True)


class OtpInput(serializers.Serializer[Any]):
    """A code of the authenticator app, or a recovery code; also under the names that other clients use."""

    ALIASES = ("totp_code", "two_factor_code")
    otp = serializers.CharField(max_length=40)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and not data.get("otp"):
            data = {**data, "otp": next((data[name] for name in self.ALIASES if data.get(name)), "")}
        return super().to_internal_value(data)


class LoginInput(OtpInput):
    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=200, trim_whitespace=False)
    otp = serializers.CharField(max_length=40, required=False, allow_blank=True, default="")


class DisableTwoFactorInput(OtpInput):
    password = serializers.CharField(
        max_length=200, trim_whitespace=False, required=False, allow_blank=True, default=""
    )


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
    permissions = serializers.DictField(child=serializers.ListField(), required=False)
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
