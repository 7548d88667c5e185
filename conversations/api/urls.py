from __future__ import annotations

from django.urls import path

from conversations.api.agents import AgentTrialViewSet
from conversations.api.direct import DirectChatViewSet
from conversations.api.guardrails import GuardrailViewSet
from conversations.api.handover import CannedReplyViewSet, HandoverViewSet, InboxViewSet
from conversations.api.messages import MessageViewSet
from conversations.api.replays import ReplayViewSet
from conversations.api.scores import LeadScoreViewSet, ScorePreviewViewSet
from conversations.api.views import ConversationViewSet

urlpatterns = [
    path("agent/<uuid:agent_id>/stats", AgentTrialViewSet.as_view({"get": "stats"})),
    path("agent/<uuid:agent_id>/test", AgentTrialViewSet.as_view({"post": "test"})),
    path("conversation", ConversationViewSet.as_view({"get": "list", "post": "create"})),
    path("conversation/deleted", ConversationViewSet.as_view({"get": "deleted"})),
    path("conversation/entity", ConversationViewSet.as_view({"get": "of_caller"})),
    path("conversation/entity/<uuid:entity_id>", ConversationViewSet.as_view({"get": "of_entity"})),
    path("conversation/agent/<uuid:agent_id>", ConversationViewSet.as_view({"get": "of_agent"})),
    path("conversation/agent/<uuid:agent_id>/close", ConversationViewSet.as_view({"post": "close_of_agent"})),
    path("conversation/<uuid:conversation_id>", ConversationViewSet.as_view({"patch": "update", "delete": "destroy"})),
    path("conversation/<uuid:conversation_id>/restore", ConversationViewSet.as_view({"patch": "restore"})),
    path(
        "conversation/<uuid:conversation_id>/messages",
        ConversationViewSet.as_view({"get": "messages", "delete": "destroy_messages"}),
    ),
    path(
        "conversation/<uuid:conversation_id>/message/restore-all",
        ConversationViewSet.as_view({"patch": "restore_messages"}),
    ),
    path("conversation/<uuid:conversation_id>/messages/stream", ConversationViewSet.as_view({"get": "stream"})),
    path("conversation/<uuid:conversation_id>/chat", ConversationViewSet.as_view({"post": "chat"})),
    path(
        "conversation/<uuid:conversation_id>/handover",
        HandoverViewSet.as_view({"get": "state", "post": "request_person"}),
    ),
    path("conversation/<uuid:conversation_id>/handover/address", HandoverViewSet.as_view({"post": "leave_address"})),
    path("conversation/<uuid:conversation_id>/handover/history", HandoverViewSet.as_view({"get": "history"})),
    path("conversation/<uuid:conversation_id>/handover/take", HandoverViewSet.as_view({"post": "take"})),
    path("conversation/<uuid:conversation_id>/handover/assign", HandoverViewSet.as_view({"post": "assign"})),
    path("conversation/<uuid:conversation_id>/handover/message", HandoverViewSet.as_view({"post": "send"})),
    path("conversation/<uuid:conversation_id>/handover/back", HandoverViewSet.as_view({"post": "hand_back"})),
    path("conversation/<uuid:conversation_id>/handover/close", HandoverViewSet.as_view({"post": "close"})),
    path("conversation/<uuid:conversation_id>/notes", HandoverViewSet.as_view({"get": "notes", "post": "add_note"})),
    path("conversation/<uuid:conversation_id>/read", HandoverViewSet.as_view({"post": "mark_read"})),
    path("conversation/<uuid:conversation_id>/typing", HandoverViewSet.as_view({"post": "typing"})),
    path("inbox", InboxViewSet.as_view({"get": "list"})),
    path("inbox/stream", InboxViewSet.as_view({"get": "stream"})),
    path("inbox/presence", InboxViewSet.as_view({"get": "presence", "post": "set_presence"})),
    path("canned-reply", CannedReplyViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "canned-reply/<uuid:reply_id>",
        CannedReplyViewSet.as_view({"put": "update", "patch": "update", "delete": "destroy"}),
    ),
    path("lead/<uuid:lead_id>/score", LeadScoreViewSet.as_view({"get": "retrieve"})),
    path("lead/score-rules/preview", ScorePreviewViewSet.as_view({"post": "preview"})),
    path("message/deleted", MessageViewSet.as_view({"get": "deleted"})),
    path("message/<uuid:message_id>", MessageViewSet.as_view({"patch": "edit", "delete": "destroy"})),
    path("message/<uuid:message_id>/restore", MessageViewSet.as_view({"patch": "restore"})),
    path("message/<uuid:message_id>/regenerate", MessageViewSet.as_view({"post": "regenerate"})),
    path("message/<uuid:message_id>/stop", MessageViewSet.as_view({"post": "stop"})),
    path("message/<uuid:message_id>/feedback", MessageViewSet.as_view({"post": "feedback"})),
    path("message/<uuid:message_id>/replay", ReplayViewSet.as_view({"get": "retrieve", "post": "create"})),
    path("chat", DirectChatViewSet.as_view({"post": "create"})),
    path("guardrail", GuardrailViewSet.as_view({"get": "list", "post": "create"})),
    path("guardrail/decisions", GuardrailViewSet.as_view({"get": "decisions"})),
    path(
        "guardrail/<uuid:guardrail_id>",
        GuardrailViewSet.as_view({"get": "retrieve", "put": "update", "patch": "update", "delete": "destroy"}),
    ),
    path("guardrail/<uuid:guardrail_id>/try", GuardrailViewSet.as_view({"post": "trial"})),
]
