from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import Prefetch

from agents.catalog.models import ModelKind, Provider, ProviderKind, ProviderModel
from agents.enums import AgentStatus
from agents.models import Agent, LLMSettings


def chat_providers() -> list[Provider]:
    """The providers that can answer, each with its active chat models, recommended ones first, in two queries."""
    models = ProviderModel.objects.filter(is_active=True, kind=ModelKind.LLM)
    models = models.order_by("-is_recommended", "sort_order", "name")
    rows = Provider.objects.filter(is_active=True, kind__in=[ProviderKind.LLM, ProviderKind.BOTH])
    return [provider for provider in rows.prefetch_related(Prefetch("models", models)) if provider.models.all()]


class AgentForm(forms.Form):
    """An agent and its model. `settings` are what it uses now: for a new one, the company's default."""

    name = forms.CharField(max_length=200)
    status = forms.ChoiceField(choices=AgentStatus.choices)
    description = forms.CharField(
        max_length=10_000,
        required=False,
        widget=forms.Textarea({"rows": 3}),
        help_text="What it is for. The model reads this too.",
    )
    languages = forms.CharField(
        required=False, max_length=500, help_text="Separated by commas, such as English, German. Empty means any."
    )
    personality = forms.CharField(
        label="Tone", required=False, max_length=500, help_text="How it speaks, such as: friendly, short sentences."
    )
    welcome_text = forms.CharField(
        label="Welcome", required=False, max_length=500, help_text="The first thing a visitor reads."
    )
    shared_settings = forms.ChoiceField(
        label="Settings",
        required=False,
        help_text="Those of the page Models, or “As below” for this agent alone.",
    )
    provider = forms.ChoiceField()
    model = forms.ChoiceField()
    api_key = forms.CharField(
        label="API key", required=False, max_length=500, widget=forms.PasswordInput({"autocomplete": "off"})
    )
    base_url = forms.URLField(
        label="Base URL",
        required=False,
        max_length=500,
        assume_scheme="https",
        help_text="Only for a server of your own that speaks this provider's protocol.",
    )
    temperature = forms.FloatField(
        min_value=0,
        max_value=2,
        widget=forms.NumberInput({"step": "0.1"}),
        help_text="0 keeps to the likeliest words, 2 is the freest.",
    )
    max_tokens = forms.IntegerField(
        label="Longest answer",
        min_value=1,
        max_value=1_000_000,
        help_text="In tokens; three of them are about two words.",
    )

    def __init__(self, data: Any = None, *, settings: LLMSettings, agent: Agent | None = None) -> None:
        super().__init__(data, initial={**_settings_values(settings), **(_agent_values(agent) if agent else {})})
        self.settings = settings
        self.providers = {provider.slug: provider for provider in chat_providers()}
        provider, model = self.fields["provider"], self.fields["model"]
        provider.choices = [(row.slug, row.label) for row in self.providers.values()]  # type: ignore[attr-defined]  # declared as a ChoiceField above
        model.choices = [  # type: ignore[attr-defined]  # both are ChoiceFields, declared above
            (row.label, [(str(one.pk), str(one)) for one in row.models.all()]) for row in self.providers.values()
        ]
        if agent and not settings.is_default and settings.name not in {"", agent.name[:120]}:
            self.initial["shared_settings"] = str(settings.pk)
        shared = LLMSettings.objects.filter(is_active=True).select_related("llm_model")
        named = [(str(row.pk), f"{row} · {row.llm_model}") for row in shared if row.name or row.is_default]
        self.fields["shared_settings"].choices = [("", "As below"), *named]  # type: ignore[attr-defined]  # declared above
        if settings.llm_api_key:
            self.fields["api_key"].help_text = "A key is stored. Leave this empty to keep it."

    def model_catalog(self) -> dict[str, dict[str, Any]]:
        """What the page's script needs to show only what fits the chosen provider."""
        return {
            slug: {
                "requires_key": provider.requires_api_key,
                "takes_base_url": _takes_base_url(provider),
                "models": [str(model.pk) for model in provider.models.all()],
            }
            for slug, provider in self.providers.items()
        }

    def clean_languages(self) -> list[str]:
        names = (name.strip() for name in self.cleaned_data["languages"].split(","))
        return list(dict.fromkeys(name for name in names if name))

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if self.settings_id():
            return data  # the rest is not used
        provider = self.providers.get(data.get("provider", ""))
        if provider is None:
            return data
        if "model" in data and data["model"] not in {str(model.pk) for model in provider.models.all()}:
            self.add_error("model", f"{provider.label} has no such model.")
        has_key = bool(self.settings.llm_api_key) and provider.pk == self.settings.llm_provider_id
        if provider.requires_api_key and not (data.get("api_key") or has_key):
            self.add_error("api_key", f"{provider.label} needs an API key.")
        if not _takes_base_url(provider):
            data["base_url"] = ""
        return data

    def agent_fields(self) -> dict[str, Any]:
        """What `create_agent` and `update_agent` take of the agent itself."""
        fields = {
            name: self.cleaned_data[name] for name in ("name", "status", "description", "languages", "welcome_text")
        }
        if "personality" in self.changed_data:  # else what an API client has stored there stays, whatever its shape
            fields["personality_traits"] = {"tone": self.cleaned_data["personality"]}
        return fields

    def settings_id(self) -> uuid.UUID | None:
        """Settings that exist already, instead of `choices`."""
        chosen = self.cleaned_data.get("shared_settings", "")
        return uuid.UUID(chosen) if chosen and chosen != str(self.settings.pk) else None

    def choices(self) -> dict[str, Any]:
        """What they take of the model: only what differs from `settings`, so that nothing is copied without need."""
        if self.settings_id():
            return {}
        data, before = self.cleaned_data, _settings_values(self.settings)
        is_other_provider = data["provider"] != before["provider"]
        chosen = {
            f"llm_{_SETTINGS_NAMES.get(name, name)}": data[name]
            for name in before
            if is_other_provider or data[name] != before[name]
        }
        return chosen | ({"llm_api_key": data["api_key"]} if data["api_key"] else {})


_SETTINGS_NAMES = {"base_url": "api_base_url"}


def _takes_base_url(provider: Provider) -> bool:
    return provider.requires_api_key or provider.requires_base_url


def _settings_values(settings: LLMSettings) -> Mapping[str, Any]:
    return {
        "provider": settings.llm_provider.slug,
        "model": str(settings.llm_model_id),
        "base_url": settings.llm_api_base_url,
        "temperature": settings.llm_temperature,
        "max_tokens": settings.llm_max_tokens,
    }


def _agent_values(agent: Agent) -> Mapping[str, Any]:
    return {
        "name": agent.name,
        "status": agent.status,
        "description": agent.description,
        "languages": ", ".join(map(str, agent.languages)),
        "personality": agent.tone,
        "welcome_text": agent.welcome_text,
    }
