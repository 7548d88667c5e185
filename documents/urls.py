from __future__ import annotations

from django.urls import path

from documents import views, views_datasets, views_trial

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
    path("datasets", views_datasets.datasets, name="datasets"),
    path("datasets/new", views_datasets.create, name="dataset-create"),
    path("datasets/<uuid:pk>", views_datasets.dataset, name="dataset"),
    path("datasets/<uuid:pk>/edit", views_datasets.edit, name="dataset-edit"),
    path("datasets/<uuid:pk>/archive", views_datasets.archive, name="dataset-archive"),
    path("datasets/<uuid:pk>/restore", views_datasets.restore, name="dataset-restore"),
]
