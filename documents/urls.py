from __future__ import annotations

from django.urls import path

from documents import views, views_datasets, views_lifecycle, views_trial, views_websites

urlpatterns = [
    path("documents", views.documents, name="documents"),
    path("documents/upload", views.upload, name="document-upload"),
    path("documents/<uuid:pk>", views.document, name="document"),
    path("documents/<uuid:pk>/row", views.row, name="document-row"),
    path("documents/<uuid:pk>/retry", views.retry, name="document-retry"),
    path("documents/<uuid:pk>/cancel", views.cancel, name="document-cancel"),
    path("documents/<uuid:pk>/archive", views.archive, name="document-archive"),
    path("documents/<uuid:pk>/restore", views.restore, name="document-restore"),
    path("agents/<uuid:pk>/retrieval", views_trial.trial, name="agent-retrieval"),
    path("documents/<uuid:pk>/edit", views_lifecycle.edit, name="document-edit"),
    path("documents/<uuid:pk>/download", views_lifecycle.download, name="document-download"),
    path("documents/<uuid:pk>/replace", views_lifecycle.replace, name="document-replace"),
    path("documents/splitting/<uuid:pk>", views_lifecycle.splitting, name="document-splitting"),
    path("documents/chunk/<uuid:pk>", views_lifecycle.chunk, name="chunk"),
    path("documents/chunk/<uuid:pk>/edit", views_lifecycle.chunk_edit, name="chunk-edit"),
    path("documents/chunk/<uuid:pk>/undo", views_lifecycle.chunk_undo, name="chunk-undo"),
    path("documents/chunk/<uuid:pk>/switch", views_lifecycle.chunk_switch, name="chunk-switch"),
    path("datasets", views_datasets.datasets, name="datasets"),
    path("datasets/new", views_datasets.create, name="dataset-create"),
    path("datasets/<uuid:pk>", views_datasets.dataset, name="dataset"),
    path("datasets/<uuid:pk>/edit", views_datasets.edit, name="dataset-edit"),
    path("datasets/<uuid:pk>/archive", views_datasets.archive, name="dataset-archive"),
    path("datasets/<uuid:pk>/restore", views_datasets.restore, name="dataset-restore"),
    path("websites", views_websites.websites, name="websites"),
    path("websites/new", views_websites.create, name="website-create"),
    path("websites/preview", views_websites.preview, name="website-preview"),
    path("websites/<uuid:pk>", views_websites.website, name="website"),
    path("websites/<uuid:pk>/edit", views_websites.edit, name="website-edit"),
    path("websites/<uuid:pk>/crawl", views_websites.crawl, name="website-crawl"),
    path("websites/<uuid:pk>/stop", views_websites.stop, name="website-stop"),
    path("websites/<uuid:pk>/pause", views_websites.pause, name="website-pause"),
    path("websites/<uuid:pk>/archive", views_websites.archive, name="website-archive"),
    path("websites/<uuid:pk>/restore", views_websites.restore, name="website-restore"),
]
