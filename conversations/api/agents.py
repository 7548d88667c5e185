"""What the API says of an agent's conversations: its figures, and a question to try it."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from agents.selectors import get_agent
from conversations import services
from conversations.dashboard import agent_figures
from knowrithm.api.permissions import READ
from knowrithm.api.responses import task_fields
from knowrithm.api.schema import TaskAcceptedSerializer
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from knowrithm.principal import Resource


class AgentTestInput(serializers.Serializer[Any]):
    query = serializers.CharField(max_length=16_000, required=False, allow_blank=True)
    draft = serializers.BooleanField(required=False, help_text="Ask the agent's draft, where there is one.")


class AgentTrialViewSet(ApiViewSet):
    """An agent's figures, and a try."""

    resource = Resource.AGENTS
    access = {"stats": READ, "test": READ}

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("chat", per="credential")()] if self.action == "test" else []

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def stats(self, request: Request, agent_id: uuid.UUID) -> Response:
        """Counted from the rows that are there now."""
        return Response(agent_figures(get_agent(agent_id)))

    @extend_schema(
        request=AgentTestInput,
        responses={202: TaskAcceptedSerializer},
    )
    def test(self, request: Request, agent_id: uuid.UUID) -> Response:
        """Ask it something without leaving a conversation behind; without `query`, its first starter question."""
        data = self.validated(AgentTestInput, request)
        task_id = services.start_test(
            actor=self.principal(),
            agent=get_agent(agent_id),
            query=data.get("query", ""),
            is_draft=data.get("draft", False),
        )
        body = {"status": "accepted", **task_fields(task_id), "message": "The agent is being asked."}
        return Response(body, status=202)
