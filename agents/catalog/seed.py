"""What a new installation's catalogue holds. Names are those that the published quick-starts use.

Prices are the providers' list prices in US dollars per million tokens, as of mid-2026; a super admin keeps them in
date, and a company may have its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction

from agents.catalog.models import ModelKind, PricingTier, Protocol, Provider, ProviderKind, ProviderModel


@dataclass(frozen=True, slots=True)
class _Model:
    name: str
    input_price: str | None = None
    output_price: str | None = None
    context_window: int | None = None
    kind: ModelKind = ModelKind.LLM
    dimension: int | None = None
    is_recommended: bool = False
    is_deprecated: bool = False

    def row(self, provider: Provider, position: int) -> ProviderModel:
        return ProviderModel(
            provider=provider,
            name=self.name,
            kind=self.kind,
            context_window=self.context_window,
            embedding_dimension=self.dimension,
            input_price=_price(self.input_price),
            output_price=_price(self.output_price),
            supports_streaming=self.kind == ModelKind.LLM,
            is_recommended=self.is_recommended,
            is_deprecated=self.is_deprecated,
            sort_order=position,
        )


@dataclass(frozen=True, slots=True)
class _Provider:
    slug: str
    label: str
    description: str
    models: tuple[_Model, ...]
    kind: ProviderKind = ProviderKind.BOTH
    protocol: Protocol = Protocol.OPENAI
    base_url: str = ""
    documentation_url: str = ""
    requires_api_key: bool = True
    requires_base_url: bool = False
    tier: PricingTier = PricingTier.VARIABLE


def _price(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _best(name: str, input_price: str | None = None, output_price: str | None = None, window: int = 0) -> _Model:
    return _Model(name, input_price, output_price, window or None, is_recommended=True)


def _old(name: str, input_price: str, output_price: str, window: int) -> _Model:
    return _Model(name, input_price, output_price, window, is_deprecated=True)


def _embedding(name: str, dimension: int, price: str | None = None) -> _Model:
    return _Model(name, price, "0" if price else None, kind=ModelKind.EMBEDDING, dimension=dimension)


MINILM = _embedding("all-MiniLM-L6-v2", 384, "0")

CATALOGUE = (
    _Provider(
        "builtin",
        "Built-in",
        "Answers by quoting the best sentences. No key, no network.",
        (_best("extractive", "0", "0"), MINILM),
        protocol=Protocol.BUILTIN,
        requires_api_key=False,
        tier=PricingTier.FREE,
    ),
    _Provider(
        "google",
        "Google Gemini",
        "Gemini models through the Gemini API.",
        (
            _best("gemini-2.5-flash", "0.30", "2.50", 1_048_576),
            _Model("gemini-2.5-flash-lite", "0.10", "0.40", 1_048_576),
            _Model("gemini-2.5-pro", "1.25", "10", 1_048_576),
            _Model("gemini-3.5-flash", "1.50", "9", 1_048_576),
            _Model("gemini-3.1-pro-preview", "2", "12", 1_048_576),
            _old("gemini-2.0-flash", "0.10", "0.40", 1_048_576),
            _embedding("gemini-embedding-001", 768, "0.15"),
            _embedding("text-embedding-004", 768, "0"),
        ),
        protocol=Protocol.GOOGLE,
        documentation_url="https://ai.google.dev/gemini-api/docs",
    ),
    _Provider(
        "openai",
        "OpenAI",
        "OpenAI, and with a base URL any server that speaks its API.",
        (
            _Model("gpt-4o", "2.50", "10", 128_000),
            _best("gpt-4o-mini", "0.15", "0.60", 128_000),
            _Model("gpt-4.1", "2", "8", 1_047_576),
            _Model("gpt-4.1-mini", "0.40", "1.60", 1_047_576),
            _Model("gpt-4.1-nano", "0.10", "0.40", 1_047_576),
            _Model("gpt-5.5", "5", "30", 1_050_000),
            _Model("gpt-5.4", "2.50", "15", 1_050_000),
            _Model("gpt-5.4-mini", "0.75", "4.50", 400_000),
            _Model("gpt-5.4-nano", "0.20", "1.25", 400_000),
            _Model("gpt-5-mini", "0.25", "2", 400_000),
            _old("gpt-3.5-turbo", "0.50", "1.50", 16_385),
            _old("gpt-3.5-turbo-16k", "3", "4", 16_385),
            _embedding("text-embedding-3-small", 1536, "0.02"),
            _embedding("text-embedding-3-large", 3072, "0.13"),
            _embedding("text-embedding-ada-002", 1536, "0.10"),
        ),
        documentation_url="https://platform.openai.com/docs",
    ),
    _Provider(
        "anthropic",
        "Anthropic",
        "Claude models.",
        (
            _best("claude-sonnet-4-5", "3", "15", 200_000),
            _Model("claude-haiku-4-5", "1", "5", 200_000),
            _Model("claude-sonnet-4-6", "3", "15", 1_000_000),
            _Model("claude-opus-4-8", "5", "25", 1_000_000),
            _Model("claude-opus-4-5", "5", "25", 200_000),
            _old("claude-3-5-sonnet-latest", "3", "15", 200_000),
            _old("claude-3-opus-20240229", "15", "75", 200_000),
            _old("claude-3-haiku-20240307", "0.25", "1.25", 200_000),
        ),
        kind=ProviderKind.LLM,
        protocol=Protocol.ANTHROPIC,
        documentation_url="https://platform.claude.com/docs",
    ),
    _Provider(
        "huggingface",
        "Hugging Face",
        "Its all-MiniLM-L6-v2 runs built in.",
        (MINILM,),
        kind=ProviderKind.EMBEDDING,
        protocol=Protocol.BUILTIN,
        requires_api_key=False,
        tier=PricingTier.FREE,
    ),
    # Servers that speak OpenAI's protocol. What a server of one's own offers, a super admin adds.
    _Provider(
        "ollama",
        "Ollama",
        "Models on a server of your own.",
        (
            _best("llama3.1", window=128_000),
            _Model("llama3.2"),
            _Model("qwen3"),
            _Model("gemma3"),
            _Model("mistral"),
            _embedding("nomic-embed-text", 768),
            _embedding("mxbai-embed-large", 1024),
        ),
        base_url="http://localhost:11434/v1",
        documentation_url="https://docs.ollama.com/openai",
        requires_api_key=False,
        requires_base_url=True,
        tier=PricingTier.FREE,
    ),
    _Provider(
        "vllm",
        "vLLM",
        "Models on a server of your own.",
        (
            _best("meta-llama/Llama-3.1-8B-Instruct", window=128_000),
            _Model("Qwen/Qwen3-8B"),
            _embedding("BAAI/bge-m3", 1024),
        ),
        base_url="http://localhost:8000/v1",
        documentation_url="https://docs.vllm.ai/",
        requires_api_key=False,
        requires_base_url=True,
        tier=PricingTier.FREE,
    ),
    _Provider(
        "groq",
        "Groq",
        "Open models on fast hardware.",
        (
            _best("llama-3.3-70b-versatile", "0.59", "0.79", 131_072),
            _Model("llama-3.1-8b-instant", "0.05", "0.08", 131_072),
            _Model("openai/gpt-oss-120b", "0.15", "0.60", 131_072),
            _Model("openai/gpt-oss-20b", "0.075", "0.30", 131_072),
        ),
        kind=ProviderKind.LLM,
        base_url="https://api.groq.com/openai/v1",
        documentation_url="https://console.groq.com/docs",
        tier=PricingTier.BUDGET,
    ),
    _Provider(
        "mistral",
        "Mistral AI",
        "Mistral's models.",
        (
            _best("mistral-small-latest", "0.10", "0.30", 128_000),
            _Model("mistral-medium-latest", "0.40", "2", 128_000),
            _Model("mistral-large-latest", "0.50", "1.50", 256_000),
            _embedding("mistral-embed", 1024, "0.10"),
        ),
        base_url="https://api.mistral.ai/v1",
        documentation_url="https://docs.mistral.ai/",
        tier=PricingTier.BUDGET,
    ),
    _Provider(
        "deepseek",
        "DeepSeek",
        "DeepSeek's models.",
        (
            _best("deepseek-chat", "0.28", "0.42", 128_000),
            _Model("deepseek-reasoner", "0.28", "0.42", 128_000),
        ),
        kind=ProviderKind.LLM,
        base_url="https://api.deepseek.com/v1",
        documentation_url="https://api-docs.deepseek.com/",
        tier=PricingTier.BUDGET,
    ),
    _Provider(
        "openrouter",
        "OpenRouter",
        "Models of many providers behind one key.",
        (
            _best("openai/gpt-4o-mini", "0.15", "0.60", 128_000),
            _Model("anthropic/claude-sonnet-4.5", "3", "15", 1_000_000),
            _Model("google/gemini-2.5-flash", "0.30", "2.50", 1_048_576),
            _Model("meta-llama/llama-3.3-70b-instruct", context_window=131_072),
        ),
        kind=ProviderKind.LLM,
        base_url="https://openrouter.ai/api/v1",
        documentation_url="https://openrouter.ai/docs",
    ),
    _Provider(
        "azure",
        "Azure OpenAI",
        "The base URL is https://RESOURCE.openai.azure.com/openai/v1; a deployment has its model's name.",
        (
            _best("gpt-4o-mini", "0.15", "0.60", 128_000),
            _Model("gpt-4o", "2.50", "10", 128_000),
            _Model("gpt-4.1", "2", "8", 1_047_576),
            _embedding("text-embedding-3-small", 1536, "0.02"),
            _embedding("text-embedding-3-large", 3072, "0.13"),
        ),
        documentation_url="https://learn.microsoft.com/azure/ai-foundry/openai/",
        requires_base_url=True,
    ),
)


@transaction.atomic
def seed_catalogue() -> int:
    """Add what is missing; what an admin has changed stays. Returns the number of providers and models added."""
    added = 0
    for order, seed in enumerate(CATALOGUE):
        provider, is_new = Provider.objects.get_or_create(
            slug=seed.slug,
            defaults={
                "label": seed.label,
                "kind": seed.kind,
                "protocol": seed.protocol,
                "requires_api_key": seed.requires_api_key,
                "requires_base_url": seed.requires_base_url,
                "default_base_url": seed.base_url,
                "documentation_url": seed.documentation_url,
                "description": seed.description,
                "pricing_tier": seed.tier,
                "is_featured": seed.slug == "builtin",
                "sort_order": order,
            },
        )
        added += is_new + _seed_models(provider, seed.models)
    return added


def _seed_models(provider: Provider, seeds: tuple[_Model, ...]) -> int:
    known = {model.name.lower(): model for model in provider.models.all()}
    missing = [seed.row(provider, place) for place, seed in enumerate(seeds) if seed.name.lower() not in known]
    for seed in seeds:
        model = known.get(seed.name.lower())
        # Of a release that knew no prices.
        if model is not None and model.price is None and seed.input_price is not None:
            model.input_price, model.output_price = _price(seed.input_price), _price(seed.output_price)
            model.save(update_fields=["input_price", "output_price", "updated_at"])
    return len(ProviderModel.objects.bulk_create(missing))
