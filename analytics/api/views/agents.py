"""A company's own figures of an agent and of a conversation."""

from __future__ import annotations

import uuid

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.selectors import get_agent
from analytics.api.serializers import DateRangeQuery
from analytics.api.views.base import QueryViewSet
from analytics.selectors.agents import agent_comparison, agent_report, conversation_report
from conversations.selectors import get_conversation
from knowrithm.api.permissions import READ


class AgentAnalyticsViewSet(QueryViewSet):
    access = READ

    @extend_schema(parameters=[DateRangeQuery], responses=OpenApiTypes.OBJECT)
    def retrieve(self, request: Request, agent_id: uuid.UUID) -> Response:
        """What was asked of an agent, how it answered, and what became of the leads; the last 30 days without dates."""
        agent = get_agent(agent_id)
        return Response(agent_report(agent, self.query(DateRangeQuery, request)["period"]))

    @extend_schema(parameters=[DateRangeQuery], responses=OpenApiTypes.OBJECT)
    def compare(self, request: Request, agent_id: uuid.UUID) -> Response:
        """An agent beside the average of the company's agents."""
        agent = get_agent(agent_id)
        return Response(agent_comparison(agent, self.query(DateRangeQuery, request)["period"]))


class ConversationAnalyticsViewSet(QueryViewSet):
    access = READ

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def retrieve(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """One conversation in figures."""
        return Response(conversation_report(get_conversation(self.principal(), conversation_id)))
