"""Handing conversations over to people and back, and the inbox, through the API."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from conversations import services, streams
from conversations.api.serializers import MessageSerializer
from conversations.exceptions import StreamingUnavailableError
from conversations.handing import owner_record
from conversations.models import Conversation, Handover, PrivateNote
from conversations.records import message_record
from conversations.selectors import get_conversation
from conversations.selectors_inbox import SHOW, canned_replies, handovers_of, inbox, notes_of
from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import READ, READ_OR_LEAD, SIGNED_IN, WRITE, WRITE_OR_LEAD
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, ErrorSerializer, SentenceSerializer, answer, page
from knowrithm.api.serializers import RecordSerializer
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from knowrithm.jobs import current_schema
from knowrithm.principal import PrincipalKind
from tenants.selectors import people_for


class NamedSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()


class OwnerSerializer(serializers.Serializer[Any]):
    conversation_id = serializers.UUIDField()
    owner = serializers.ChoiceField(["agent", "waiting", "person", "closed"])
    person = NamedSerializer(allow_null=True)
    agent = NamedSerializer()
    needs_email = serializers.BooleanField(help_text="Nobody could answer this visitor by mail: ask for an address.")
    message = serializers.CharField()


class HandoverSerializer(RecordSerializer[Handover]):
    requested_at = serializers.DateTimeField(source="created_at")
    end = serializers.CharField(read_only=True, help_text="handed_back or closed; empty while it lasts.")

    class Meta:
        model = Handover
        fields = (
            "id", "reason", "words", "requested_at", "assigned_at", "user_id", "user_name", "ended_at", "end",
            "summary", "alerted_at",
        )  # fmt: skip
        read_only_fields = fields


class InboxRowSerializer(RecordSerializer[Conversation]):
    agent_id = serializers.UUIDField()
    agent_name = serializers.CharField(source="agent.name")
    lead_id = serializers.UUIDField(allow_null=True)
    visitor = serializers.SerializerMethodField(help_text="The visitor's name.")
    person_id = serializers.UUIDField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    words = serializers.CharField(allow_null=True)
    waiting_since = serializers.DateTimeField(allow_null=True)
    is_unread = serializers.BooleanField()
    last_text = serializers.CharField(allow_null=True)

    class Meta:
        model = Conversation
        fields = (
            "id", "title", "agent_id", "agent_name", "lead_id", "visitor", "owner", "person_id", "person_name",
            "reason", "words", "waiting_since", "is_unread", "last_text", "message_count", "last_activity",
        )  # fmt: skip
        read_only_fields = fields

    def get_visitor(self, conversation: Conversation) -> str:
        return conversation.lead.person.full_name if conversation.lead else ""


class NoteSerializer(RecordSerializer[PrivateNote]):
    class Meta:
        model = PrivateNote
        fields = ("id", "text", "author_id", "author_name", "after_position", "created_at")
        read_only_fields = fields


class CannedReplySerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(read_only=True)
    shortcut = serializers.CharField(max_length=41, help_text="Without the slash before it.")
    text = serializers.CharField(max_length=16_000, trim_whitespace=False)


class RequestInput(serializers.Serializer[Any]):
    message = serializers.CharField(
        max_length=500, required=False, allow_blank=True, default="", help_text="What it is about."
    )


class ContactInput(serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254)


class AssignInput(serializers.Serializer[Any]):
    user_id = serializers.UUIDField()


class TextInput(serializers.Serializer[Any]):
    message = serializers.CharField(trim_whitespace=False, allow_blank=True)


class HandBackInput(serializers.Serializer[Any]):
    summary = serializers.CharField(
        max_length=4000, required=False, allow_blank=True, default="", help_text="Without one, a summary is made."
    )


class TypingInput(serializers.Serializer[Any]):
    is_typing = serializers.BooleanField()


class PresenceInput(serializers.Serializer[Any]):
    is_away = serializers.BooleanField()


class PresenceSerializer(serializers.Serializer[Any]):
    user_id = serializers.UUIDField()
    name = serializers.CharField()
    presence = serializers.ChoiceField(["online", "away", "offline"])


def ownership(conversation: Conversation, message: str) -> dict[str, Any]:
    return {"conversation_id": conversation.pk, **owner_record(conversation), "message": message}


class HandoverViewSet(ApiViewSet):
    access = {
        "request_person": WRITE_OR_LEAD,
        "state": READ_OR_LEAD,
        "leave_address": WRITE_OR_LEAD,
        "typing": WRITE_OR_LEAD,
        "history": READ,
        "take": WRITE,
        "assign": WRITE,
        "send": WRITE,
        "hand_back": WRITE,
        "close": WRITE,
        "notes": READ,
        "add_note": WRITE,
        "mark_read": WRITE,
    }

    def get_throttles(self) -> list[BaseThrottle]:
        is_visitor = self.principal().kind == PrincipalKind.LEAD
        limited = {"request_person", "leave_address", "send", *({"state", "typing"} if is_visitor else ())}
        limits: list[BaseThrottle] = [limit("chat", per="credential")()] if self.action in limited else []
        # What is asked again and again writes nothing, and many visitors may share an address.
        is_visit = is_visitor and self.action in {"request_person", "leave_address"}
        return [*limits, limit("visit")()] if is_visit else limits

    @extend_schema(request=RequestInput, responses=OwnerSerializer)
    def request_person(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Ask for a person. The agent goes on answering until somebody takes the conversation."""
        words = self.validated(RequestInput, request)["message"]
        conversation = services.request_handover(actor=self.principal(), conversation_id=conversation_id, words=words)
        return Response(ownership(conversation, "A person was asked for."))

    @extend_schema(responses=OwnerSerializer)
    def state(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Who answers in this conversation now."""
        return Response(ownership(get_conversation(self.principal(), conversation_id), "This is who answers now."))

    @extend_schema(request=ContactInput, responses=SentenceSerializer)
    def leave_address(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """An address to be answered at, of a visitor who waits for a person."""
        email = self.validated(ContactInput, request)["email"]
        services.leave_address(actor=self.principal(), conversation_id=conversation_id, email=email)
        return Response({"message": "We will answer you by mail.", "conversation_id": conversation_id})

    @extend_schema(request=TypingInput, responses=SentenceSerializer)
    def typing(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Tell the other side that somebody is writing, or has stopped. It is stored nowhere."""
        is_typing = self.validated(TypingInput, request)["is_typing"]
        services.say_typing(actor=self.principal(), conversation_id=conversation_id, is_typing=is_typing)
        return Response({"message": "Told.", "conversation_id": conversation_id})

    @extend_schema(responses=answer("HandoverHistory", handovers=HandoverSerializer(many=True)))
    def history(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """When and why people were asked for, who came, and how it ended; the newest first."""
        rows = handovers_of(get_conversation(self.principal(), conversation_id))[:100]
        return Response(listing(["handovers"], HandoverSerializer(rows, many=True).data))

    @extend_schema(request=None, responses=OwnerSerializer)
    def take(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Have it from now on: the agent is silent. 409 names who has it already."""
        conversation = services.take_conversation(actor=self.principal(), conversation_id=conversation_id)
        return Response(ownership(conversation, "You have this conversation now."))

    @extend_schema(request=AssignInput, responses=OwnerSerializer)
    def assign(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Give it to somebody of the company."""
        user_id = self.validated(AssignInput, request)["user_id"]
        conversation = services.assign_conversation(
            actor=self.principal(), conversation_id=conversation_id, user_id=user_id
        )
        return Response(ownership(conversation, f"{conversation.person_name} has this conversation now."))

    @extend_schema(request=TextInput, responses={201: answer("PersonsMessage", data=MessageSerializer())})
    def send(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Write to the visitor under your own name, in a conversation that you have."""
        text = self.validated(TextInput, request)["message"]
        message = services.send_as_person(actor=self.principal(), conversation_id=conversation_id, text=text)
        return Response(single("data", message_record(message)), status=201)

    @extend_schema(request=HandBackInput, responses=OwnerSerializer)
    def hand_back(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Let the agent answer again, with a summary of what was settled."""
        summary = self.validated(HandBackInput, request)["summary"]
        conversation = services.hand_back(actor=self.principal(), conversation_id=conversation_id, summary=summary)
        return Response(ownership(conversation, f"{conversation.agent.name} answers again."))

    @extend_schema(request=None, responses=OwnerSerializer)
    def close(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Nothing is left to do. When the visitor writes again, the agent answers."""
        conversation = services.close_conversation(actor=self.principal(), conversation_id=conversation_id)
        return Response(ownership(conversation, "The conversation is closed."))

    @extend_schema(responses=answer("PrivateNotes", notes=NoteSerializer(many=True)))
    def notes(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """What the company's people have told each other, oldest first. Visitors and models never read it."""
        rows = notes_of(get_conversation(self.principal(), conversation_id))[:500]
        return Response(listing(["notes"], NoteSerializer(rows, many=True).data))

    @extend_schema(request=TextInput, responses={201: answer("PrivateNoteMade", note=NoteSerializer())})
    def add_note(self, request: Request, conversation_id: uuid.UUID) -> Response:
        text = self.validated(TextInput, request)["message"]
        note = services.add_note(actor=self.principal(), conversation_id=conversation_id, text=text)
        return Response(single("note", NoteSerializer(note).data), status=201)

    @extend_schema(request=None, responses=SentenceSerializer)
    def mark_read(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Take the mark of being unread off it, for everybody of the company."""
        services.mark_conversation_read(actor=self.principal(), conversation_id=conversation_id)
        return Response({"message": "Read.", "conversation_id": conversation_id})


class InboxViewSet(ApiViewSet):
    access = {"list": READ, "stream": SIGNED_IN, "presence": READ, "set_presence": SIGNED_IN}

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, OpenApiParameter("show", str, enum=SHOW, default="open")],
        responses=page("InboxPage", "conversations", InboxRowSerializer(many=True)),
    )
    def list(self, request: Request) -> Response:
        """Conversations that people have or are waited for in: what has waited longest first, then the newest."""
        show = serializers.ChoiceField(SHOW).run_validation(request.query_params.get("show") or "open")
        found, pagination = paginate(request, inbox(self.principal(), show=show), per_page=20)
        return Response(listing(["conversations"], InboxRowSerializer(found, many=True).data, pagination))

    @extend_schema(responses={(200, "text/event-stream"): OpenApiTypes.STR, 503: ErrorSerializer})
    def stream(self, request: Request) -> Response:
        """Server-sent events `inbox` (a `conversation_id` and `what` is new), `chat_typing` and `heartbeat`.

        Whoever listens is online. Served beside Django; this view only answers where the server is not an ASGI server.
        """
        raise StreamingUnavailableError("Streaming is not configured on this server. Ask for the list instead.")

    @extend_schema(responses=answer("PresenceList", people=PresenceSerializer(many=True)))
    def presence(self, request: Request) -> Response:
        """Who of the company's people has the inbox open."""
        people = list(
            people_for(self.principal()).filter(archived_at=None, status="active").order_by("created_at")[:200]
        )
        states = streams.presence_of(current_schema(), [user.pk for user in people])
        rows = [{"user_id": user.pk, "name": str(user), "presence": states[user.pk]} for user in people]
        return Response(listing(["people"], rows))

    @extend_schema(request=PresenceInput, responses=SentenceSerializer)
    def set_presence(self, request: Request) -> Response:
        """Be shown as away, or not any more. It holds for twelve hours."""
        is_away = self.validated(PresenceInput, request)["is_away"]
        services.set_presence(actor=self.principal(), is_away=is_away)
        return Response({"message": "You are shown as away." if is_away else "You are shown as online."})


class CannedReplyViewSet(ApiViewSet):
    access = {"list": READ, "create": WRITE, "update": WRITE, "destroy": WRITE}

    @extend_schema(responses=answer("CannedReplies", canned_replies=CannedReplySerializer(many=True)))
    def list(self, request: Request) -> Response:
        return Response(listing(["canned_replies"], CannedReplySerializer(canned_replies(), many=True).data))

    @extend_schema(
        request=CannedReplySerializer, responses={201: answer("CannedReplyMade", canned_reply=CannedReplySerializer())}
    )
    def create(self, request: Request) -> Response:
        data = self.validated(CannedReplySerializer, request)
        reply = services.create_canned_reply(actor=self.principal(), **data)
        return Response(single("canned_reply", CannedReplySerializer(reply).data), status=201)

    @extend_schema(
        request=CannedReplySerializer, responses=answer("CannedReplyChanged", canned_reply=CannedReplySerializer())
    )
    def update(self, request: Request, reply_id: uuid.UUID) -> Response:
        data = self.validated(CannedReplySerializer, request, partial=True)
        reply = services.update_canned_reply(actor=self.principal(), reply_id=reply_id, **data)
        return Response(single("canned_reply", CannedReplySerializer(reply).data))

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, reply_id: uuid.UUID) -> Response:
        services.delete_canned_reply(actor=self.principal(), reply_id=reply_id)
        return Response({"message": "The canned reply was deleted."})
