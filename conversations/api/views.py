from __future__ import annotations

import uuid
from functools import partial
from typing import Any, TypeVar

import structlog
from django.core.handlers.asgi import ASGIRequest
from django.db.models import Q
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from agents.selectors import agent_without_settings, get_agent
from conversations import selectors, services, sse, streams
from conversations.api.serializers import (
    ChatAccepted,
    ChatInput,
    ConversationChanges,
    ConversationInput,
    ConversationSerializer,
    Directory,
    MessageSerializer,
)
from conversations.enums import EntityType, MessageStatus
from conversations.exceptions import StreamingUnavailableError
from conversations.models import Message
from conversations.records import message_record
from conversations.services import Turn
from conversations.wording import known_language
from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import READ, READ_OR_LEAD, WRITE, WRITE_OR_LEAD
from knowrithm.api.responses import listing, single, task_fields
from knowrithm.api.schema import PAGE_PARAMETERS, ErrorSerializer, SentenceSerializer, answer, page
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from knowrithm.errors import InvalidInputError
from knowrithm.jobs import current_schema
from knowrithm.principal import PrincipalKind

T = TypeVar("T", bound=HttpResponseBase)
DIRECTORY: list[Any] = [*PAGE_PARAMETERS, Directory]
ConversationPage = page("ConversationPage", "conversations", ConversationSerializer(many=True))


TRACE_HEADER = "X-Agent-Trace-Id"


def traced(response: T, reply: Message) -> T:
    """Name the turn in the answer's header and in the request's line of the log, as the worker's log names it."""
    response[TRACE_HEADER] = reply.trace_id
    structlog.contextvars.bind_contextvars(trace_id=reply.trace_id)
    return response


def accepted_turn(turn: Turn) -> dict[str, Any]:
    """The 202 of a chat. `status_url` must be there: a client without it polls the messages and times out."""
    conversation_id = turn.reply.conversation_id
    messages_url = f"/api/v1/conversation/{conversation_id}/messages"
    return {
        "status": "queued",
        **task_fields(turn.task_id),
        "poll_url": messages_url,
        "conversation_id": conversation_id,
        "message_id": turn.question.id,
        "assistant_message_id": None if turn.delivered_to else turn.reply.id,
        "delivered_to": turn.delivered_to or None,
        "message": "The message was received.",
    }


def wants_events(request: Request) -> bool:
    return "text/event-stream" in request.headers.get("Accept", "")


