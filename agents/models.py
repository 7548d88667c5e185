"""Agents and the models they speak with."""

from __future__ import annotations

from typing import Any, Self

from django.db import models

from agents.catalog.models import Provider, ProviderModel
from agents.enums import AgentStatus
from knowrithm.db.fields import EncryptedTextField
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet, BaseModel
from knowrithm.llm.base import ProviderConfig

MOST_PASSAGES = 20  # that a model is given to answer from
MODEL_RELATIONS = ("llm_provider", "llm_model", "embedding_provider", "embedding_model")


class LLMSettingsQuerySet(models.QuerySet[Any, Any]):
    def with_models(self) -> Self:
        return self.select_related(*MODEL_RELATIONS)


class EmbedderChoice(models.Model):
    """What texts are embedded by. References into the shared catalogue."""

    embedding_provider = models.ForeignKey(Provider, models.DO_NOTHING, related_name="+")
    embedding_model = models.ForeignKey(ProviderModel, models.DO_NOTHING, related_name="+")
    embedding_api_key = EncryptedTextField(blank=True, default="")
    embedding_api_base_url = models.CharField(max_length=500, blank=True)
    embedding_dimension = models.PositiveIntegerField(default=384)
    embedding_additional_params = models.JSONField(default=dict, blank=True)

    class Meta:
        abstract = True

    @property
    def embedding_identity(self) -> tuple[object, ...]:
        """Vectors made with two settings can be compared only where these agree."""
        return self.embedding_provider_id, self.embedding_model_id, self.embedding_dimension

    def embedding_config(self) -> ProviderConfig:
        return ProviderConfig(
            provider=self.embedding_provider.slug,
            model=self.embedding_model.name,
            api_key=self.embedding_api_key,
            base_url=self.embedding_api_base_url or self.embedding_provider.default_base_url,
            dimension=self.embedding_dimension,
            params=self.embedding_additional_params,
        )


class LLMSettings(EmbedderChoice, BaseModel):
    """Which models answer and embed, and how. One row is the company's default; an agent may have its own.

    References into the shared catalogue: rows there are deactivated, never deleted while used.
    """

    name = models.CharField(max_length=120, blank=True)
    llm_provider = models.ForeignKey(Provider, models.DO_NOTHING, related_name="+")
    llm_model = models.ForeignKey(ProviderModel, models.DO_NOTHING, related_name="+")
    llm_api_key = EncryptedTextField(blank=True, default="")
    llm_api_base_url = models.CharField(max_length=500, blank=True)
    llm_temperature = models.FloatField(default=0.7)
    llm_max_tokens = models.PositiveIntegerField(default=1000)
    llm_additional_params = models.JSONField(default=dict, blank=True)
    widget_script_url = models.CharField(max_length=500, blank=True)
    widget_config = models.JSONField(default=dict, blank=True)
    is_default = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)

    objects = models.Manager.from_queryset(LLMSettingsQuerySet)()

    class Meta:
        verbose_name_plural = "llm settings"
        ordering = ["-is_default", "-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=models.Q(is_default=True), name="one_default_llm_settings"
            )
        ]

    def __str__(self) -> str:
        return self.name or str(self.id)

    def chat_config(self) -> ProviderConfig:
        return ProviderConfig(
            provider=self.llm_provider.slug,
            model=self.llm_model.name,
            api_key=self.llm_api_key,
            base_url=self.llm_api_base_url or self.llm_provider.default_base_url,
            params=self.llm_additional_params,
        )


class AgentQuerySet(ArchivableQuerySet):
    def with_settings(self) -> Self:
        return self.select_related(*(f"llm_settings__{name}" for name in MODEL_RELATIONS))


class Agent(ArchivableModel):
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    avatar_url = models.CharField(max_length=500, blank=True)
    status = models.CharField(max_length=20, choices=AgentStatus, default=AgentStatus.ACTIVE)
    llm_settings = models.ForeignKey(LLMSettings, models.PROTECT, related_name="agents")
    personality_traits = models.JSONField(default=dict, blank=True)
    capabilities = models.JSONField(default=list, blank=True)
    operating_hours = models.JSONField(default=dict, blank=True)
    languages = models.JSONField(default=list, blank=True)
    welcome_text = models.CharField(max_length=500, blank=True)
    starter_questions = models.JSONField(default=list, blank=True)
    # How its knowledge is searched; empty is the platform's own value (documents.retrieval.RetrievalSettings).
    retrieval_top_k = models.PositiveSmallIntegerField(null=True, blank=True)
    retrieval_dense_weight = models.FloatField(null=True, blank=True)
    retrieval_threshold = models.FloatField(null=True, blank=True)
    # How its documents are cut into chunks, in words; documents read before a change stay as they are.
    chunk_size = models.PositiveSmallIntegerField(default=220)
    chunk_overlap = models.PositiveSmallIntegerField(default=40)
    last_trained = models.DateTimeField(null=True, blank=True)
    # Counted by the apps above, so that a list of agents needs one query.
    documents_count = models.PositiveIntegerField(default=0, editable=False)
    total_conversations = models.PositiveIntegerField(default=0, editable=False)
    total_messages = models.PositiveIntegerField(default=0, editable=False)

    objects = models.Manager.from_queryset(AgentQuerySet)()

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["archived_at", "-created_at"])]
        constraints = [
            models.CheckConstraint(condition=models.Q(**{f"retrieval_{name}__range": between}), name=f"{name}_in_range")
            for name, between in (("top_k", (1, MOST_PASSAGES)), ("dense_weight", (0, 1)), ("threshold", (0, 1)))
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def tone(self) -> str:
        """The personality in words: what the prompt and the form show of `personality_traits`."""
        traits: Any = self.personality_traits
        if isinstance(traits, dict):
            return str(traits.get("tone", "")) or ", ".join(f"{name}: {value}" for name, value in traits.items())
        return ", ".join(str(trait) for trait in traits) if isinstance(traits, list) else ""
