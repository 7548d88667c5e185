from __future__ import annotations

from django.urls import path

from documents.api import lifecycle, views
from documents.api.datasets import DatasetViewSet
from documents.api.indexes import IndexViewSet
from documents.api.reranking import RerankerViewSet
from documents.api.retention import RetentionViewSet
from documents.api.trial import TrialViewSet
from documents.api.websites import HandshakeViewSet, WebsiteViewSet

document, chunk, dataset = views.DocumentViewSet, views.ChunkViewSet, DatasetViewSet
website, index = WebsiteViewSet, IndexViewSet
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
    path("document/<uuid:document_id>/cancel", document.as_view({"post": "cancel"})),
    path("document/<uuid:document_id>/chunk", chunk.as_view({"delete": "destroy_all"})),
    path("document/<uuid:document_id>/chunk/restore-all", chunk.as_view({"patch": "restore_all"})),
    path(
        "agent/<uuid:agent_id>/reranker",
        RerankerViewSet.as_view({"get": "of_agent", "put": "update", "delete": "destroy"}),
    ),
    path("agent/<uuid:agent_id>/chunking", chunking.as_view({"get": "of_agent", "put": "set_of_agent"})),
    path("dataset/<uuid:dataset_id>/chunking", chunking.as_view({"get": "of_dataset", "put": "set_of_dataset"})),
    path("agent/<uuid:agent_id>/index", index.as_view({"get": "retrieve"})),
    path("agent/<uuid:agent_id>/index/build", index.as_view({"post": "build"})),
    path("agent/<uuid:agent_id>/index/cancel", index.as_view({"post": "cancel"})),
    path("agent/<uuid:agent_id>/index/rollback", index.as_view({"post": "roll_back"})),
    path("dataset/<uuid:dataset_id>/index", index.as_view({"get": "retrieve"})),
    path("dataset/<uuid:dataset_id>/index/build", index.as_view({"post": "build"})),
    path("dataset/<uuid:dataset_id>/index/cancel", index.as_view({"post": "cancel"})),
    path("dataset/<uuid:dataset_id>/index/rollback", index.as_view({"post": "roll_back"})),
    path("dataset", dataset.as_view({"get": "list", "post": "create"})),
    path("dataset/deleted", dataset.as_view({"get": "deleted"})),
    path(
        "dataset/<uuid:dataset_id>",
        dataset.as_view({"get": "retrieve", "put": "update", "patch": "update", "delete": "destroy"}),
    ),
    path("dataset/<uuid:dataset_id>/restore", dataset.as_view({"patch": "restore"})),
    path("company/document-retention", RetentionViewSet.as_view({"get": "retrieve", "put": "update"})),
    path("search/trial", TrialViewSet.as_view({"post": "search"})),
    path("website/handshake", HandshakeViewSet.as_view({"post": "create"})),
    path("website/source", website.as_view({"get": "list", "post": "create"})),
    path("website/source/deleted", website.as_view({"get": "deleted"})),
    path("website/source/<uuid:source_id>", website.as_view({"put": "update", "delete": "destroy"})),
    path("website/source/<uuid:source_id>/restore", website.as_view({"patch": "restore"})),
    path("website/source/<uuid:source_id>/crawl", website.as_view({"post": "crawl"})),
    path("website/source/<uuid:source_id>/crawl/cancel", website.as_view({"post": "cancel"})),
    path("website/source/<uuid:source_id>/pages", website.as_view({"get": "pages"})),
    path("website/agent/<uuid:agent_id>/sources", website.as_view({"get": "of_agent"})),
    path("website/<uuid:source_id>", website.as_view({"get": "retrieve"})),
    path("sdk/website/source/<uuid:source_id>", website.as_view({"delete": "destroy_now"})),
    path("sdk/website/source/<uuid:source_id>/crawl", website.as_view({"post": "crawl_now"})),
    path("search/document", views.SearchViewSet.as_view({"post": "search"})),
]
