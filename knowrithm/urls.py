from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerSplitView

from agents.api.views import TestPageViewSet, widget_script
from conversations.admin import handovers_of_company
from documents.admin import knowledge_of_company
from integrations.admin import webhooks_of_company
from knowrithm.api.errors import not_found
from knowrithm.health import health
from knowrithm.task_status import TaskViewSet
from leads.admin import leads_of_company

api: list[URLPattern | URLResolver] = [
    path("health", health),
    path("tasks/<uuid:task_id>/status", TaskViewSet.as_view({"get": "status"})),
    # Tried one after the other: what is asked for most comes first.
    path("", include("agents.api.urls")),
    path("", include("conversations.api.urls")),
    path("", include("documents.api.urls")),
    path("", include("leads.api.urls")),
    path("", include("tenants.api.urls")),
    path("", include("tenants.geography.api.urls")),
    path("", include("integrations.api.urls")),
    path("", include("integrations.notifications.api.urls")),
    path("", include("analytics.usage.api.urls")),
    path("", include("analytics.api.urls")),
]

handler400 = "knowrithm.api.errors.bad_request"
handler500 = "knowrithm.api.errors.server_error"
urlpatterns: list[URLPattern | URLResolver] = [
    # The published clients were written against different servers: the same API under each of their prefixes.
    path("api/v1/", include(api)),
    path("v1/", include(api)),
    path("api/api/v1/", include(api)),
    path("", include("tenants.urls")),
    path("", include("tenants.geography.urls")),
    path("", include("leads.urls")),
    path("", include("agents.urls")),
    path("", include("documents.urls")),
    path("", include("integrations.urls")),
    path("", include("integrations.notifications.urls")),
    path("", include("conversations.urls")),
    path("", include("analytics.usage.urls")),
    path(
        "admin/company/<uuid:company_id>/knowledge/",
        admin.site.admin_view(knowledge_of_company),
        name="knowledge_of_company",
    ),
    path(
        "admin/company/<uuid:company_id>/webhooks/",
        admin.site.admin_view(webhooks_of_company),
        name="webhooks_of_company",
    ),
    path(
        "admin/company/<uuid:company_id>/handovers/",
        admin.site.admin_view(handovers_of_company),
        name="handovers_of_company",
    ),
    path(
        "admin/company/<uuid:company_id>/leads/",
        admin.site.admin_view(leads_of_company),
        name="leads_of_company",
    ),
    path("admin/", admin.site.urls),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("api/redoc", SpectacularRedocView.as_view(url_name="schema"), name="redoc"),
    path("health", health),
    path("api/health", health),
    path("widget.js", widget_script),
    path("api/widget.js", widget_script),
    path("test", TestPageViewSet.as_view({"post": "create"})),
    path("api/test", TestPageViewSet.as_view({"post": "create"})),
    re_path(r"^(?:api|v1|socket\.io)/", not_found),  # published widgets look for Socket.IO: docs/adr/0029
]
