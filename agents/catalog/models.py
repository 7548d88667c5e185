"""The providers and models an installation knows: shared by all companies, governed by the super admin."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models.functions import Lower

from knowrithm.db.models import BaseModel
from knowrithm.llm.prices import Price


class ProviderKind(models.TextChoices):
    LLM = "llm"
    EMBEDDING = "embedding"
    BOTH = "both"


class ModelKind(models.TextChoices):
    LLM = "llm"
    EMBEDDING = "embedding"


class Protocol(models.TextChoices):
    """How a provider is spoken to: the adapters of knowrithm.llm."""

    OPENAI = "openai", "OpenAI-compatible"
    ANTHROPIC = "anthropic", "Anthropic"
    GOOGLE = "google", "Google Gemini"
    BUILTIN = "builtin", "Built-in"


class PricingTier(models.TextChoices):
    FREE = "free"
    BUDGET = "budget"
    MID = "mid"
    PREMIUM = "premium"
    VARIABLE = "variable"


class Provider(BaseModel):
    slug = models.SlugField(max_length=60, unique=True)
    label = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=ProviderKind)
    protocol = models.CharField(max_length=10, choices=Protocol, default=Protocol.OPENAI)
    description = models.CharField(max_length=300, blank=True)
    default_base_url = models.URLField(blank=True)
    documentation_url = models.URLField(blank=True)
    logo_url = models.URLField(blank=True)
    pricing_tier = models.CharField(max_length=8, choices=PricingTier, default=PricingTier.MID)
    pricing = models.JSONField(default=dict, blank=True)  # as an API client has described it; prices are the models'
    tags = models.JSONField(default=list, blank=True)
    requires_api_key = models.BooleanField(default=True)
    requires_base_url = models.BooleanField(default=False)
    is_featured = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    sort_order = models.PositiveSmallIntegerField(default=100)

    class Meta:
        ordering = ["sort_order", "label"]

    def __str__(self) -> str:
        return self.label


class ProviderModel(BaseModel):
    provider = models.ForeignKey(Provider, models.CASCADE, related_name="models")
    name = models.CharField(max_length=120)
    label = models.CharField(max_length=120, blank=True)
    kind = models.CharField(max_length=10, choices=ModelKind)
    description = models.CharField(max_length=300, blank=True)
    context_window = models.PositiveIntegerField(null=True, blank=True)  # tokens
    max_tokens = models.PositiveIntegerField(null=True, blank=True)  # of one answer
    embedding_dimension = models.PositiveIntegerField(null=True, blank=True)
    # Per million tokens; unknown where empty.
    input_price = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    output_price = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    currency = models.CharField(max_length=3, default="USD")
    supports_streaming = models.BooleanField(default=True)
    supports_function_calling = models.BooleanField(default=False)
    supports_vision = models.BooleanField(default=False)
    tags = models.JSONField(default=list, blank=True)
    is_recommended = models.BooleanField(default=False)
    is_deprecated = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    sort_order = models.PositiveSmallIntegerField(default=100)

    class Meta:
        ordering = ["sort_order", "name"]
        constraints = [
            models.UniqueConstraint("provider", Lower("name"), name="model_name_unique_in_provider"),
            models.CheckConstraint(
                condition=models.Q(input_price__gte=0) & models.Q(output_price__gte=0), name="prices_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return self.label or self.name

    @property
    def price(self) -> Price | None:
        if self.input_price is None and self.output_price is None:
            return None
        return Price(self.input_price or Decimal(), self.output_price or Decimal(), self.currency)
