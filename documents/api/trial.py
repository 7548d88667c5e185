from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents.models import MOST_PASSAGES
from agents.selectors import get_agent
from documents.api.serializers import FiltersInput, SearchResultSerializer
from documents.retrieval import Filters, RetrievalSettings
from documents.selectors import metadata_of
from documents.trial import try_search
from knowrithm.api.permissions import READ
from knowrithm.api.schema import answer
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet


class TrialInput(serializers.Serializer[Any]):
    agent_id = serializers.UUIDField()
    query = serializers.CharField(max_length=4000)
    previous = serializers.CharField(max_length=4000, required=False, allow_blank=True)  # the question before
    top_k = serializers.IntegerField(min_value=1, max_value=MOST_PASSAGES, required=False)
    dense_weight = serializers.FloatField(min_value=0, max_value=1, required=False)
    threshold = serializers.FloatField(min_value=0, max_value=1, required=False)
    filters = FiltersInput(required=False)


class TrialPassageSerializer(SearchResultSerializer):
    dense_rank = serializers.IntegerField(allow_null=True)
    lexical_rank = serializers.IntegerField(allow_null=True)
    coverage = serializers.FloatField()
    fused_rank = serializers.IntegerField(allow_null=True)
    rerank = serializers.FloatField(allow_null=True)


class TrialSettingsSerializer(serializers.Serializer[Any]):
    top_k = serializers.IntegerField()
    dense_weight = serializers.FloatField()
    threshold = serializers.FloatField()


class TrialViewSet(ApiViewSet):
    access = READ
    throttle_classes = (limit("search", per="credential"),)

    @extend_schema(
        request=TrialInput,
        responses=answer(
            "RetrievalTrial",
            query=serializers.CharField(),
            searched=serializers.CharField(),
            settings=TrialSettingsSerializer(),
            results=TrialPassageSerializer(many=True),
            total_results=serializers.IntegerField(),
            evidence=serializers.FloatField(),
            has_evidence=serializers.BooleanField(),
            execution_time=serializers.FloatField(),
            warning=serializers.CharField(),
        ),
    )
    def search(self, request: Request) -> Response:
        """What the agent would find, with each leg's rank and score. Settings that are left out are the agent's own.

        `filters` are those of `POST /search/document`.

        Save what you like with `PUT /agent/{agent_id}`: `retrieval_top_k`, `retrieval_dense_weight`,
        `retrieval_threshold`.
        """
        data = self.validated(TrialInput, request)
        agent = get_agent(data["agent_id"])
        chosen = {name: data[name] for name in ("top_k", "dense_weight", "threshold") if name in data}
        trial = try_search(
            agent=agent,
            question=data["query"],
            previous=data.get("previous", ""),
            settings=replace(RetrievalSettings.of(agent), **chosen),
            filters=Filters(**data.get("filters", {})),
        )
        metadata = metadata_of(passage.document_id for passage in trial.passages)
        return Response(
            {
                "query": data["query"],
                "searched": trial.searched,
                "settings": asdict(trial.settings),
                "results": TrialPassageSerializer(trial.passages, many=True, context={"metadata": metadata}).data,
                "total_results": len(trial.passages),
                "evidence": trial.evidence,
                "has_evidence": trial.has_evidence,
                "execution_time": trial.seconds,
                "warning": trial.warning,
            }
        )
