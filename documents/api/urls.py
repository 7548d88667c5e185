from __future__ import annotations

from django.urls import path

from documents.api import lifecycle, views
from documents.api.datasets import DatasetViewSet

document, chunk, dataset = views.DocumentViewSet, views.ChunkViewSet, DatasetViewSet
version, download, chunking = lifecycle.VersionViewSet, lifecycle.DownloadViewSet, lifecycle.ChunkingViewSet

urlpatterns = [
    path("document", document.as_view({"get": "list"})),
    path("document/upload", document.as_view({"post": "upload"})),
    path("document/deleted", document.as_view({"get": "deleted"})),
    path("document/bulk-delete", document.as_view({"delete": "bulk_delete"})),
    path("document/agent/<uuid:agent_id>", document.as_view({"get": "of_agent"})),
    path("document/chunk/deleted", chunk.as_view({"get": "deleted"})),
    path("document/chunk/<uuid:chunk_id>", chunk.as_view({"patch": "update", "delete": "destroy"})),
    path("document/chunk/<uuid:chunk_id>/restore", chunk.as_view({"patch": "restore"})),
    path("document/chunk/<uuid:chunk_id>/undo", chunk.as_view({"post": "undo"})),
    path("document/preview", lifecycle.PreviewViewSet.as_view({"post": "preview"})),
    path("document/file/<str:token>", download.as_view({"get": "by_link"})),
    path(
        "document/<uuid:document_id>",
        document.as_view({"get": "retrieve", "patch": "update", "delete": "destroy"}),
    ),
    path("document/<uuid:document_id>/download", download.as_view({"get": "download"})),
    path("document/<uuid:document_id>/download-link", download.as_view({"get": "link"})),
    path("document/<uuid:document_id>/replace", version.as_view({"post": "replace"})),
    path("document/<uuid:document_id>/versions", version.as_view({"get": "versions"})),
    path("document/<uuid:document_id>/restore", document.as_view({"patch": "restore"})),
    path("document/<uuid:document_id>/retry", document.as_view({"post": "retry"})),
    path("document/<uuid:document_id>/chunk", chunk.as_view({"delete": "destroy_all"})),
    path("document/<uuid:document_id>/chunk/restore-all", chunk.as_view({"patch": "restore_all"})),
    path("agent/<uuid:agent_id>/chunking", chunking.as_view({"get": "of_agent", "put": "set_of_agent"})),
    path("dataset/<uuid:dataset_id>/chunking", chunking.as_view({"get": "of_dataset", "put": "set_of_dataset"})),
    path("dataset", dataset.as_view({"get": "list", "post": "create"})),
    path("dataset/deleted", dataset.as_view({"get": "deleted"})),
    path(
        "dataset/<uuid:dataset_id>",
        dataset.as_view({"get": "retrieve", "put": "update", "patch": "update", "delete": "destroy"}),
    ),
    path("dataset/<uuid:dataset_id>/restore", dataset.as_view({"patch": "restore"})),
    path("website/handshake", views.HandshakeViewSet.as_view({"post": "create"})),
    path("search/document", views.SearchViewSet.as_view({"post": "search"})),
]
