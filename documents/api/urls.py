from __future__ import annotations

from django.urls import path

from documents.api import views
from documents.api.datasets import DatasetViewSet
from documents.api.trial import TrialViewSet

document, chunk, dataset = views.DocumentViewSet, views.ChunkViewSet, DatasetViewSet

urlpatterns = [
    path("document", document.as_view({"get": "list"})),
    path("document/upload", document.as_view({"post": "upload"})),
    path("document/deleted", document.as_view({"get": "deleted"})),
    path("document/bulk-delete", document.as_view({"delete": "bulk_delete"})),
    path("document/agent/<uuid:agent_id>", document.as_view({"get": "of_agent"})),
    path("document/chunk/deleted", chunk.as_view({"get": "deleted"})),
    path("document/chunk/<uuid:chunk_id>", chunk.as_view({"delete": "destroy"})),
    path("document/chunk/<uuid:chunk_id>/restore", chunk.as_view({"patch": "restore"})),
    path("document/<uuid:document_id>", document.as_view({"get": "retrieve", "delete": "destroy"})),
    path("document/<uuid:document_id>/restore", document.as_view({"patch": "restore"})),
    path("document/<uuid:document_id>/retry", document.as_view({"post": "retry"})),
    path("document/<uuid:document_id>/cancel", document.as_view({"post": "cancel"})),
    path("document/<uuid:document_id>/chunk", chunk.as_view({"delete": "destroy_all"})),
    path("document/<uuid:document_id>/chunk/restore-all", chunk.as_view({"patch": "restore_all"})),
    path("dataset", dataset.as_view({"get": "list", "post": "create"})),
    path("dataset/deleted", dataset.as_view({"get": "deleted"})),
    path(
        "dataset/<uuid:dataset_id>",
        dataset.as_view({"get": "retrieve", "put": "update", "patch": "update", "delete": "destroy"}),
    ),
    path("dataset/<uuid:dataset_id>/restore", dataset.as_view({"patch": "restore"})),
    path("website/handshake", views.HandshakeViewSet.as_view({"post": "create"})),
    path("search/trial", TrialViewSet.as_view({"post": "search"})),
    path("search/document", views.SearchViewSet.as_view({"post": "search"})),
]
