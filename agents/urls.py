from __future__ import annotations

from django.urls import path

from agents import views, views_versions

urlpatterns = [
    path("agents", views.agents, name="agents"),
    path("agents/new", views.create, name="agent-create"),
    path("agents/<uuid:pk>/edit", views.edit, name="agent-edit"),
    path("agents/<uuid:pk>/versions", views_versions.versions, name="agent-versions"),
    path("agents/<uuid:pk>/publish", views_versions.publish, name="agent-publish"),
    path("agents/<uuid:pk>/discard", views_versions.discard, name="agent-discard"),
    path("agents/<uuid:pk>/rollback", views_versions.roll_back, name="agent-rollback"),
    path("agents/<uuid:pk>/archive", views.archive, name="agent-archive"),
    path("agents/<uuid:pk>/restore", views.restore, name="agent-restore"),
    path("agents/<uuid:pk>/embed", views.embed, name="agent-embed"),
    path("agents/<uuid:pk>/preview", views.preview, name="agent-preview"),
]
