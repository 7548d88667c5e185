from __future__ import annotations

from typing import Any

from django.urls import path

from agents.api import providers, views
from agents.api.versions import AgentVersionViewSet as version

agent, settings, provider = views.AgentViewSet, views.SettingsViewSet, providers.ProviderViewSet
one: Any = {"put": "update", "delete": "destroy"}

urlpatterns = [
    path("agent", agent.as_view({"get": "list", "post": "create"})),
    path("sdk/agent", agent.as_view({"post": "create"})),
    path("sdk/agent/<uuid:agent_id>", agent.as_view(one)),
    path("agent/by-name/<path:name>", agent.as_view({"get": "by_name"})),
    path("agent/<uuid:agent_id>", agent.as_view({"get": "retrieve", **one})),
    path("agent/<uuid:agent_id>/restore", agent.as_view({"patch": "restore"})),
    path("agent/<uuid:agent_id>/clone", agent.as_view({"post": "clone"})),
    path("agent/<uuid:agent_id>/embed-code", agent.as_view({"get": "embed_code"})),
    path("agent/<uuid:agent_id>/versions", version.as_view({"get": "list"})),
    path("agent/<uuid:agent_id>/versions/compare", version.as_view({"get": "compare"})),
    path("agent/<uuid:agent_id>/versions/<int:number>", version.as_view({"get": "retrieve"})),
    path("agent/<uuid:agent_id>/versions/<int:number>/rollback", version.as_view({"post": "rollback"})),
    path("agent/<uuid:agent_id>/publish", version.as_view({"post": "publish"})),
    path("agent/<uuid:agent_id>/draft", version.as_view({"delete": "discard"})),
    path("settings", settings.as_view({"post": "create"})),
    path("sdk/settings", settings.as_view({"post": "create"})),
    path("settings/providers", provider.as_view({"get": "by_kind"})),
    path("settings/providers/seed", provider.as_view({"post": "seed"})),
    path("settings/company/<uuid:company_id>", settings.as_view({"get": "of_company"})),
    path("settings/agent/<uuid:agent_id>", settings.as_view({"get": "of_agent"})),
    path("settings/test", settings.as_view({"post": "try_values"})),
    path("settings/test/<uuid:settings_id>", settings.as_view({"post": "try_stored"})),
    path("settings/<uuid:settings_id>", settings.as_view({"get": "retrieve", **one})),
    path("providers", provider.as_view({"get": "list", "post": "create"})),
    path("providers/bulk-import", provider.as_view({"post": "bulk_import"})),
    path("providers/<uuid:provider_id>", provider.as_view({"get": "retrieve", **one})),
    path("providers/<uuid:provider_id>/models", provider.as_view({"get": "models", "post": "create_model"})),
    path(
        "providers/<uuid:provider_id>/models/<uuid:model_id>",
        provider.as_view({"get": "model", "put": "update_model", "delete": "destroy_model"}),
    ),
    path("widget.js", views.widget_script),
    path("widget/<slug:language>.json", views.widget_texts),
    path("test", views.TestPageViewSet.as_view({"post": "create"})),
]
