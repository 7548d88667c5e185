"""What happens to a document after it was taken: new versions, its original, and how it is cut."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.http import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from agents.selectors import get_agent
from documents import downloads, selectors, services
from documents.api.serializers import (
    ChunkingInput,
    ChunkingSerializer,
    DocumentSerializer,
    PreviewChunkSerializer,
    PreviewInput,
    ReplaceInput,
)
from documents.models import Home
from documents.versions import versions_of
from knowrithm.api.permissions import PUBLIC, READ, WRITE
from knowrithm.api.responses import single
from knowrithm.api.schema import answer
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet

FILE = {(200, downloads.BINARY): OpenApiTypes.BINARY, 302: OpenApiResponse(description="Where the file lies.")}


class VersionViewSet(ApiViewSet):
    access = {"replace": WRITE, "versions": READ}

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("upload", per="company")()] if self.action == "replace" else []

    @extend_schema(
        request={"multipart/form-data": ReplaceInput, "application/json": ReplaceInput},
        responses={202: answer("ReplacedDocument", document=DocumentSerializer())},
    )
    def replace(self, request: Request, document_id: uuid.UUID) -> Response:
        """Take a new version. The one before it answers until the new one has been read, and is archived then."""
        data = self.validated(ReplaceInput, request)
        document = services.replace_document(
            actor=self.principal(),
            document=selectors.get_document(document_id),
            file=data.get("file"),
            url=data.get("url", ""),
            takes_name=data["takes_name"],
            allow_duplicate=data["allow_duplicate"],
        )
        record = DocumentSerializer(document).data
        return Response(single("document", record, task_ids=selectors.task_ids([document])), status=202)

    @extend_schema(responses=answer("DocumentVersions", versions=DocumentSerializer(many=True)))
    def versions(self, request: Request, document_id: uuid.UUID) -> Response:
        """All versions of a document, the newest first, archived ones too."""
        rows = versions_of(selectors.get_document(document_id, include_archived=True))
        return Response({"versions": DocumentSerializer(rows, many=True).data})


class DownloadViewSet(ApiViewSet):
    access = {"download": READ, "link": READ, "by_link": PUBLIC}

    @extend_schema(responses=FILE)
    def download(self, request: Request, document_id: uuid.UUID) -> HttpResponseBase:
        """The original file, archived documents' too."""
        document = selectors.get_document(document_id, include_archived=True)
        return downloads.download(request._request, document)

    @extend_schema(
        responses=answer("DownloadLink", url=serializers.CharField(), expires_at=serializers.DateTimeField())
    )
    def link(self, request: Request, document_id: uuid.UUID) -> Response:
        """An address that opens the original for five minutes without a credential."""
        expires_at = timezone.now() + timedelta(seconds=downloads.LINK_SECONDS)
        document = selectors.get_document(document_id, include_archived=True)
        url = downloads.download_url(document, self.principal().company_id)
        return Response({"url": url, "expires_at": expires_at})

    @extend_schema(responses=FILE)
    def by_link(self, request: Request, token: str) -> HttpResponseBase:
        return downloads.download_by_link(request._request, token)


class PreviewViewSet(ApiViewSet):
    access = WRITE
    throttle_classes = (limit("upload", per="company"),)

    @extend_schema(
        request={"multipart/form-data": PreviewInput, "application/json": PreviewInput},
        responses=answer(
            "SplitPreview",
            chunks=PreviewChunkSerializer(many=True),
            total=serializers.IntegerField(),
            document_type=serializers.CharField(),
            page_count=serializers.IntegerField(allow_null=True),
            warnings=serializers.ListField(child=serializers.CharField()),
            chunk_size=serializers.IntegerField(),
            chunk_overlap=serializers.IntegerField(),
        ),
    )
    def preview(self, request: Request) -> Response:
        """What a file or a text would be cut into; nothing is stored. The first 200 chunks are shown.

        Sizes that are not given are those of the agent or dataset, or else the usual ones.
        """
        data = self.validated(PreviewInput, request)
        chunking = services.check_chunking(*_sizes(data))
        found = services.preview_split(chunking=chunking, file=data.get("file"), text=data.get("text", ""))
        return Response(
            {
                "chunks": PreviewChunkSerializer(found.chunks, many=True).data,
                "total": found.total,
                "document_type": found.document_type,
                "page_count": found.page_count,
                "warnings": list(found.warnings),
                "chunk_size": chunking.chunk_size,
                "chunk_overlap": chunking.chunk_overlap,
            }
        )


def _sizes(data: dict[str, Any]) -> tuple[int, int]:
    home: Home | None = None
    if data.get("agent_id"):
        home = get_agent(data["agent_id"])
    elif data.get("dataset_id"):
        home = selectors.get_dataset(data["dataset_id"])
    usual = (home.chunk_size, home.chunk_overlap) if home else (220, 40)
    size = data.get("chunk_size", usual[0])
    return size, data.get("chunk_overlap", min(usual[1], size // 2))


class ChunkingViewSet(ApiViewSet):
    """How the documents of an agent or a dataset are cut into chunks, in words."""

    access = {"of_agent": READ, "of_dataset": READ, "set_of_agent": WRITE, "set_of_dataset": WRITE}

    @extend_schema(responses=ChunkingSerializer)
    def of_agent(self, request: Request, agent_id: uuid.UUID) -> Response:
        return Response(ChunkingSerializer(get_agent(agent_id)).data)

    @extend_schema(responses=ChunkingSerializer)
    def of_dataset(self, request: Request, dataset_id: uuid.UUID) -> Response:
        return Response(ChunkingSerializer(selectors.get_dataset(dataset_id)).data)

    @extend_schema(request=ChunkingInput, responses=ChunkingSerializer)
    def set_of_agent(self, request: Request, agent_id: uuid.UUID) -> Response:
        """For what is read from now on; with `read_again` also for what has been read."""
        return self._set(request, get_agent(agent_id))

    @extend_schema(request=ChunkingInput, responses=ChunkingSerializer)
    def set_of_dataset(self, request: Request, dataset_id: uuid.UUID) -> Response:
        """For what is read from now on; with `read_again` also for what has been read."""
        return self._set(request, selectors.get_dataset(dataset_id))

    def _set(self, request: Request, home: Home) -> Response:
        data = self.validated(ChunkingInput, request)
        queued = services.set_chunking(
            actor=self.principal(),
            home=home,
            chunk_size=data["chunk_size"],
            chunk_overlap=data["chunk_overlap"],
            is_read_again=data["read_again"],
        )
        return Response({**ChunkingSerializer(home).data, "documents_read_again": queued})
