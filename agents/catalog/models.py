"""The providers and models an installation knows: shared by all companies, governed by the super admin."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower

from knowrithm.db.models import BaseModel


class ProviderKind(models.TextChoices):
    LLM = "llm"
    EMBEDDING = "embedding"
    BOTH = "both"


class ModelKind(models.TextChoices):
    LLM = "llm"
    EMBEDDING = "embedding"


class Provider(BaseModel):
    slug = models.SlugField(max_length=60, unique=True)
    label = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=ProviderKind)
    description = models.CharField(max_length=300, blank=True)
    default_base_url = models.URLField(blank=True)
    documentation_url = models.URLField(blank=True)
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
    context_window = models.PositiveIntegerField(null=True, blank=True)
    embedding_dimension = models.PositiveIntegerField(null=True, blank=True)
    is_recommended = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    sort_order = models.PositiveSmallIntegerField(default=100)

    class Meta:
        ordering = ["sort_order", "name"]
        constraints = [models.UniqueConstraint("provider", Lower("name"), name="model_name_unique_in_provider")]

    def __str__(self) -> str:
        return self.label or self.name
