"""Agents and the models they speak with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models

from agents.catalog.models import Protocol, Provider, ProviderModel
from agents.enums import AgentKind, AgentStatus, AnswerLength, FieldKind
from agents.ratings import stars
from knowrithm.db.fields import EncryptedTextField
from knowrithm.db.models import ArchivableModel, ArchivableQuerySet, BaseModel
from knowrithm.llm.base import ProviderConfig
from knowrithm.llm.fallback import Candidate
from knowrithm.llm.prices import Price

MOST_PASSAGES = 20  # that a model is given to answer from
MODEL_RELATIONS = ("llm_provider", "llm_model", "embedding_provider", "embedding_model")


def key_hint(key: str) -> str:
    """Its last four characters, by which a person knows it again; of a short one nothing."""
    return f"…{key[-4:]}" if len(key) >= 12 else "…" if key else ""


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
            provider=self.embedding_provider.protocol,
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
    # What the company pays per million tokens, where that is not the catalogue's price.
    llm_input_price = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    llm_output_price = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    llm_price_currency = models.CharField(max_length=3, blank=True)  # empty: the catalogue's
    # Other settings of the company whose models answer, in this order, when this one fails or is silent for so long.
    fallback_ids = ArrayField(models.UUIDField(), default=list, blank=True)
    fallback_after = models.FloatField(default=2.5)  # seconds
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
            provider=self.llm_provider.protocol,
            model=self.llm_model.name,
            api_key=self.llm_api_key,
            base_url=self.llm_api_base_url or self.llm_provider.default_base_url,
            params=self.llm_additional_params,
        )

    def candidate(self) -> Candidate:
        return Candidate(self.chat_config(), self.llm_temperature, self.llm_max_tokens, self.fallback_after)

    @property
    def only_quotes(self) -> bool:
        """The built-in model does, and reads nothing but what it quotes from."""
        return bool(self.llm_provider.protocol == Protocol.BUILTIN)

    @property
    def price(self) -> Price | None:
        """What an answer costs: the company's own price, else the catalogue's, else unknown."""
        own, listed = (self.llm_input_price, self.llm_output_price), self.llm_model.price
        if own == (None, None):
            return listed
        base = listed or Price(Decimal(), Decimal())
        return Price(
            base.input if own[0] is None else own[0],
            base.output if own[1] is None else own[1],
            self.llm_price_currency or base.currency,
        )

    @property
    def llm_key_hint(self) -> str:
        return key_hint(self.llm_api_key)

    @property
    def embedding_key_hint(self) -> str:
        return key_hint(self.embedding_api_key)


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
    answer_length = models.CharField(max_length=8, choices=AnswerLength, default=AnswerLength.BALANCED)
    capabilities = models.JSONField(default=list, blank=True)
    operating_hours = models.JSONField(default=dict, blank=True)
    handover = models.JSONField(default=dict, blank=True)  # to people: agents.handover
    languages = models.JSONField(default=list, blank=True)
    welcome_text = models.CharField(max_length=500, blank=True)
    starter_questions = models.JSONField(default=list, blank=True)
    # How its widget looks and what it asks of visitors (agents.widget_settings); takes effect at once, without version.
    widget = models.JSONField(default=dict, blank=True)
    allowed_domains = ArrayField(models.CharField(max_length=253), default=list, blank=True)  # empty: every site
    # How its knowledge is searched; empty is the platform's own value (documents.retrieval.RetrievalSettings).
    retrieval_top_k = models.PositiveSmallIntegerField(null=True, blank=True)
    retrieval_dense_weight = models.FloatField(null=True, blank=True)
    retrieval_threshold = models.FloatField(null=True, blank=True)
    # Whether answers come with what might be asked next; empty: where a model writes them.
    suggests_follow_ups = models.BooleanField(null=True, blank=True)
    # Of a supervisor: the agents that it passes questions on to (agents.specialists). Empty for every other agent.
    specialists = models.JSONField(null=True, blank=True)
    # How its documents are cut into chunks, in words; documents read before a change stay as they are.
    chunk_size = models.PositiveSmallIntegerField(default=220)
    chunk_overlap = models.PositiveSmallIntegerField(default=40)
    last_trained = models.DateTimeField(null=True, blank=True)
    # The number of the published AgentVersion; 0 until an agent older than versions is changed for the first time.
    version = models.PositiveIntegerField(default=0, editable=False)
    # What was saved and not published: values of VERSIONED_FIELDS that differ from the published ones beside it, and
    # the model settings. What answers visitors never reads it.
    draft = models.JSONField(null=True, blank=True, editable=False)
    draft_settings = models.ForeignKey(LLMSettings, models.PROTECT, null=True, related_name="+", editable=False)
    # Counted by the apps above, so that a list of agents needs one query.
    documents_count = models.PositiveIntegerField(default=0, editable=False)
    total_conversations = models.PositiveIntegerField(default=0, editable=False)
    total_messages = models.PositiveIntegerField(default=0, editable=False)
    ratings = models.PositiveIntegerField(default=0, editable=False)  # of answers: how many, and their sum
    rating_sum = models.IntegerField(default=0, editable=False)

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
    def average_rating(self) -> float:
        return stars(self.rating_sum, self.ratings)

    @property
    def has_draft(self) -> bool:
        return self.draft is not None or self.draft_settings_id is not None

    @property
    def kind(self) -> AgentKind:
        return AgentKind.AGENT if self.specialists is None else AgentKind.SUPERVISOR

    @property
    def tone(self) -> str:
        """The personality in words: what the prompt and the form show of `personality_traits`."""
        traits: Any = self.personality_traits
        if isinstance(traits, dict):
            return str(traits.get("tone", "")) or ", ".join(f"{name}: {value}" for name, value in traits.items())
        return ", ".join(str(trait) for trait in traits) if isinstance(traits, list) else ""


class LeadField(ArchivableModel):
    """A field that the company has defined for its leads, besides those that every lead has.

    It stands here and not among the leads, as an agent's widget says which of them visitors are asked. The values are
    in `Lead.custom_fields` by `key`; those of an archived field stay there.
    """

    name = models.CharField(max_length=80)
    key = models.CharField(max_length=40, unique=True)
    kind = models.CharField(max_length=8, choices=FieldKind)
    options = models.JSONField(default=list, blank=True)  # of a choice: the texts themselves, which are the values
    description = models.CharField(max_length=200, blank=True)
    is_required = models.BooleanField(default=False)  # in the dashboard's form
    position = models.PositiveIntegerField(default=0)

    objects = models.Manager.from_queryset(ArchivableQuerySet)()

    class Meta:
        ordering = ["position", "created_at"]

    def __str__(self) -> str:
        return self.name


class ImmutableError(Exception):
    """Somebody tried to change what is kept as it was: a fault of ours."""


class AgentVersion(BaseModel):
    """An agent as it was published: frozen, and never changed or deleted while the agent is there.

    `configuration` holds what `agents.versions.configuration_of` makes of an agent; no secrets are in it.
    """

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    configuration = models.JSONField()
    note = models.CharField(max_length=500, blank=True)
    restored_number = models.PositiveIntegerField(null=True, blank=True)  # the version that was rolled back to
    published_by_id = models.UUIDField(null=True, blank=True)
    published_by = models.CharField(max_length=254, blank=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["agent", "number"], name="version_number_unique_in_agent")]

    def __str__(self) -> str:
        return f"Version {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise ImmutableError("A version of an agent is never changed. Publish another one.")
        super().save(*args, **kwargs)
