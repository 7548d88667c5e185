"""What super admins do to the catalogue. All companies share it, so its changes stand in the platform's own log.

Nothing is deleted: settings of any company may refer to it. What is deactivated goes on working for those that use it,
and nobody can choose it any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models, transaction
from django.utils.text import slugify

from agents.catalog.models import Provider, ProviderModel
from agents.exceptions import BuiltinProviderError, DuplicateEntryError
from knowrithm.errors import InvalidInputError
from knowrithm.principal import Principal
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, fields_of, log_of, record_event

PROVIDER_FIELDS = (
    "slug", "label", "kind", "protocol", "description", "default_base_url", "documentation_url", "logo_url",
    "pricing_tier", "pricing", "tags", "requires_api_key", "requires_base_url", "is_featured", "is_active",
    "sort_order",
)  # fmt: skip
MODEL_FIELDS = (
    "name", "label", "kind", "description", "context_window", "max_tokens", "embedding_dimension", "input_price",
    "output_price", "currency", "supports_streaming", "supports_function_calling", "supports_vision", "tags",
    "is_recommended", "is_deprecated", "is_active", "sort_order",
)  # fmt: skip
BUILTIN = "builtin"


@transaction.atomic
def create_provider(*, actor: Principal, fields: Mapping[str, Any]) -> Provider:
    """Raises `DuplicateEntryError`. Without a `slug` its label makes one; one that was deleted comes back."""
    provider = _put_provider(fields)
    _record(actor, "provider.created", provider, {}, PROVIDER_FIELDS)
    return provider


def _put_provider(fields: Mapping[str, Any]) -> Provider:
    slug = _slug(fields.get("slug") or fields.get("label") or "")
    found = Provider.objects.filter(slug__iexact=slug).first()
    if found is not None and found.is_active:
        raise DuplicateEntryError("There is a provider of this name.", fields={"name": ["It is taken."]})
    provider = found or Provider(slug=slug, label=fields.get("label") or slug)
    _set(provider, {"is_active": True, **fields, "slug": slug}, PROVIDER_FIELDS)
    provider.save()
    return provider


@transaction.atomic
def update_provider(*, actor: Principal, provider: Provider, fields: Mapping[str, Any]) -> Provider:
    before = fields_of(provider, PROVIDER_FIELDS)
    wanted = dict(fields)
    if wanted.get("slug"):
        wanted["slug"] = _slug(wanted["slug"])
        if Provider.objects.filter(slug__iexact=wanted["slug"]).exclude(pk=provider.pk).exists():
            raise DuplicateEntryError("There is a provider of this name.", fields={"name": ["It is taken."]})
    is_renamed = wanted.get("slug", provider.slug) != provider.slug
    if provider.slug == BUILTIN and (is_renamed or wanted.get("is_active") is False or "protocol" in wanted):
        raise BuiltinProviderError(
            "The built-in provider cannot be renamed or switched off: new companies begin on it."
        )
    _set(provider, wanted, PROVIDER_FIELDS)
    provider.save()
    _record(actor, "provider.updated", provider, before, PROVIDER_FIELDS)
    return provider


@transaction.atomic
def delete_provider(*, actor: Principal, provider: Provider) -> Provider:
    """Nobody can choose it any more; settings that use it go on working."""
    if provider.slug == BUILTIN:
        raise BuiltinProviderError("The built-in provider cannot be deleted: new companies begin on it.")
    before = fields_of(provider, PROVIDER_FIELDS)
    provider.is_active = False
    provider.save(update_fields=["is_active", "updated_at"])
    _record(actor, "provider.deleted", provider, before, PROVIDER_FIELDS)
    return provider


@transaction.atomic
def create_model(*, actor: Principal, provider: Provider, fields: Mapping[str, Any]) -> ProviderModel:
    """Raises `DuplicateEntryError`. A model that was deleted comes back."""
    model = _put_model(provider, fields)
    _record(actor, "provider_model.created", model, {}, MODEL_FIELDS)
    return model


def _put_model(provider: Provider, fields: Mapping[str, Any]) -> ProviderModel:
    found = provider.models.filter(name__iexact=fields["name"]).first()
    if found is not None and found.is_active:
        raise DuplicateEntryError(
            f"{provider.label} has a model {found.name!r} already.", fields={"name": ["It is taken."]}
        )
    model = found or ProviderModel(provider=provider)
    _set(model, {"is_active": True, **fields}, MODEL_FIELDS)
    model.save()
    return model


@transaction.atomic
def update_model(*, actor: Principal, model: ProviderModel, fields: Mapping[str, Any]) -> ProviderModel:
    before = fields_of(model, MODEL_FIELDS)
    _check_not_builtin(model, fields)
    name = fields.get("name")
    if name and model.provider.models.filter(name__iexact=name).exclude(pk=model.pk).exists():
        raise DuplicateEntryError(f"{model.provider.label} has a model {name!r} already.", fields={"name": ["Taken."]})
    _set(model, fields, MODEL_FIELDS)
    model.save()
    _record(actor, "provider_model.updated", model, before, MODEL_FIELDS)
    return model


@transaction.atomic
def delete_model(*, actor: Principal, model: ProviderModel) -> ProviderModel:
    _check_not_builtin(model, {"is_active": False})
    before = fields_of(model, MODEL_FIELDS)
    model.is_active = False
    model.save(update_fields=["is_active", "updated_at"])
    _record(actor, "provider_model.deleted", model, before, MODEL_FIELDS)
    return model


@transaction.atomic
def import_providers(*, actor: Principal, providers: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Add the providers with their `models`, and bring those that are there already in date. All of them or none."""
    counts = {"providers_created": 0, "providers_updated": 0, "models_created": 0, "models_updated": 0}
    for fields in providers:
        slug = _slug(fields.get("slug") or fields.get("label") or "")
        provider = Provider.objects.filter(slug__iexact=slug, is_active=True).first()
        counts["providers_updated" if provider else "providers_created"] += 1
        if provider is None:
            provider = _put_provider(fields)
        elif provider.slug != BUILTIN:
            _set(provider, {**fields, "slug": provider.slug}, PROVIDER_FIELDS)
            provider.save()
        for model_fields in fields.get("models", ()):
            model = provider.models.filter(name__iexact=model_fields["name"], is_active=True).first()
            counts["models_updated" if model else "models_created"] += 1
            if model is None:
                _put_model(provider, model_fields)
                continue
            _check_not_builtin(model, model_fields)
            _set(model, {**model_fields, "name": model.name}, MODEL_FIELDS)
            model.save()
    with log_of(None):
        record_event(
            actor=actor,
            event_type="catalogue.imported",
            entity_type="catalogue",
            changes={name: (0, count) for name, count in counts.items()},
            risk_level=RiskLevel.HIGH,
        )
    return counts


def _check_not_builtin(model: ProviderModel, fields: Mapping[str, Any]) -> None:
    is_renamed = fields.get("name", model.name).lower() != model.name.lower()
    is_other = fields.get("kind", model.kind) != model.kind
    if model.provider.slug == BUILTIN and (is_renamed or is_other or fields.get("is_active") is False):
        raise BuiltinProviderError(
            "The built-in models cannot be renamed or switched off: new companies begin on them."
        )


def _slug(text: str) -> str:
    slug = slugify(text)[:60]
    if not slug:
        raise InvalidInputError("The provider needs a name with letters or digits.", fields={"name": ["Required."]})
    return slug


def _set(row: models.Model, fields: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name in fields:
            setattr(row, name, fields[name])


def _record(
    actor: Principal, event_type: str, row: models.Model, before: Mapping[str, Any], names: tuple[str, ...]
) -> None:
    with log_of(None):
        record_event(
            actor=actor,
            event_type=event_type,
            entity=row,
            changes=changed_fields(before, fields_of(row, names)),
            risk_level=RiskLevel.HIGH,
        )
