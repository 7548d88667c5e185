from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from documents import selectors, services
from documents.api.serializers import DatasetInput, DatasetSerializer, DatasetUpdateInput
from documents.models import Dataset
from knowrithm.api.pagination import paginate
from knowrithm.api.permissions import READ, WRITE
from knowrithm.api.responses import listing, single
from knowrithm.api.schema import PAGE_PARAMETERS, SentenceSerializer, answer, page
from knowrithm.api.views import ApiViewSet

DatasetAnswer = answer("DatasetAnswer", dataset=DatasetSerializer())


class DatasetViewSet(ApiViewSet):
    """Documents that several agents share. An agent answers from its own and from the datasets granted to it."""

    access = {
        "create": WRITE,
        "list": READ,
        "deleted": READ,
        "retrieve": READ,
        "update": WRITE,
        "destroy": WRITE,
        "restore": WRITE,
    }

    def _answer(self, dataset: Dataset, **options: Any) -> Response:
        return Response(single("dataset", DatasetSerializer(dataset).data), **options)

    @extend_schema(request=DatasetInput, responses={201: DatasetAnswer})
    def create(self, request: Request) -> Response:
        """Without `llm_settings_id` its documents are embedded as the company's default says."""
        data = self.validated(DatasetInput, request)
        settings_id = data.pop("llm_settings_id", None)
        dataset = services.create_dataset(actor=self.principal(), settings_id=settings_id, **data)
        return self._answer(dataset, status=201)

    @extend_schema(
        parameters=[*PAGE_PARAMETERS, OpenApiParameter("search", str)],
        responses=page("DatasetPage", "datasets", DatasetSerializer(many=True)),
    )
    def list(self, request: Request) -> Response:
        found = selectors.datasets_list(search=request.query_params.get("search", ""))
        rows, pagination = paginate(request, found, per_page=20)
        return Response(listing(["datasets"], DatasetSerializer(rows, many=True).data, pagination))

    @extend_schema(
        parameters=PAGE_PARAMETERS,
        responses=page("DeletedDatasets", "deleted_datasets", DatasetSerializer(many=True)),
    )
    def deleted(self, request: Request) -> Response:
        rows, pagination = paginate(request, selectors.datasets_list(is_archived=True), per_page=20)
        return Response(listing(["deleted_datasets", "datasets"], DatasetSerializer(rows, many=True).data, pagination))

    @extend_schema(responses=DatasetAnswer)
    def retrieve(self, request: Request, dataset_id: uuid.UUID) -> Response:
        return self._answer(selectors.get_dataset(dataset_id))

    @extend_schema(request=DatasetUpdateInput, responses=DatasetAnswer)
    def update(self, request: Request, dataset_id: uuid.UUID) -> Response:
        """`agent_ids` replaces the list of agents that may answer from it."""
        data = self.validated(DatasetUpdateInput, request)
        dataset = services.update_dataset(
            actor=self.principal(),
            dataset=selectors.get_dataset(dataset_id),
            settings_id=data.pop("llm_settings_id", None),
            agent_ids=data.pop("agent_ids", None),
            changes=data,
        )
        return self._answer(dataset)

    @extend_schema(responses=SentenceSerializer)
    def destroy(self, request: Request, dataset_id: uuid.UUID) -> Response:
        """No agent answers from it any more; it can be restored."""
        dataset = services.archive_dataset(actor=self.principal(), dataset=selectors.get_dataset(dataset_id))
        return Response({"message": "Dataset archived.", "dataset_id": dataset.id})

    @extend_schema(request=None, responses=DatasetAnswer)
    def restore(self, request: Request, dataset_id: uuid.UUID) -> Response:
        dataset = selectors.get_dataset(dataset_id, include_archived=True)
        return self._answer(services.restore_dataset(actor=self.principal(), dataset=dataset))
