from __future__ import annotations

import uuid

from django.db.models import Q

from agents.catalog.models import ModelKind, Provider, ProviderModel

ALIASES = {"gemini": "google", "hugging face": "huggingface", "hf": "huggingface"}


def find_provider(name_or_id: str) -> Provider | None:
    """A provider by id, slug or label, whatever the case."""
    providers = Provider.objects.filter(is_active=True)
    if identifier := _uuid(name_or_id):
        return providers.filter(pk=identifier).first()
    name = ALIASES.get(name_or_id.strip().lower(), name_or_id.strip())
    return providers.filter(Q(slug__iexact=name) | Q(label__iexact=name)).first()


def find_model(provider: Provider, name_or_id: str, kind: ModelKind) -> ProviderModel | None:
    """A model of `provider` by id, name or label, whatever the case; `models/` and `org/` prefixes are forgiven."""
    models = provider.models.filter(is_active=True, kind=kind)
    if identifier := _uuid(name_or_id):
        return models.filter(pk=identifier).first()
    name = name_or_id.strip()
    named = models.filter(Q(name__iexact=name) | Q(label__iexact=name)).first()
    return named or models.filter(name__iexact=name.rsplit("/", 1)[-1]).first()


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
