from __future__ import annotations

from django.urls import path

from conversations.api.direct import DirectChatViewSet
from conversations.api.guardrails import GuardrailViewSet
from conversations.api.views import ConversationViewSet

urlpatterns = [
    path("conversation", ConversationViewSet.as_view({"get": "list", "post": "create"})),
    path("conversation/deleted", ConversationViewSet.as_view({"get": "deleted"})),
    path("conversation/agent/<uuid:agent_id>", ConversationViewSet.as_view({"get": "of_agent"})),
    path("conversation/<uuid:conversation_id>", ConversationViewSet.as_view({"delete": "destroy"})),
    path("conversation/<uuid:conversation_id>/restore", ConversationViewSet.as_view({"patch": "restore"})),
    path("conversation/<uuid:conversation_id>/messages", ConversationViewSet.as_view({"get": "messages"})),
    path("conversation/<uuid:conversation_id>/messages/stream", ConversationViewSet.as_view({"get": "stream"})),
    path("conversation/<uuid:conversation_id>/chat", ConversationViewSet.as_view({"post": "chat"})),
    path("chat", DirectChatViewSet.as_view({"post": "create"})),
    path("guardrail", GuardrailViewSet.as_view({"get": "list", "post": "create"})),
    path("guardrail/decisions", GuardrailViewSet.as_view({"get": "decisions"})),
    path(
        "guardrail/<uuid:guardrail_id>",
        GuardrailViewSet.as_view({"get": "retrieve", "put": "update", "patch": "update", "delete": "destroy"}),
    ),
    path("guardrail/<uuid:guardrail_id>/try", GuardrailViewSet.as_view({"post": "trial"})),
]
