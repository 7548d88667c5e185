from __future__ import annotations

from django.urls import path

from agents import views

urlpatterns = [
    path("agents", views.agents, name="agents"),
    path("agents/new", views.create, name="agent-create"),
    path("agents/<uuid:pk>/edit", views.edit, name="agent-edit"),
    path("agents/<uuid:pk>/archive", views.archive, name="agent-archive"),
    path("agents/<uuid:pk>/restore", views.restore, name="agent-restore"),
    path("agents/<uuid:pk>/embed", views.embed, name="agent-embed"),
    path("agents/<uuid:pk>/preview", views.preview, name="agent-preview"),
]
