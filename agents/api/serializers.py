from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from agents.enums import AgentKind, AgentStatus, AnswerLength
from agents.handover import LONGEST_PHRASE, LONGEST_WAIT, MOST_PHRASES, MOST_TIMES, read_handover
from agents.models import MOST_PASSAGES, Agent, AgentVersion, LLMSettings
from agents.selectors import asked_lead_fields, script_tag
from agents.specialists import LONGEST_DESCRIPTION, MOST_SPECIALISTS
from agents.trial import Trial
from agents.widget_settings import public_widget_settings
from knowrithm.api.serializers import RecordSerializer
from knowrithm.api.validators import short_json


class LLMSettingsSerializer(RecordSerializer[LLMSettings]):
    """Keys are never shown: a fixed mask says that there is one."""

    llm_provider = serializers.CharField(source="llm_provider.slug")
    llm_provider_label = serializers.CharField(source="llm_provider.label")
    llm_model_name = serializers.CharField(source="llm_model.name")
    llm_api_key = serializers.SerializerMethodField()
    embedding_provider = serializers.CharField(source="embedding_provider.slug")
    embedding_provider_label = serializers.CharField(source="embedding_provider.label")
    embedding_model_name = serializers.CharField(source="embedding_model.name")
    embedding_api_key = serializers.SerializerMethodField()
    llm_key_hint = serializers.CharField(help_text="The last four characters of the key.")
    embedding_key_hint = serializers.CharField()
    fallback_models = serializers.ListField(source="fallback_ids", child=serializers.UUIDField())
    provider = serializers.CharField(source="llm_provider.slug")
    model = serializers.CharField(source="llm_model.name")

    class Meta:
        model = LLMSettings
        fields = (
            "id", "name", "provider", "model",
            "llm_provider", "llm_provider_id", "llm_provider_label", "llm_model_id", "llm_model_name", "llm_api_key",
            "llm_api_base_url", "llm_temperature", "llm_max_tokens", "llm_additional_params",
            "embedding_provider", "embedding_provider_id", "embedding_provider_label", "embedding_model_id",
            "embedding_model_name", "embedding_api_key", "embedding_api_base_url", "embedding_dimension",
            "embedding_additional_params", "widget_script_url", "widget_config", "is_default", "is_active",
            "llm_key_hint", "embedding_key_hint", "fallback_models", "fallback_after", "llm_input_price",
            "llm_output_price", "llm_price_currency",
            "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_llm_api_key(self, settings: LLMSettings) -> str | None:
        return "********" if settings.llm_api_key else None

    def get_embedding_api_key(self, settings: LLMSettings) -> str | None:
        return "********" if settings.embedding_api_key else None


class AgentSerializer(RecordSerializer[Agent]):
    company_id = serializers.SerializerMethodField()
    model_name = serializers.CharField(source="llm_settings.llm_model.name")
    temperature = serializers.FloatField(source="llm_settings.llm_temperature")
    max_tokens = serializers.IntegerField(source="llm_settings.llm_max_tokens")
    has_draft = serializers.BooleanField()
    kind = serializers.ChoiceField(AgentKind.choices)
    average_rating = serializers.FloatField(help_text="1 to 5; 0 as long as nobody has rated an answer.")
    embed_code = serializers.SerializerMethodField(help_text="The script tag that puts the agent on a site.")
    deleted_at = serializers.DateTimeField(source="archived_at", allow_null=True)

    class Meta:
        model = Agent
        fields = (
            "id", "company_id", "name", "description", "avatar_url", "status", "llm_settings_id", "model_name",
            "temperature", "max_tokens", "personality_traits", "answer_length", "capabilities", "operating_hours",
            "handover", "languages", "welcome_text", "starter_questions", "retrieval_top_k", "retrieval_dense_weight",
            "retrieval_threshold", "suggests_follow_ups", "kind", "specialists", "widget", "allowed_domains", "version",
            "has_draft",
            "documents_count", "total_conversations", "total_messages", "average_rating", "embed_code", "last_trained",
            "created_at", "updated_at", "deleted_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_company_id(self, agent: Agent) -> str:
        return str(self.context["company_id"])

    def get_embed_code(self, agent: Agent) -> str:
        return script_tag(agent.pk)


class AgentRowSerializer(AgentSerializer):
    """Of `selectors.agents_list`, whose rows carry what they show of the settings."""

    model_name = serializers.CharField()
    temperature = serializers.FloatField()
    max_tokens = serializers.IntegerField()


class PublicAgentSerializer(RecordSerializer[Agent]):
    """What a visitor of any site may see."""

    company_id = serializers.SerializerMethodField()
    handover = serializers.SerializerMethodField(help_text="Whether a visitor may ask for a person.")
    widget = serializers.SerializerMethodField()

    class Meta:
        model = Agent
        fields = (
            "id", "company_id", "name", "description", "avatar_url", "status", "languages", "welcome_text",
            "starter_questions", "handover", "widget", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_handover(self, agent: Agent) -> bool:
        return read_handover(agent.handover).is_offered

    def get_company_id(self, agent: Agent) -> str:
        return str(self.context["company_id"])

    def get_widget(self, agent: Agent) -> dict[str, Any]:
        return public_widget_settings(agent.widget, asked_lead_fields(agent.widget))


class SettingsChoices(serializers.Serializer[Any]):
    """Providers and models by name or id, and how to use them. Everything is optional."""

    name = serializers.CharField(max_length=120, required=False, allow_blank=True)
    llm_provider = serializers.CharField(max_length=120, required=False)
    llm_provider_id = serializers.CharField(max_length=120, required=False, allow_null=True)
    llm_model = serializers.CharField(max_length=120, required=False)
    llm_model_id = serializers.CharField(max_length=120, required=False, allow_null=True)
    llm_api_key = serializers.CharField(max_length=500, required=False, allow_null=True, allow_blank=True)
    llm_api_base_url = serializers.CharField(max_length=500, required=False, allow_null=True, allow_blank=True)
    llm_temperature = serializers.FloatField(min_value=0, max_value=2, required=False, allow_null=True)
    llm_max_tokens = serializers.IntegerField(min_value=1, max_value=1_000_000, required=False, allow_null=True)
    llm_additional_params = serializers.DictField(required=False, allow_null=True, validators=[short_json])
    embedding_provider = serializers.CharField(max_length=120, required=False)
    embedding_provider_id = serializers.CharField(max_length=120, required=False, allow_null=True)
    embedding_model = serializers.CharField(max_length=120, required=False)
    embedding_model_id = serializers.CharField(max_length=120, required=False, allow_null=True)
    embedding_api_key = serializers.CharField(max_length=500, required=False, allow_null=True, allow_blank=True)
    embedding_api_base_url = serializers.CharField(max_length=500, required=False, allow_null=True, allow_blank=True)
    embedding_dimension = serializers.IntegerField(min_value=1, max_value=16_000, required=False, allow_null=True)
    embedding_additional_params = serializers.DictField(required=False, allow_null=True, validators=[short_json])
    widget_script_url = serializers.CharField(max_length=500, required=False, allow_null=True, allow_blank=True)
    widget_config = serializers.DictField(required=False, allow_null=True, validators=[short_json])
    fallback_models = serializers.ListField(
        child=serializers.UUIDField(),
        required=False,
        allow_null=True,
        help_text="Ids of other settings, in the order in which their models answer when this one does not.",
    )
    fallback_after = serializers.FloatField(
        min_value=0.5,
        max_value=60,
        required=False,
        allow_null=True,
        help_text="Seconds of silence after which the next model is asked.",
    )
    llm_input_price = serializers.DecimalField(
        12,
        6,
        min_value=Decimal(),
        required=False,
        allow_null=True,
        help_text="The company's own, per million tokens.",
    )
    llm_output_price = serializers.DecimalField(12, 6, min_value=Decimal(), required=False, allow_null=True)
    llm_price_currency = serializers.RegexField(r"^([A-Z]{3})?$", required=False, allow_null=True, allow_blank=True)
    is_default = serializers.BooleanField(required=False)
    is_active = serializers.BooleanField(required=False)


# Empty is the default.
EMPTY = frozenset(
    {"retrieval_top_k", "retrieval_dense_weight", "retrieval_threshold", "suggests_follow_ups", "specialists"}
)


class SpecialistInput(serializers.Serializer[Any]):
    agent_id = serializers.UUIDField()
    description = serializers.CharField(
        max_length=LONGEST_DESCRIPTION,
        required=False,
        allow_blank=True,
        help_text="Which questions are its own; without it the agent's description says so.",
    )


class HandoverInput(serializers.Serializer[Any]):
    """When conversations are handed over to the company's people; 0 times means never."""

    is_offered = serializers.BooleanField(required=False, help_text="Visitors may ask for a person.")
    phrases = serializers.ListField(
        child=serializers.CharField(max_length=LONGEST_PHRASE), max_length=MOST_PHRASES, required=False
    )
    bad_ratings = serializers.IntegerField(min_value=0, max_value=MOST_TIMES, required=False)
    unanswered = serializers.IntegerField(
        min_value=0, max_value=MOST_TIMES, required=False, help_text="Questions in a row that the documents leave open."
    )
    on_guardrail = serializers.BooleanField(required=False, help_text="When a guardrail refuses.")
    wait_minutes = serializers.IntegerField(min_value=1, max_value=LONGEST_WAIT, required=False)


class AgentFields(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200, required=False)
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True, allow_null=True)
    avatar_url = serializers.CharField(max_length=500, required=False, allow_blank=True, allow_null=True)
    status = serializers.ChoiceField(choices=AgentStatus.choices, required=False)
    personality_traits = serializers.JSONField(required=False, validators=[short_json])
    answer_length = serializers.ChoiceField(choices=AnswerLength.choices, required=False)
    capabilities = serializers.ListField(required=False, validators=[short_json])
    operating_hours = serializers.DictField(
        required=False,
        validators=[short_json],
        help_text="`timezone`; by day, spans like 09:00 to 17:00; `outside`, answer or closed; `closed_text`. "
        "Spans that make no sense are refused; another shape is kept and has no effect.",
    )
    handover = HandoverInput(required=False)
    languages = serializers.ListField(child=serializers.CharField(max_length=40), required=False, max_length=100)
    welcome_text = serializers.CharField(max_length=500, required=False, allow_blank=True)
    starter_questions = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, max_length=100
    )
    retrieval_top_k = serializers.IntegerField(
        min_value=1,
        max_value=MOST_PASSAGES,
        required=False,
        allow_null=True,
        help_text="Passages to answer from.",
    )
    retrieval_dense_weight = serializers.FloatField(
        min_value=0, max_value=1, required=False, allow_null=True, help_text="0 searches by words alone, 1 by meaning."
    )
    retrieval_threshold = serializers.FloatField(
        min_value=0, max_value=1, required=False, allow_null=True, help_text="Evidence below which it does not answer."
    )
    suggests_follow_ups = serializers.BooleanField(
        required=False, allow_null=True, help_text="Without it where a model writes the answers."
    )
    specialists = serializers.ListField(
        child=SpecialistInput(),
        required=False,
        allow_null=True,
        max_length=MOST_SPECIALISTS,
        help_text="Makes it a supervisor, which passes each question on to one of these agents; null an ordinary one.",
    )
    widget = serializers.DictField(
        required=False,
        help_text="How the widget looks and what it asks, as a whole: docs/widget.md names the options.",
    )
    allowed_domains = serializers.ListField(
        child=serializers.CharField(max_length=300),
        required=False,
        help_text="Sites that may show the widget, such as example.com or *.example.com; empty means every site.",
    )
    llm_settings_id = serializers.UUIDField(required=False, allow_null=True)
    settings = SettingsChoices(required=False)
    llm_settings = SettingsChoices(required=False)


class AgentInput(AgentFields, SettingsChoices):
    """An agent and its models, in each shape that clients send.

    Flat provider and model ids; the same nested as `settings` or `llm_settings`, by names or ids; `llm_settings_id`;
    or none of them, and the company's default applies. `validated_data` is what `services.create_agent` takes.
    """

    name = serializers.CharField(max_length=200)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        nested = {**attrs.pop("llm_settings", {}), **attrs.pop("settings", {})}
        names = set(SettingsChoices().fields) - {"name"}
        flat = {name: attrs.pop(name) for name in names & attrs.keys()}
        choices = {name: value for name, value in {**flat, **nested}.items() if value is not None}
        settings_id = attrs.pop("llm_settings_id", None)
        present = {name: "" if value is None and name not in EMPTY else value for name, value in attrs.items()}
        return {**present, "settings_id": settings_id, "choices": choices}


class AgentUpdateInput(AgentInput):
    name = serializers.CharField(max_length=200, required=False)
    draft = serializers.BooleanField(required=False, help_text="Save as a draft: visitors are answered as before.")
    note = serializers.CharField(
        max_length=500, required=False, allow_blank=True, help_text="Why, for the list of versions."
    )


class CloneInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    llm_settings_id = serializers.UUIDField(required=False, allow_null=True)
    with_knowledge = serializers.BooleanField(
        required=False, help_text="With copies of its documents, and with the same datasets."
    )


class PublishInput(serializers.Serializer[Any]):
    note = serializers.CharField(
        max_length=500, required=False, allow_blank=True, help_text="Why, for the list of versions."
    )


class AgentVersionRowSerializer(RecordSerializer[AgentVersion]):
    agent_id = serializers.UUIDField()
    is_published = serializers.SerializerMethodField()
    published_at = serializers.DateTimeField(source="created_at")

    class Meta:
        model = AgentVersion
        fields = (
            "id", "agent_id", "number", "note", "restored_number", "is_published", "published_by_id", "published_by",
            "published_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_is_published(self, version: AgentVersion) -> bool:
        return bool(version.number == self.context["published"])


class AgentVersionSerializer(AgentVersionRowSerializer):
    class Meta(AgentVersionRowSerializer.Meta):
        fields: Any = (*AgentVersionRowSerializer.Meta.fields, "configuration")
        read_only_fields = fields


class FieldChangeSerializer(serializers.Serializer[Any]):
    field = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the base class has an attribute of this name
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class TrialSerializer(serializers.Serializer[Any]):
    status = serializers.CharField(help_text="success or failed")
    provider = serializers.CharField()
    model = serializers.CharField()
    latency_ms = serializers.IntegerField()
    response = serializers.CharField()
    dimension = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_null=True)
    error_code = serializers.CharField(allow_null=True)


class SettingsTrialSerializer(TrialSerializer):
    """At the top what the chat model did; `status` is that of both."""

    message = serializers.CharField()
    settings_id = serializers.UUIDField(allow_null=True)
    llm = TrialSerializer()
    embedding = TrialSerializer()


def trial_record(chat: Trial, embedding: Trial) -> dict[str, Any]:
    parts = {"llm": _part(chat), "embedding": _part(embedding)}
    failed = [part for part in (chat, embedding) if not part.is_working]
    error, code = (failed[0].error, failed[0].error_code) if failed else (None, None)
    return {
        **parts["llm"],
        **parts,
        "status": "failed" if failed else "success",
        "error": error,
        "error_code": code,
        "message": error or "Both models work.",
    }


def _part(trial: Trial) -> dict[str, Any]:
    return {
        "status": "success" if trial.is_working else "failed",
        "provider": trial.provider,
        "model": trial.model,
        "latency_ms": trial.latency_ms,
        "response": trial.response,
        "dimension": trial.dimension,
        "error": trial.error or None,
        "error_code": trial.error_code or None,
    }
