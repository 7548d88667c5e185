from __future__ import annotations

from django.urls import path

from documents import views, views_datasets, views_lifecycle

urlpatterns = [
    path("documents", views.documents, name="documents"),
    path("documents/upload", views.upload, name="document-upload"),
    path("documents/<uuid:pk>", views.document, name="document"),
    path("documents/<uuid:pk>/row", views.row, name="document-row"),
    path("documents/<uuid:pk>/retry", views.retry, name="document-retry"),
    path("documents/<uuid:pk>/archive", views.archive, name="document-archive"),
    path("documents/<uuid:pk>/restore", views.restore, name="document-restore"),
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
]