class ConversationViewSet(ApiViewSet):
    access = {
        "create": WRITE_OR_LEAD,
        "list": READ,
        "of_agent": READ,
        "close_of_agent": WRITE,
        "of_caller": READ,
        "of_entity": READ,
        "deleted": READ,
        "update": WRITE,
        "destroy": WRITE,
        "restore": WRITE,
        "messages": READ_OR_LEAD,
        "destroy_messages": WRITE,
        "restore_messages": WRITE,
        "chat": WRITE_OR_LEAD,
        "stream": READ_OR_LEAD,
    }

    def get_throttles(self) -> list[BaseThrottle]:
        limits: list[BaseThrottle] = [limit("chat", per="credential")()] if self.action == "chat" else []
        is_visitors = self.action in {"chat", "create"} and self.principal().kind == PrincipalKind.LEAD
        return [*limits, limit("visit")()] if is_visitors else limits

    @extend_schema(
        request=ConversationInput, responses={201: answer("ConversationAnswer", conversation=ConversationSerializer())}
    )
    def create(self, request: Request) -> Response:
        data = self.validated(ConversationInput, request)
        agent = agent_without_settings(data.pop("agent_id"))
        conversation = services.create_conversation(actor=self.principal(), agent=agent, **data)
        return Response(single("conversation", ConversationSerializer(conversation).data), status=201)

    @extend_schema(parameters=[*DIRECTORY, OpenApiParameter("agent_id", uuid.UUID)], responses=ConversationPage)
    def list(self, request: Request) -> Response:
        given = request.query_params.get("agent_id")
        agent_id = serializers.UUIDField().run_validation(given) if given else None
        return self._page(request, **({"agent_id": agent_id} if agent_id else {}))

    @extend_schema(parameters=DIRECTORY, responses=ConversationPage)
    def of_agent(self, request: Request, agent_id: uuid.UUID) -> Response:
        return self._page(request, agent_id=get_agent(agent_id).id)

    @extend_schema(
        request=None,
        responses=answer(
            "ConversationsClosed",
            message=serializers.CharField(),
            closed=serializers.IntegerField(),
            left=serializers.IntegerField(),
        ),
    )
    def close_of_agent(self, request: Request, agent_id: uuid.UUID) -> Response:
        """Close the active conversations with an agent, the oldest first, at most 1,000. Call again while any are left.

        An agent without active conversations can be archived.
        """
        closed, left = services.close_conversations(actor=self.principal(), agent=get_agent(agent_id))
        return Response({"message": "The conversations were closed.", "closed": closed, "left": left})

    @extend_schema(operation_id="conversation_own_list", parameters=DIRECTORY, responses=ConversationPage)
    def of_caller(self, request: Request) -> Response:
        """The caller's own: those that this person, or the person whose key this is, has begun."""
        return self._page(request, user_id=self.principal().user_id)

    @extend_schema(parameters=[*DIRECTORY, OpenApiParameter("entity_type", str)], responses=ConversationPage)
    def of_entity(self, request: Request, entity_id: uuid.UUID) -> Response:
        """Those of a person of the company, or of a lead (`entity_type`: user, lead; without it either)."""
        whose = {EntityType.USER: Q(user_id=entity_id), EntityType.LEAD: Q(lead_id=entity_id)}
        kind = request.query_params.get("entity_type", "").lower()
        if kind and kind not in whose:
            raise InvalidInputError("There is no such entity type.", fields={"entity_type": ["Use user or lead."]})
        return self._page(request, whose[EntityType(kind)] if kind else Q(user_id=entity_id) | Q(lead_id=entity_id))

    def _page(self, request: Request, *whose: Q, **fields: Any) -> Response:
        query = Directory(data=request.query_params)
        query.is_valid(raise_exception=True)
        given = query.validated_data
        rows = selectors.conversations_with(self.principal(), search=given["search"], status=given["status"])
        if "created_after" in given:
            fields["created_at__gte"] = given["created_after"]
        if "created_before" in given:
            fields["created_at__lte"] = given["created_before"]
        if given["tag"]:
            fields["tags__contains"] = [given["tag"]]
        found, pagination = paginate(request, rows.filter(*whose, **fields), per_page=20)
        return Response(listing(["conversations"], ConversationSerializer(found, many=True).data, pagination))

    @extend_schema(
        parameters=PAGE_PARAMETERS,
        responses=page("DeletedConversations", "deleted_conversations", ConversationSerializer(many=True)),
    )
    def deleted(self, request: Request) -> Response:
        found, pagination = paginate(request, selectors.archived_conversations(self.principal()), per_page=20)
        records = ConversationSerializer(found, many=True).data
        return Response(listing(["deleted_conversations", "conversations"], records, pagination))

    @extend_schema(
        request=ConversationChanges,
        responses=answer("ConversationChanged", conversation=ConversationSerializer()),
    )
    def update(self, request: Request, conversation_id: uuid.UUID) -> Response:
        actor, data = self.principal(), self.validated(ConversationChanges, request)
        conversation = selectors.get_conversation(actor, conversation_id)
        conversation = services.update_conversation(actor=actor, conversation=conversation, **data)
        return Response(single("conversation", ConversationSerializer(conversation).data))

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
            OpenApiParameter(
                "language", str, description="In which the platform's own sentences are told, such as de."
            ),
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
        is_visitor = self.principal().kind == PrincipalKind.LEAD
        if is_visitor:
            streams.note_present(streams.visitor_key(current_schema(), conversation_id))
        spoken = conversation.language if is_visitor else ""
        language = known_language(request.query_params.get("language", "")) or spoken
        records = [message_record(message, for_visitor=is_visitor, language=language) for message in found]
        return Response(listing(["messages"], records, pagination))

    @extend_schema(responses=SentenceSerializer)
    def destroy_messages(self, request: Request, conversation_id: uuid.UUID) -> Response:
        count = services.archive_messages(actor=self.principal(), conversation_id=conversation_id)
        body = {"message": "Messages archived.", "conversation_id": conversation_id, "deleted_messages_count": count}
        return Response(body)

    @extend_schema(request=None, responses=SentenceSerializer)
    def restore_messages(self, request: Request, conversation_id: uuid.UUID) -> Response:
        count = services.restore_messages(actor=self.principal(), conversation_id=conversation_id)
        body = {"message": "Messages restored.", "conversation_id": conversation_id, "restored_messages_count": count}
        return Response(body)

    @extend_schema(
        request=ChatInput,
        responses={202: ChatAccepted, (200, "text/event-stream"): OpenApiTypes.STR, 503: ErrorSerializer},
    )
    def chat(self, request: Request, conversation_id: uuid.UUID) -> HttpResponseBase:
        """Ask. The answer comes through the task, the message list or the stream, whichever you prefer.

        With `"stream": true`, or `Accept: text/event-stream`, it comes on this connection: the stream's events, of this
        turn alone, until it has ended. Closing the connection stops the answer, unless its task is polled.
        """
        data = self.validated(ChatInput, request)
        ask = partial(
            services.start_turn,
            actor=self.principal(),
            conversation_id=conversation_id,
            text=data["message"],
            is_draft=data.get("draft", False),
            language=data.get("language", ""),
            metadata=data.get("metadata", {}),
        )
        if not (data.get("stream") or wants_events(request)):
            turn = ask()
            return traced(Response(accepted_turn(turn), status=202), turn.reply)
        if not isinstance(request._request, ASGIRequest):
            raise StreamingUnavailableError("Streaming is not configured on this server. Leave `stream` out and poll.")
        before = streams.newest_id(current_schema(), conversation_id)
        turn = ask()
        events = sse.answer_to(turn, scope=request._request.scope, after=before)
        kind = "text/event-stream; charset=utf-8"
        return traced(StreamingHttpResponse(events, content_type=kind, headers=sse.UNBUFFERED), turn.reply)

    @extend_schema(
        parameters=[OpenApiParameter("follow", bool, description="Listen on when the last turn has ended.")],
        responses={(200, "text/event-stream"): OpenApiTypes.STR, 503: ErrorSerializer},
    )
    def stream(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Server-sent events: `chat_status`, `chat_delta`, `chat_response`, `heartbeat`, until the last turn has ended.

        With `follow=true` it stays open, and people's messages (`chat_message`), who answers (`chat_owner`) and who is
        writing (`chat_typing`) come too.
        Served by conversations.sse beside Django; this view only answers where the server is not an ASGI server.
        """
        selectors.get_conversation(self.principal(), conversation_id)
        raise StreamingUnavailableError("Streaming is not configured on this server. Poll the messages instead.")
