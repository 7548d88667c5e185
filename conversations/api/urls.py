from __future__ import annotations

from django.urls import path

from conversations.api.agents import AgentTrialViewSet
from conversations.api.direct import DirectChatViewSet
from conversations.api.guardrails import GuardrailViewSet
from conversations.api.messages import MessageViewSet
from conversations.api.replays import ReplayViewSet
from conversations.api.views import ConversationViewSet

urlpatterns = [
    path("agent/<uuid:agent_id>/stats", AgentTrialViewSet.as_view({"get": "stats"})),
    path("agent/<uuid:agent_id>/test", AgentTrialViewSet.as_view({"post": "test"})),
    path("conversation", ConversationViewSet.as_view({"get": "list", "post": "create"})),
    path("conversation/deleted", ConversationViewSet.as_view({"get": "deleted"})),
    path("conversation/entity", ConversationViewSet.as_view({"get": "of_caller"})),
    path("conversation/entity/<uuid:entity_id>", ConversationViewSet.as_view({"get": "of_entity"})),
    path("conversation/agent/<uuid:agent_id>", ConversationViewSet.as_view({"get": "of_agent"})),
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
