from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from conversations import services, streams
from conversations.api.serializers import ChatAccepted
from conversations.api.views import accepted_turn, traced, wants_events
from conversations.direct import TURN, DirectTurn
from conversations.enums import MessageRole
from conversations.records import direct_answer
from knowrithm.api.permissions import WRITE
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from knowrithm.jobs import current_schema


class DirectMessage(serializers.Serializer[Any]):
    role = serializers.ChoiceField(
        [MessageRole.USER.value, MessageRole.ASSISTANT.value],
        error_messages={
            "invalid_choice": (
                "The role “{input}” cannot be sent, only “user” and “assistant”. What an agent is to keep to stands in "
                "its own settings."
            )
        },
    )
    content = serializers.CharField(trim_whitespace=False, allow_blank=True)


class DirectChatInput(serializers.Serializer[Any]):
    bot_id = serializers.UUIDField(required=False, help_text="The agent's id; `agent_id` says the same.")
    agent_id = serializers.UUIDField(required=False)
    messages = serializers.ListField(child=DirectMessage(), max_length=200)
    session_id = serializers.UUIDField(required=False, allow_null=True)
    metadata = serializers.DictField(required=False, allow_null=True)
    stream = serializers.BooleanField(default=False)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        agent_id = data.get("bot_id") or data.get("agent_id")
        if agent_id is None:
            raise serializers.ValidationError({"bot_id": ["Name the agent that is to answer."]})
        asked = [message["content"] for message in data["messages"] if message["role"] == MessageRole.USER]
        if not asked:
            raise serializers.ValidationError({"messages": ["There is no message of the user."]})
        return {**data, "agent_id": agent_id, "question": asked[-1]}


class DirectCitation(serializers.Serializer[Any]):
    document_id = serializers.UUIDField(allow_null=True)
    document_title = serializers.CharField()
    chunk_id = serializers.UUIDField(allow_null=True)
    content = serializers.CharField()
    score = serializers.FloatField()
    metadata = serializers.DictField()


class DirectUsage(serializers.Serializer[Any]):
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    total_tokens = serializers.IntegerField()


class DirectAnswer(serializers.Serializer[Any]):
    session_id = serializers.UUIDField()
    message = DirectMessage()
    citations = DirectCitation(many=True)
    usage = DirectUsage()
    metadata = serializers.DictField()


class DirectChatViewSet(ApiViewSet):
    access = {"create": WRITE}
    throttle_classes = [limit("chat", per="credential")]

    @extend_schema(
        request=DirectChatInput,
        responses={
            (200, "application/json"): DirectAnswer,
            (200, "text/event-stream"): OpenApiTypes.STR,
            202: ChatAccepted,
        },
    )
    def create(self, request: Request) -> Response:
        """Ask an agent and be answered at once, or by server-sent events as the answer is made: with `stream`, or with
        `Accept: text/event-stream`.

        The last message of the user is the question. `session_id` goes on with a conversation, whose own memory then
        counts: earlier messages that are sent along are not read. 202 when the answer takes too long, or where the
        server cannot wait for it.
        """
        data = self.validated(DirectChatInput, request)
        session_id = data.get("session_id")
        after = streams.newest_id(current_schema(), session_id) if session_id else streams.BEGINNING
        turn = services.ask_agent(
            actor=self.principal(),
            agent_id=data["agent_id"],
            conversation_id=session_id,
            text=data["question"],
            metadata=data.get("metadata") or {},
        )
        if turn.delivered_to:
            return Response(direct_answer(turn.reply))  # a person answers, in their time
        scope = getattr(request._request, "scope", None)
        if scope is not None:
            scope[TURN] = DirectTurn(
                current_schema(),
                turn.reply.conversation_id,
                turn.reply.pk,
                turn.task_id,
                is_streamed=data["stream"] or wants_events(request),
                after=after,
            )
        body = {**accepted_turn(turn), "session_id": turn.reply.conversation_id}
        return traced(Response(body, status=202), turn.reply)
