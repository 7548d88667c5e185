from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents.selectors import get_agent
from documents import selectors, services
from documents.enums import RerankProvider
from documents.models import AgentReranker
from knowrithm.api.permissions import ADMIN_OR_WRITE_KEY, READ
from knowrithm.api.schema import SentenceSerializer
from knowrithm.api.views import ApiViewSet


class RerankerInput(serializers.Serializer[Any]):
    provider = serializers.ChoiceField(choices=RerankProvider.choices, required=False)
    model = serializers.CharField(max_length=120, required=False, allow_blank=True)
    base_url = serializers.CharField(max_length=500, required=False, allow_blank=True)
    api_key = serializers.CharField(max_length=500, required=False, allow_blank=True, write_only=True)
    passages = serializers.IntegerField(min_value=2, max_value=100, required=False)


class RerankerSerializer(serializers.ModelSerializer[AgentReranker]):
    api_key_hint = serializers.CharField(source="key_hint")

    class Meta:
        model = AgentReranker
        fields = ("provider", "model", "base_url", "api_key_hint", "passages", "updated_at")


class RerankerViewSet(ApiViewSet):
    """The model that reads the question beside each of an agent's best passages, and puts them in order anew."""

    access = {"of_agent": READ, "update": ADMIN_OR_WRITE_KEY, "destroy": ADMIN_OR_WRITE_KEY}

    @extend_schema(responses=RerankerSerializer)
    def of_agent(self, request: Request, agent_id: uuid.UUID) -> Response:
        """404 where the agent has none."""
        return Response(RerankerSerializer(selectors.get_reranker(get_agent(agent_id))).data)

    @extend_schema(request=RerankerInput, responses=RerankerSerializer)
    def update(self, request: Request, agent_id: uuid.UUID) -> Response:
        """What is left out stays as it is. It takes effect at once, without publishing a version."""
        data = self.validated(RerankerInput, request)
        reranker = services.set_reranker(actor=self.principal(), agent=get_agent(agent_id), choices=data)
        return Response(RerankerSerializer(reranker).data)

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, agent_id: uuid.UUID) -> Response:
        services.remove_reranker(actor=self.principal(), agent=get_agent(agent_id))
        return Response({"message": "The passages keep the order of the search."})
