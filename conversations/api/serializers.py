from __future__ import annotations

from typing import Any

from rest_framework import serializers

from conversations.models import Conversation
from knowrithm.api.serializers import RecordSerializer


class ConversationSerializer(RecordSerializer[Conversation]):
    agent_id = serializers.UUIDField()
    agent = serializers.SerializerMethodField()
    entity_id = serializers.UUIDField()
    context_strategy = serializers.SerializerMethodField()
    deleted_at = serializers.DateTimeField(source="archived_at", allow_null=True)

    class Meta:
        model = Conversation
        fields = (
            "id", "agent_id", "agent", "title", "status", "metadata", "tags", "context_strategy",
            "max_context_length", "message_count", "total_tokens", "entity_type", "entity_id", "last_activity",
            "created_at", "updated_at", "deleted_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_agent(self, conversation: Conversation) -> dict[str, str]:
        return {"id": str(conversation.agent_id), "name": conversation.agent.name}

    def get_context_strategy(self, conversation: Conversation) -> str:
        return "sliding_window"


class ConversationInput(serializers.Serializer[Any]):
    agent_id = serializers.UUIDField()
    title = serializers.CharField(max_length=200, required=False, allow_blank=True)
    metadata = serializers.DictField(required=False)
    max_context_length = serializers.IntegerField(min_value=100, max_value=200_000, required=False)


class ChatInput(serializers.Serializer[Any]):
    message = serializers.CharField(trim_whitespace=False, allow_blank=True)


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


class MessageSerializer(serializers.Serializer[Any]):
    """Describes `conversations.records.message_record`."""

    id = serializers.UUIDField()
    conversation_id = serializers.UUIDField()
    role = serializers.CharField()
    content = serializers.CharField()
    status = serializers.CharField()
    is_refusal = serializers.BooleanField()
    reply_to = serializers.UUIDField(allow_null=True)
    model_used = serializers.CharField()
    processing_time = serializers.FloatField()
    tokens_used = serializers.IntegerField()
    confidence_score = serializers.FloatField(allow_null=True)
    sources = SourceSerializer(many=True)
    metadata = serializers.DictField()
    error = serializers.CharField(allow_null=True)
    error_code = serializers.CharField(allow_null=True, required=False)
    cost = serializers.CharField(allow_null=True, required=False, help_text="Not for visitors, like the next two.")
    currency = serializers.CharField(allow_null=True, required=False)
    model_failures = serializers.ListField(child=serializers.DictField(), required=False)
    created_at = serializers.DateTimeField()


class ChatAccepted(serializers.Serializer[Any]):
    status = serializers.CharField()
    task_id = serializers.UUIDField()
    status_url = serializers.CharField()
    conversation_id = serializers.UUIDField()
    message_id = serializers.UUIDField()
    assistant_message_id = serializers.UUIDField()
    poll_url = serializers.CharField()
