from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from agents.selectors import get_agent
from conversations import selectors, services
from conversations.api.serializers import (
    ChatAccepted,
    ChatInput,
    ConversationInput,
    ConversationSerializer,
    MessageSerializer,
)
from conversations.enums import MessageStatus
from conversations.exceptions import StreamingUnavailableError
from conversations.records import message_record
from conversations.services import Turn
from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import READ, READ_OR_LEAD, WRITE, WRITE_OR_LEAD
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, ErrorSerializer, SentenceSerializer, answer, page
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet

ConversationPage = page("ConversationPage", "conversations", ConversationSerializer(many=True))


def accepted_turn(turn: Turn) -> dict[str, Any]:
    """The 202 of a chat. `status_url` must be there: a client without it polls the messages and times out."""
    conversation_id = turn.reply.conversation_id
    messages_url = f"/api/v1/conversation/{conversation_id}/messages"
    return {
        "status": "queued",
        "task_id": turn.task_id,
        "status_url": f"/api/v1/tasks/{turn.task_id}/status",
        "poll_url": messages_url,
        "conversation_id": conversation_id,
        "message_id": turn.question.id,
        "assistant_message_id": turn.reply.id,
        "message": "The message was received.",
    }


class ConversationViewSet(ApiViewSet):
    access = {
        "create": WRITE_OR_LEAD,
        "list": READ,
        "of_agent": READ,
        "deleted": READ,
        "destroy": WRITE,
        "restore": WRITE,
        "messages": READ_OR_LEAD,
        "chat": WRITE_OR_LEAD,
        "stream": READ_OR_LEAD,
    }

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("chat", per="credential")()] if self.action == "chat" else []

    @extend_schema(
        request=ConversationInput, responses={201: answer("ConversationAnswer", conversation=ConversationSerializer())}
    )
    def create(self, request: Request) -> Response:
        data = self.validated(ConversationInput, request)
        agent = get_agent(data.pop("agent_id"))
        conversation = services.create_conversation(actor=self.principal(), agent=agent, **data)
        return Response(single("conversation", ConversationSerializer(conversation).data), status=201)

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, OpenApiParameter("agent_id", uuid.UUID), OpenApiParameter("search", str)],
        responses=ConversationPage,
    )
    def list(self, request: Request) -> Response:
        given = request.query_params.get("agent_id")
        agent_id = serializers.UUIDField().run_validation(given) if given else None
        return self._page(request, agent_id)

    @extend_schema(parameters=PAGE_PARAMETERS, responses=ConversationPage)
    def of_agent(self, request: Request, agent_id: uuid.UUID) -> Response:
        return self._page(request, get_agent(agent_id).id)

    def _page(self, request: Request, agent_id: uuid.UUID | None) -> Response:
        rows = selectors.conversations_for(self.principal())
        if agent_id:
            rows = rows.filter(agent_id=agent_id)
        if search := request.query_params.get("search", ""):
            rows = rows.filter(title__icontains=search)
        found, pagination = paginate(request, rows, per_page=20)
        return Response(listing(["conversations"], ConversationSerializer(found, many=True).data, pagination))

    @extend_schema(
        parameters=PAGE_PARAMETERS,
        responses=page("DeletedConversations", "deleted_conversations", ConversationSerializer(many=True)),
    )
    def deleted(self, request: Request) -> Response:
        found, pagination = paginate(request, selectors.archived_conversations(self.principal()), per_page=20)
        records = ConversationSerializer(found, many=True).data
        return Response(listing(["deleted_conversations", "conversations"], records, pagination))

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, conversation_id: uuid.UUID) -> Response:
        actor = self.principal()
        count = services.archive_conversation(
            actor=actor, conversation=selectors.get_conversation(actor, conversation_id)
        )
        return Response(
            {
                "message": "Conversation archived.",
                "conversation_id": conversation_id,
                "deleted_messages_count": count,
            }
        )

    @extend_schema(request=None, responses=SentenceSerializer)
    def restore(self, request: Request, conversation_id: uuid.UUID) -> Response:
        services.restore_conversation(actor=self.principal(), conversation_id=conversation_id)
        return Response({"message": "Conversation restored.", "conversation_id": conversation_id})

    @extend_schema(
        parameters=[
            *PAGE_PARAMETERS,
            OpenApiParameter("include_pending", bool, description="Also answers that are still being made."),
        ],
        responses=page("MessagePage", "messages", MessageSerializer(many=True)),
    )
    def messages(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """The messages, oldest first.

        An answer appears when it is finished: a published client that polls takes the first one it sees for whole.
        """
        conversation = selectors.get_conversation(self.principal(), conversation_id)
        rows = selectors.messages_of(conversation)
        if request.query_params.get("include_pending", "").lower() != "true":
            rows = rows.exclude(status__in=[MessageStatus.PENDING, MessageStatus.PROCESSING])
        found, pagination = paginate(request, rows, per_page=50)
        return Response(listing(["messages"], [message_record(message) for message in found], pagination))

    @extend_schema(request=ChatInput, responses={202: ChatAccepted})
    def chat(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Ask. The answer comes through the task, the message list or the stream, whichever you prefer."""
        text = self.validated(ChatInput, request)["message"]
        turn = services.start_turn(actor=self.principal(), conversation_id=conversation_id, text=text)
        return Response(accepted_turn(turn), status=202)

    @extend_schema(responses={(200, "text/event-stream"): OpenApiTypes.STR, 503: ErrorSerializer})
    def stream(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Server-sent events: `chat_status`, `chat_delta`, `chat_response`, `heartbeat`.

        Served by conversations.sse beside Django; this view only answers where the server is not an ASGI server.
        """
        selectors.get_conversation(self.principal(), conversation_id)
        raise StreamingUnavailableError("Streaming is not configured on this server. Poll the messages instead.")
