"""The search index of an agent or dataset: how far it is, making it anew, and the way back."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents.selectors import get_agent
from documents import selectors, services
from documents.enums import JobStatus
from documents.index_status import IndexStatus, index_status
from documents.models import Home, IndexedDocument, SearchIndex
from knowrithm.api.permissions import READ, WRITE
from knowrithm.api.responses import single
from knowrithm.api.schema import answer
from knowrithm.api.views import ApiViewSet


class SearchIndexSerializer(serializers.ModelSerializer[SearchIndex]):
    embedding_provider = serializers.CharField(source="embedding_provider.slug")
    embedding_model = serializers.CharField(source="embedding_model.name")

    class Meta:
        model = SearchIndex
        fields = (
            "id", "state", "embedding_provider", "embedding_model", "embedding_dimension", "chunk_size",
            "chunk_overlap", "created_at", "state_at",
        )  # fmt: skip


class IndexNoteSerializer(serializers.ModelSerializer[IndexedDocument]):
    document_name = serializers.CharField(source="document.name")

    class Meta:
        model = IndexedDocument
        fields = ("document_id", "document_name", "note")


class IndexBuildSerializer(serializers.Serializer[IndexStatus]):
    id = serializers.UUIDField(source="build.id")
    status = serializers.ChoiceField(choices=JobStatus.choices, source="build.status")
    is_catching_up = serializers.BooleanField()
    documents_total = serializers.IntegerField()
    documents_done = serializers.IntegerField()
    seconds_left = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(source="build.error")
    error_code = serializers.CharField(source="build.error_code")
    started_at = serializers.DateTimeField(source="build.started_at", allow_null=True)
    index = SearchIndexSerializer(source="made")


class IndexStatusSerializer(serializers.Serializer[IndexStatus]):
    answering = SearchIndexSerializer(allow_null=True)
    previous = SearchIndexSerializer(allow_null=True)
    previous_kept_until = serializers.DateTimeField(source="kept_until", allow_null=True)
    build = serializers.SerializerMethodField()
    notes = IndexNoteSerializer(many=True)
    is_current = serializers.BooleanField()

    @extend_schema_field(IndexBuildSerializer(allow_null=True))
    def get_build(self, status: IndexStatus) -> dict[str, Any] | None:
        return dict(IndexBuildSerializer(status).data) if status.build else None


IndexAnswer = answer("SearchIndexAnswer", index=IndexStatusSerializer())


class IndexViewSet(ApiViewSet):
    access = {"retrieve": READ, "build": WRITE, "cancel": WRITE, "roll_back": WRITE}

    def _home(self, agent_id: uuid.UUID | None, dataset_id: uuid.UUID | None) -> Home:
        return get_agent(agent_id) if agent_id else selectors.get_dataset(dataset_id or uuid.UUID(int=0))

    def _answer(self, home: Home, **options: Any) -> Response:
        return Response(single("index", IndexStatusSerializer(index_status(home)).data), **options)

    @extend_schema(responses=IndexAnswer)
    def retrieve(
        self, request: Request, agent_id: uuid.UUID | None = None, dataset_id: uuid.UUID | None = None
    ) -> Response:
        """What answers, what can be gone back to, and how far an index in the making is."""
        return self._answer(self._home(agent_id, dataset_id))

    @extend_schema(request=None, responses={202: IndexAnswer})
    def build(
        self, request: Request, agent_id: uuid.UUID | None = None, dataset_id: uuid.UUID | None = None
    ) -> Response:
        """Make the index that the settings ask for; one that failed is gone on with. What is there answers meanwhile.

        A change of the embedding model begins this by itself.
        """
        home = self._home(agent_id, dataset_id)
        services.start_index_build(actor=self.principal(), home=home)
        return self._answer(home, status=202)

    @extend_schema(request=None, responses=IndexAnswer)
    def cancel(
        self, request: Request, agent_id: uuid.UUID | None = None, dataset_id: uuid.UUID | None = None
    ) -> Response:
        """Give up the index in the making."""
        home = self._home(agent_id, dataset_id)
        services.cancel_index_build(actor=self.principal(), home=home)
        return self._answer(home)

    @extend_schema(request=None, responses=IndexAnswer)
    def roll_back(
        self, request: Request, agent_id: uuid.UUID | None = None, dataset_id: uuid.UUID | None = None
    ) -> Response:
        """Let the index before answer again, at once. What was read or edited since follows in the background."""
        home = self._home(agent_id, dataset_id)
        services.roll_back_index(actor=self.principal(), home=home)
        return self._answer(home)
