"""What a new installation's catalogue holds. Names are those that the published quick-starts use."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from agents.catalog.models import ModelKind, Provider, ProviderKind, ProviderModel


@dataclass(frozen=True, slots=True)
class _Model:
    name: str
    kind: ModelKind = ModelKind.LLM
    context_window: int | None = None
    dimension: int | None = None
    is_recommended: bool = False


def _embedding(name: str, dimension: int) -> _Model:
    return _Model(name, ModelKind.EMBEDDING, dimension=dimension)


MINILM = _embedding("all-MiniLM-L6-v2", 384)

CATALOGUE: dict[tuple[str, str, ProviderKind, bool, str], list[_Model]] = {
    ("builtin", "Built-in", ProviderKind.BOTH, False, "Answers by quoting the best sentences. No key, no network."): [
        _Model("extractive", is_recommended=True),
        MINILM,
    ],
    ("google", "Google Gemini", ProviderKind.BOTH, True, "Gemini models through the Gemini API."): [
        _Model("gemini-2.5-flash", context_window=1_048_576, is_recommended=True),
        _Model("gemini-2.5-pro", context_window=1_048_576),
        _Model("gemini-2.0-flash", context_window=1_048_576),
        _embedding("gemini-embedding-001", 768),
        _embedding("text-embedding-004", 768),
    ],
    ("openai", "OpenAI", ProviderKind.BOTH, True, "OpenAI, and with a base URL any server that speaks its API."): [
        _Model("gpt-4o", context_window=128_000),
        _Model("gpt-4o-mini", context_window=128_000, is_recommended=True),
        _Model("gpt-4.1", context_window=1_047_576),
        _Model("gpt-3.5-turbo", context_window=16_385),
        _Model("gpt-3.5-turbo-16k", context_window=16_385),
        _embedding("text-embedding-3-small", 1536),
        _embedding("text-embedding-3-large", 3072),
        _embedding("text-embedding-ada-002", 1536),
    ],
    ("anthropic", "Anthropic", ProviderKind.LLM, True, "Claude models."): [
        _Model("claude-sonnet-4-5", context_window=200_000, is_recommended=True),
        _Model("claude-haiku-4-5", context_window=200_000),
        _Model("claude-3-5-sonnet-latest", context_window=200_000),
        _Model("claude-3-opus-20240229", context_window=200_000),
        _Model("claude-3-haiku-20240307", context_window=200_000),
    ],
    ("huggingface", "Hugging Face", ProviderKind.EMBEDDING, False, "Its all-MiniLM-L6-v2 runs built in."): [MINILM],
}  # fmt: skip


@transaction.atomic
def seed_catalogue() -> int:
    """Add what is missing; what an admin has changed stays. Returns the number of providers and models added."""
    added = 0
    for order, ((slug, label, kind, needs_key, description), seeds) in enumerate(CATALOGUE.items()):
        provider, is_new = Provider.objects.get_or_create(
            slug=slug,
            defaults={
                "label": label,
                "kind": kind,
                "requires_api_key": needs_key,
                "description": description,
                "is_featured": slug == "builtin",
                "sort_order": order,
            },
        )
        added += is_new
        known = {name.lower() for name in provider.models.values_list("name", flat=True)}
        missing = [
            ProviderModel(
                provider=provider,
                name=seed.name,
                kind=seed.kind,
                context_window=seed.context_window,
                embedding_dimension=seed.dimension,
                is_recommended=seed.is_recommended,
                sort_order=position,
            )
            for position, seed in enumerate(seeds)
            if seed.name.lower() not in known
        ]
        added += len(ProviderModel.objects.bulk_create(missing))
    return added
