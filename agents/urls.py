from __future__ import annotations

from django.urls import path

from agents import views, views_models, views_versions, views_widget

urlpatterns = [
    path("models", views_models.models, name="models"),
    path("models/new", views_models.create, name="model-create"),
    path("models/test", views_models.try_new, name="model-test-new"),
    path("models/<uuid:pk>/edit", views_models.edit, name="model-edit"),
    path("models/<uuid:pk>/test", views_models.try_changed, name="model-test"),
    path("models/<uuid:pk>/default", views_models.make_default, name="model-default"),
    path("models/<uuid:pk>/delete", views_models.delete, name="model-delete"),
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
    path("agents/<uuid:pk>/widget", views_widget.design, name="agent-widget"),
    path("agents/<uuid:pk>/preview", views_widget.preview, name="agent-preview"),
]
