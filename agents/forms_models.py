"""The form of model settings: which models answer and embed, what follows when one fails, and what they cost."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import Prefetch

from agents.catalog.models import ModelKind, Provider, ProviderKind, ProviderModel
from agents.models import LLMSettings
from agents.services import MOST_FALLBACKS

PARTS = {"llm": ModelKind.LLM, "embedding": ModelKind.EMBEDDING}
PLAIN = (
    "name", "llm_api_base_url", "llm_temperature", "llm_max_tokens", "llm_input_price", "llm_output_price",
    "llm_price_currency", "embedding_api_base_url", "embedding_dimension", "fallback_after",
)  # fmt: skip
FALLBACKS = [f"fallback_{number}" for number in range(1, MOST_FALLBACKS + 1)]


def providers_of(kind: ModelKind) -> list[Provider]:
    """The providers that have active models of this kind, with them, recommended ones first, in two queries."""
    models = ProviderModel.objects.filter(is_active=True, kind=kind).order_by("-is_recommended", "sort_order", "name")
    rows = Provider.objects.filter(is_active=True, kind__in=[ProviderKind(kind), ProviderKind.BOTH])
    return [provider for provider in rows.prefetch_related(Prefetch("models", models)) if provider.models.all()]


def _key(label: str) -> forms.CharField:
    return forms.CharField(
        label=label, required=False, max_length=500, widget=forms.PasswordInput({"autocomplete": "off"})
    )


def _address() -> forms.CharField:
    return forms.URLField(
        label="Base URL",
        required=False,
        max_length=500,
        assume_scheme="https",
        help_text="Only for a server of your own, or where the provider gives you one.",
    )


def _price(label: str) -> forms.DecimalField:
    return forms.DecimalField(label=label, required=False, min_value=0, max_digits=12, decimal_places=6)


class ModelSettingsForm(forms.Form):
    """`settings` are those that are edited; for new ones the company's default, of which only models are shown."""

    name = forms.CharField(max_length=120, help_text="By which you choose them for an agent.")
    llm_provider = forms.ChoiceField(label="Provider")
    llm_model = forms.ChoiceField(label="Model")
    llm_api_key = _key("API key")
    llm_api_base_url = _address()
    llm_temperature = forms.FloatField(
        label="Temperature",
        min_value=0,
        max_value=2,
        widget=forms.NumberInput({"step": "0.1"}),
        help_text="0 keeps to the likeliest words, 2 is the freest.",
    )
    llm_max_tokens = forms.IntegerField(
        label="Longest answer",
        min_value=1,
        max_value=1_000_000,
        help_text="In tokens; three of them are about two words.",
    )
    llm_input_price = _price("Input price")
    llm_output_price = _price("Output price")
    llm_price_currency = forms.RegexField(
        r"^[A-Za-z]{3}$", label="Currency", required=False, max_length=3, help_text="Such as USD or EUR."
    )
    embedding_provider = forms.ChoiceField(label="Provider")
    embedding_model = forms.ChoiceField(label="Model")
    embedding_api_key = _key("API key")
    embedding_api_base_url = _address()
    embedding_dimension = forms.IntegerField(
        label="Dimensions", min_value=1, max_value=16_000, required=False, help_text="Empty is the model's own."
    )
    fallback_after = forms.FloatField(
        label="Patience",
        min_value=0.5,
        max_value=60,
        widget=forms.NumberInput({"step": "0.5"}),
        help_text="Seconds of silence after which the next model is asked. Models that think first need more.",
    )

    def __init__(self, data: Any = None, *, settings: LLMSettings, is_new: bool) -> None:
        super().__init__(data, initial=_initial(settings, is_new=is_new))
        self.settings = settings
        self.is_new = is_new
        self.providers = {part: {row.slug: row for row in providers_of(kind)} for part, kind in PARTS.items()}
        for part, providers in self.providers.items():
            self._offer(part, providers)
            if hint := getattr(settings, f"{part}_key_hint"):
                self.fields[f"{part}_api_key"].help_text = f"The key {hint} is stored. Leave this empty to keep it."
        others = LLMSettings.objects.filter(is_active=True).select_related("llm_model")
        if not is_new:
            others = others.exclude(pk=settings.pk)
        offered = [("", "No other model"), *((str(row.pk), f"{row} · {row.llm_model}") for row in others)]
        for number, name in enumerate(FALLBACKS):
            label = "Then" if number else "When it fails"
            self.fields[name] = forms.ChoiceField(label=label, choices=offered, required=False)

    def _offer(self, part: str, providers: Mapping[str, Provider]) -> None:
        current: Provider = getattr(self.settings, f"{part}_provider")
        model: ProviderModel = getattr(self.settings, f"{part}_model")
        groups = {
            row.slug: (row.label, [(str(one.pk), str(one)) for one in row.models.all()]) for row in providers.values()
        }
        if current.slug not in groups or str(model.pk) not in dict(groups[current.slug][1]):
            # Deactivated, and in use: it stays until another is chosen.
            groups.setdefault(current.slug, (current.label, []))[1].append(
                (str(model.pk), f"{model} (no longer offered)")
            )
        labels = {slug: row.label for slug, row in providers.items()} | {current.slug: current.label}
        self.fields[f"{part}_provider"].choices = list(labels.items())  # type: ignore[attr-defined]  # declared above
        self.fields[f"{part}_model"].choices = list(groups.values())  # type: ignore[attr-defined]  # declared above
        self.groups = {**getattr(self, "groups", {}), part: groups}

    def model_catalog(self) -> dict[str, dict[str, Any]]:
        """What the page's script needs to show only what fits the chosen providers."""
        return {
            part: {
                slug: {
                    "requires_key": providers[slug].requires_api_key if slug in providers else True,
                    "takes_base_url": _takes_base_url(providers[slug]) if slug in providers else True,
                    "base_url": providers[slug].default_base_url if slug in providers else "",
                    "models": [key for key, _ in models],
                }
                for slug, (_, models) in self.groups[part].items()
            }
            for part, providers in self.providers.items()
        }

    def clean_llm_price_currency(self) -> str:
        return str(self.cleaned_data["llm_price_currency"]).upper()

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        for part in PARTS:
            provider = self.providers[part].get(data.get(f"{part}_provider", ""))
            models = dict(self.groups[part].get(data.get(f"{part}_provider", ""), ("", []))[1])
            if data.get(f"{part}_model") and data[f"{part}_model"] not in models:
                self.add_error(f"{part}_model", "This provider has no such model.")
            if provider is None:
                continue
            has_key = bool(getattr(self.settings, f"{part}_api_key"))
            has_key = has_key and provider.pk == getattr(self.settings, f"{part}_provider_id")
            if provider.requires_api_key and not (data.get(f"{part}_api_key") or has_key):
                self.add_error(f"{part}_api_key", f"{provider.label} needs an API key.")
            if not _takes_base_url(provider):
                data[f"{part}_api_base_url"] = ""
            elif provider.requires_base_url and not (data.get(f"{part}_api_base_url") or provider.default_base_url):
                self.add_error(f"{part}_api_base_url", f"{provider.label} needs a base URL.")
        return data

    def choices(self) -> dict[str, Any]:
        """What the services take."""
        data = self.cleaned_data
        chosen = {name: data[name] for name in PLAIN}
        for part in PARTS:
            before = getattr(self.settings, f"{part}_provider"), str(getattr(self.settings, f"{part}_model_id"))
            if (data[f"{part}_provider"], data[f"{part}_model"]) != (before[0].slug, before[1]):
                chosen |= {name: data[name] for name in (f"{part}_provider", f"{part}_model")}
            if data[f"{part}_api_key"]:
                chosen[f"{part}_api_key"] = data[f"{part}_api_key"]
        if "embedding_model" in chosen and data["embedding_dimension"] == self.initial["embedding_dimension"]:
            del chosen["embedding_dimension"]  # that of the model before
        ids = [uuid.UUID(data[name]) for name in FALLBACKS if data[name]]
        return {**chosen, "fallback_models": ids}


def _takes_base_url(provider: Provider) -> bool:
    return provider.requires_api_key or provider.requires_base_url


def _initial(settings: LLMSettings, *, is_new: bool) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(settings, name) for name in PLAIN}
    for part in PARTS:
        values[f"{part}_provider"] = getattr(settings, f"{part}_provider").slug
        values[f"{part}_model"] = str(getattr(settings, f"{part}_model_id"))
    if is_new:
        return values | {"name": ""}
    return values | {name: str(key) for name, key in zip(FALLBACKS, settings.fallback_ids, strict=False)}
