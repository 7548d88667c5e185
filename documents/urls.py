from __future__ import annotations

from django.urls import path

from documents import views

urlpatterns = [
    path("documents", views.documents, name="documents"),
    path("documents/upload", views.upload, name="document-upload"),
    path("documents/<uuid:pk>", views.document, name="document"),
    path("documents/<uuid:pk>/row", views.row, name="document-row"),
    path("documents/<uuid:pk>/retry", views.retry, name="document-retry"),
    path("documents/<uuid:pk>/archive", views.archive, name="document-archive"),
    path("documents/<uuid:pk>/restore", views.restore, name="document-restore"),
]
