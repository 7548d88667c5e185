from __future__ import annotations

from typing import Any

from rest_framework import serializers

from conversations.enums import AUTHORS, ConversationStatus, Feedback
from conversations.models import Conversation
from knowrithm.api.serializers import RecordSerializer


class ConversationSerializer(RecordSerializer[Conversation]):
    agent_id = serializers.UUIDField()
    agent = serializers.SerializerMethodField()
    entity_id = serializers.UUIDField()
    status = serializers.SerializerMethodField()
    context_strategy = serializers.SerializerMethodField()
    deleted_at = serializers.DateTimeField(source="archived_at", allow_null=True)

    class Meta:
        model = Conversation
        fields = (
            "id", "agent_id", "agent", "title", "language", "status", "metadata", "tags", "context_strategy",
            "max_context_length", "message_count", "total_tokens", "entity_type", "entity_id", "last_activity",
            "created_at", "updated_at", "deleted_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_agent(self, conversation: Conversation) -> dict[str, str]:
        return {"id": str(conversation.agent_id), "name": conversation.agent.name}

    def get_status(self, conversation: Conversation) -> str:
        return ConversationStatus.ARCHIVED if conversation.archived_at else conversation.status

    def get_context_strategy(self, conversation: Conversation) -> str:
        return "sliding_window"


class LanguageField(serializers.CharField):
    """A tag such as de or pt-BR. One that the platform does not speak is no fault: the agent's is spoken then."""

    def __init__(self, **kwargs: Any) -> None:
        text = "What the visitor reads, such as de: the platform's own sentences are in it."
        super().__init__(**{"required": False, "allow_blank": True, "max_length": 35, "help_text": text, **kwargs})


class ConversationInput(serializers.Serializer[Any]):
    agent_id = serializers.UUIDField()
    title = serializers.CharField(max_length=200, required=False, allow_blank=True)
    metadata = serializers.DictField(required=False)
    max_context_length = serializers.IntegerField(min_value=100, max_value=200_000, required=False)
    language = LanguageField()


class Directory(serializers.Serializer[Any]):
    """The query of every list of conversations. `status` all shows deleted ones too."""

    status = serializers.ChoiceField(["active", "archived", "deleted", "all"], default="active")
    search = serializers.CharField(max_length=200, default="", allow_blank=True)
    tag = serializers.CharField(max_length=100, default="", allow_blank=True)
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)


class ConversationChanges(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=200, required=False, allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField(), required=False)
    metadata = serializers.DictField(required=False)
    status = serializers.ChoiceField(["active", "archived"], required=False)


class RatingInput(serializers.Serializer[Any]):
    rating = serializers.ChoiceField(Feedback.choices, allow_null=True)
    comment = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class QuestionInput(serializers.Serializer[Any]):
    message = serializers.CharField(trim_whitespace=False, allow_blank=True)


class ChatInput(serializers.Serializer[Any]):
    message = serializers.CharField(trim_whitespace=False, allow_blank=True)
    stream = serializers.BooleanField(
        required=False, help_text="Answer with the events of the turn, as `Accept: text/event-stream` asks for."
    )
    draft = serializers.BooleanField(
        required=False, help_text="Ask the agent's draft, where there is one. Not for visitors."
    )
    metadata = serializers.DictField(
        required=False,
        help_text="Facts about the visit, such as its page, that join those of the conversation. What would make them "
        "longer than 16,384 characters of JSON is left out.",
    )
    language = LanguageField()


class SourceSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    source_number = serializers.IntegerField()
    document_name = serializers.CharField()
    document_id = serializers.UUIDField(allow_null=True)
    chunk_id = serializers.UUIDField(allow_null=True)
    url = serializers.CharField(allow_null=True)
    excerpt = serializers.CharField()
    locator = serializers.DictField()
    locator_label = serializers.CharField()
    passage_url = serializers.CharField()
    cited = serializers.BooleanField()


class AuthorSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(AUTHORS)
    name = serializers.CharField(allow_null=True, help_text="The agent's or the person's, as it was then.")


class ModelFailureSerializer(serializers.Serializer[Any]):
    model = serializers.CharField()
    code = serializers.CharField()
    error = serializers.CharField()
    retry_after = serializers.IntegerField(
        allow_null=True, required=False, help_text="Seconds that the provider asked to wait."
    )
    last_code = serializers.CharField(
        required=False, help_text="Of a model that is paused (`LLM_PAUSED`): the code of its last error."
    )


class MessageSerializer(serializers.Serializer[Any]):
    """Describes `conversations.records.message_record`."""

    id = serializers.UUIDField()
    conversation_id = serializers.UUIDField()
    role = serializers.CharField()
    content = serializers.CharField()
    notices = serializers.ListField(
        child=serializers.DictField(),
        help_text="Where the content is in the platform's own words: `code` and `values` of each sentence. The code "
        "`stopped` says of an answer in any words that its reader has stopped it.",
    )
    status = serializers.CharField()
    author = AuthorSerializer()
    is_refusal = serializers.BooleanField()
    agent_version = serializers.IntegerField(allow_null=True, help_text="The version of the agent that answered.")
    is_draft = serializers.BooleanField(help_text="The agent's draft answered, for somebody of the company.")
    answered_by = serializers.DictField(
        allow_null=True, help_text="`id` and `name` of the specialist that a supervisor passed the question on to."
    )
    suggestions = serializers.ListField(
        child=serializers.CharField(), help_text="Questions that might be asked next, to be sent as they are."
    )
    reply_to = serializers.UUIDField(allow_null=True)
    model_used = serializers.CharField()
    processing_time = serializers.FloatField()
    tokens_used = serializers.IntegerField()
    confidence_score = serializers.FloatField(allow_null=True)
    user_feedback = serializers.IntegerField(allow_null=True)
    feedback_comment = serializers.CharField()
    replaces = serializers.UUIDField(allow_null=True)
    sources = SourceSerializer(many=True)
    metadata = serializers.DictField()
    error = serializers.CharField(allow_null=True)
    error_code = serializers.CharField(
        allow_null=True, required=False, help_text="Not for visitors, like the next four."
    )
    partial_content = serializers.CharField(
        required=False, help_text="What a failed answer had said before it broke off."
    )
    cost = serializers.CharField(allow_null=True, required=False)
    currency = serializers.CharField(allow_null=True, required=False)
    model_failures = ModelFailureSerializer(many=True, required=False)
    created_at = serializers.DateTimeField()
    deleted_at = serializers.DateTimeField(allow_null=True)


class ChatAccepted(serializers.Serializer[Any]):
    status = serializers.CharField()
    task_id = serializers.UUIDField()
    status_url = serializers.CharField()
    conversation_id = serializers.UUIDField()
    message_id = serializers.UUIDField()
    assistant_message_id = serializers.UUIDField(
        allow_null=True, help_text="Empty when a person has the conversation: nothing will be answered by the agent."
    )
    delivered_to = serializers.CharField(allow_null=True, help_text="That person's name.")
    poll_url = serializers.CharField()
