from __future__ import annotations

from django.urls import path

from documents.api import views
from documents.api.datasets import DatasetViewSet
from documents.api.trial import TrialViewSet
from documents.api.websites import HandshakeViewSet, WebsiteViewSet

document, chunk, dataset = views.DocumentViewSet, views.ChunkViewSet, DatasetViewSet
website = WebsiteViewSet

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
