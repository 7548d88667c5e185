from __future__ import annotations

from typing import Any

from rest_framework import serializers

from tenants.geography.models import Address, City, Country, State

STAMPS = ("created_at", "updated_at")


class PlaceReference(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()


class CityReference(PlaceReference):
    postal_code_prefix = serializers.CharField()


class CountrySerializer(serializers.ModelSerializer[Country]):
    iso2 = serializers.SerializerMethodField()

    class Meta:
        model = Country
        fields: tuple[str, ...] = ("id", "name", "iso_code", "iso2", *STAMPS)
        read_only_fields = fields

    def get_iso2(self, country: Country) -> str | None:
        return country.iso_code if len(country.iso_code) == 2 else None


class StateSerializer(serializers.ModelSerializer[State]):
    state_code = serializers.CharField(source="code")
    country = PlaceReference()

    class Meta:
        model = State
        fields: tuple[str, ...] = ("id", "name", "state_code", "country_id", "country", *STAMPS)
        read_only_fields = fields


class CitySerializer(serializers.ModelSerializer[City]):
    state = PlaceReference()
    country_id = serializers.IntegerField(source="state.country_id")
    country = PlaceReference(source="state.country")

    class Meta:
        model = City
        fields = ("id", "name", "state_id", "country_id", "postal_code_prefix", "state", "country", *STAMPS)
        read_only_fields = fields


class AddressSerializer(serializers.ModelSerializer[Address]):
    state_id = serializers.IntegerField(source="city.state_id")
    country_id = serializers.IntegerField(source="city.state.country_id")
    city = PlaceReference()
    state = PlaceReference()
    country = PlaceReference()

    class Meta:
        model = Address
        fields = (
            "id", "street_address", "city_id", "state_id", "country_id", "city", "state", "country", "postal_code",
            "lat", "lan", "is_primary", *STAMPS,
        )  # fmt: skip
        read_only_fields = fields


class CountryDetail(CountrySerializer):
    """Only describes the answer: the states stand under both names."""

    state = PlaceReference(many=True)
    states = PlaceReference(many=True)

    class Meta(CountrySerializer.Meta):
        fields = (*CountrySerializer.Meta.fields, "state", "states")


class StateDetail(StateSerializer):
    city = CityReference(many=True)
    cities = CityReference(many=True)

    class Meta(StateSerializer.Meta):
        fields = (*StateSerializer.Meta.fields, "city", "cities")


class PlaceInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)


class CountryInput(PlaceInput):
    iso_code = serializers.RegexField(
        r"^[A-Za-z]{2,3}$", required=False, allow_blank=True,
        error_messages={"invalid": "Give the two or three letters of ISO 3166-1."},
    )  # fmt: skip

    def validate_iso_code(self, code: str) -> str:
        return code.upper()


class StateInput(PlaceInput):
    country_id = serializers.IntegerField(min_value=1)


class CityInput(PlaceInput):
    state_id = serializers.IntegerField(min_value=1)
    postal_code_prefix = serializers.CharField(max_length=10, required=False, allow_blank=True)


def _within(limit: int) -> Any:
    def check(value: float) -> None:
        if not -limit <= value <= limit:  # and so no NaN either
            raise serializers.ValidationError(f"Give degrees between -{limit} and {limit}.")

    return check


class AddressInput(serializers.Serializer[Any]):
    street_address = serializers.CharField(max_length=255)
    city_id = serializers.IntegerField(min_value=1)
    state_id = serializers.IntegerField(min_value=1)
    country_id = serializers.IntegerField(min_value=1)
    postal_code = serializers.CharField(max_length=20, required=False, allow_blank=True)
    lat = serializers.FloatField(required=False, allow_null=True, validators=[_within(90)])
    lan = serializers.FloatField(required=False, allow_null=True, validators=[_within(180)])
    is_primary = serializers.BooleanField(required=False)
