"""The catalogue in both vocabularies of the published clients: each is taken, and both are shown."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from agents.catalog.models import ModelKind, PricingTier, Protocol, Provider, ProviderKind, ProviderModel
from knowrithm.api.serializers import RecordSerializer
from knowrithm.api.validators import short_json

STATUSES = ("active", "inactive")
THOUSAND = 1000  # prices are kept per million tokens; one of the vocabularies has them per thousand
MOST_IMPORTED = 200
# Kinds of models as clients name them.
MODEL_KINDS = {"llm": ModelKind.LLM, "chat": ModelKind.LLM, "completion": ModelKind.LLM}


class ProviderModelSerializer(RecordSerializer[ProviderModel]):
    display_name = serializers.CharField(source="__str__")
    model_type = serializers.CharField(source="kind")
    type = serializers.CharField(source="kind")
    provider_model_id = serializers.CharField(source="name")
    context = serializers.IntegerField(source="context_window", allow_null=True)  # type: ignore[assignment]  # DRF's name
    context_length = serializers.IntegerField(source="context_window", allow_null=True)
    dimension = serializers.IntegerField(source="embedding_dimension", allow_null=True)
    input_price = serializers.SerializerMethodField(help_text="Per million tokens.")
    output_price = serializers.SerializerMethodField(help_text="Per million tokens.")
    pricing = serializers.SerializerMethodField(help_text="Per thousand tokens.")
    status = serializers.SerializerMethodField()

    class Meta:
        model = ProviderModel
        fields = (
            "id", "provider_id", "name", "display_name", "model_type", "type", "provider_model_id", "description",
            "context", "context_window", "context_length", "max_tokens", "dimension", "embedding_dimension",
            "input_price", "output_price", "currency", "pricing", "supports_streaming", "supports_function_calling",
            "supports_vision", "is_recommended", "is_deprecated", "tags", "sort_order", "status", "created_at",
            "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_input_price(self, model: ProviderModel) -> float | None:
        return _number(model.input_price)

    def get_output_price(self, model: ProviderModel) -> float | None:
        return _number(model.output_price)

    def get_pricing(self, model: ProviderModel) -> dict[str, float | None]:
        return {"input": _number(model.input_price, THOUSAND), "output": _number(model.output_price, THOUSAND)}

    def get_status(self, model: ProviderModel) -> str:
        return STATUSES[not model.is_active]


class ProviderSerializer(RecordSerializer[Provider]):
    value = serializers.CharField(source="slug")
    name = serializers.CharField(source="slug")
    provider_type = serializers.CharField(source="kind")
    type = serializers.CharField(source="kind")
    api_base_url = serializers.CharField(source="default_base_url")
    status = serializers.SerializerMethodField()
    models = ProviderModelSerializer(many=True, required=False)  # without `include_models` there are none

    class Meta:
        model = Provider
        fields = (
            "id", "value", "name", "label", "provider_type", "type", "protocol", "description", "default_base_url",
            "api_base_url", "documentation_url", "logo_url", "requires_api_key", "requires_base_url", "pricing_tier",
            "pricing", "is_featured", "tags", "sort_order", "status", "models", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_status(self, provider: Provider) -> str:
        return STATUSES[not provider.is_active]


class ModelInput(serializers.Serializer[Any]):
    """`validated_data` is what `agents.catalog.services` takes. Prices: `input_price` and `output_price` are per
    million tokens, `cost_per_1k_tokens_*` and `pricing` per thousand.
    """

    name = serializers.CharField(max_length=120, required=False, help_text="As the provider knows it.")
    display_name = serializers.CharField(max_length=120, required=False, allow_blank=True)
    provider_model_id = serializers.CharField(max_length=120, required=False, help_text="Wins over `name`.")
    type = serializers.CharField(max_length=20, required=False, help_text="llm, chat, completion or embedding.")
    model_type = serializers.CharField(max_length=20, required=False, help_text="The same.")
    description = serializers.CharField(max_length=300, required=False, allow_blank=True)
    context_window = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False, allow_null=True)
    context_length = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False, allow_null=True)
    max_tokens = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False, allow_null=True)
    embedding_dimension = serializers.IntegerField(min_value=1, max_value=16_000, required=False, allow_null=True)
    input_price = serializers.DecimalField(12, 6, min_value=Decimal(), required=False, allow_null=True)
    output_price = serializers.DecimalField(12, 6, min_value=Decimal(), required=False, allow_null=True)
    cost_per_1k_tokens_input = serializers.DecimalField(12, 9, min_value=Decimal(), required=False, allow_null=True)
    cost_per_1k_tokens_output = serializers.DecimalField(12, 9, min_value=Decimal(), required=False, allow_null=True)
    currency = serializers.RegexField(r"^[A-Za-z]{3}$", required=False)
    supports_streaming = serializers.BooleanField(required=False)
    supports_function_calling = serializers.BooleanField(required=False)
    supports_vision = serializers.BooleanField(required=False)
    is_recommended = serializers.BooleanField(required=False)
    is_deprecated = serializers.BooleanField(required=False)
    is_active = serializers.BooleanField(required=False)
    status = serializers.ChoiceField(choices=STATUSES, required=False)
    tags = serializers.ListField(child=serializers.CharField(max_length=60), max_length=30, required=False)
    sort_order = serializers.IntegerField(min_value=0, max_value=32_767, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        same = {"display_name": "label", "provider_model_id": "name", "context_length": "context_window"}
        fields = _merged(attrs, same)
        if "provider_model_id" in attrs and attrs.get("name") not in {None, attrs["provider_model_id"]}:
            fields.setdefault("label", attrs["name"])
        kind = _merged(fields, {"model_type": "type"}).get("type")
        for name in ("type", "model_type"):
            fields.pop(name, None)
        if kind is not None:
            fields["kind"] = MODEL_KINDS.get(kind.lower(), kind.lower())
            if fields["kind"] not in ModelKind.values:
                raise serializers.ValidationError({"type": ["One of llm, chat, completion, embedding."]})
        for side in ("input", "output"):
            per_thousand = fields.pop(f"cost_per_1k_tokens_{side}", None)
            if per_thousand is not None:
                if per_thousand >= THOUSAND:
                    raise serializers.ValidationError({f"cost_per_1k_tokens_{side}": ["This is too much."]})
                fields.setdefault(f"{side}_price", per_thousand * THOUSAND)
        if "currency" in fields:
            fields["currency"] = fields["currency"].upper()
        return fields


class NewModelInput(ModelInput):
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        fields = super().validate(attrs)
        if not fields.get("name"):
            raise serializers.ValidationError({"name": ["This field is required."]})
        return {"kind": ModelKind.LLM, **fields}


class ProviderInput(serializers.Serializer[Any]):
    """`api_key_env_var` is taken and left aside: keys stand in a company's settings alone."""

    name = serializers.CharField(max_length=100, required=False, help_text="`value` and `label` in one.")
    value = serializers.CharField(max_length=60, required=False)
    label = serializers.CharField(max_length=100, required=False)  # type: ignore[assignment]  # DRF's name
    type = serializers.ChoiceField(choices=ProviderKind.choices, required=False)
    provider_type = serializers.ChoiceField(choices=ProviderKind.choices, required=False)
    protocol = serializers.ChoiceField(choices=Protocol.choices, required=False)
    description = serializers.CharField(max_length=300, required=False, allow_blank=True)
    api_base_url = serializers.URLField(max_length=200, required=False, allow_blank=True, allow_null=True)
    default_base_url = serializers.URLField(max_length=200, required=False, allow_blank=True, allow_null=True)
    documentation_url = serializers.URLField(max_length=200, required=False, allow_blank=True, allow_null=True)
    logo_url = serializers.URLField(max_length=200, required=False, allow_blank=True, allow_null=True)
    api_key_env_var = serializers.CharField(max_length=100, required=False, allow_blank=True, allow_null=True)
    requires_api_key = serializers.BooleanField(required=False)
    requires_base_url = serializers.BooleanField(required=False)
    pricing_tier = serializers.ChoiceField(choices=PricingTier.choices, required=False)
    pricing = serializers.DictField(required=False, validators=[short_json])
    is_featured = serializers.BooleanField(required=False)
    is_active = serializers.BooleanField(required=False)
    status = serializers.ChoiceField(choices=STATUSES, required=False)
    tags = serializers.ListField(child=serializers.CharField(max_length=60), max_length=30, required=False)
    sort_order = serializers.IntegerField(min_value=0, max_value=32_767, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        name = attrs.pop("name", None)
        attrs.pop("api_key_env_var", None)
        same = {"value": "slug", "type": "kind", "provider_type": "kind", "api_base_url": "default_base_url"}
        fields = _merged(attrs, same)
        for address in ("default_base_url", "documentation_url", "logo_url"):
            if address in fields:
                fields[address] = fields[address] or ""
        if name is not None:
            fields.setdefault("label", name)
            if self._is_new:
                fields.setdefault("slug", name)
        return fields

    _is_new = False


class NewProviderInput(ProviderInput):
    _is_new = True

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        fields = super().validate(attrs)
        if not (fields.get("slug") or fields.get("label")):
            raise serializers.ValidationError({"name": ["This field is required."]})
        return {"kind": ProviderKind.LLM, **fields}


class ImportedProvider(NewProviderInput):
    models = NewModelInput(many=True, required=False)


class ImportInput(serializers.Serializer[Any]):
    providers = ImportedProvider(many=True)

    def validate_providers(self, value: list[Any]) -> list[Any]:
        if not 1 <= len(value) <= MOST_IMPORTED:
            raise serializers.ValidationError(f"Between 1 and {MOST_IMPORTED} providers at a time.")
        return value


def _merged(attrs: Mapping[str, Any], same: Mapping[str, str]) -> dict[str, Any]:
    """The fields under one vocabulary's names, and what stands under both as the other one has it."""
    fields = {name: value for name, value in attrs.items() if name not in {*same, "status"}}
    for name, own in same.items():
        if name in attrs:
            fields[own] = attrs[name]
    if "status" in attrs:
        fields.setdefault("is_active", attrs["status"] == STATUSES[0])
    return fields


def _number(price: Decimal | None, divisor: int = 1) -> float | None:
    return None if price is None else float(price / divisor)
