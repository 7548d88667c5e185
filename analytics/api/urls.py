from __future__ import annotations

from django.urls import path

from analytics.api.views import agents, companies, console, reports

REPORTS = (
    "activity-trends", "agent-performance-trends", "change-tracking", "company-performance", "comparative",
    "conversations", "documents", "retention", "system-health", "usage-metrics", "user-engagement", "user-growth",
)  # fmt: skip
SNAPSHOTS = ("agents", "companies", "overview", "storage")
COMPANY = "super-admin/companies/<uuid:company_id>"

urlpatterns = [
    path("super-admin/users", console.UserConsole.as_view({"get": "list"})),
    path(
        "super-admin/users/<uuid:user_id>",
        console.UserConsole.as_view({"patch": "partial_update", "delete": "destroy"}),
    ),
    path("super-admin/companies", console.CompanyConsole.as_view({"get": "list", "post": "create"})),
    path(COMPANY, console.CompanyConsole.as_view({"get": "retrieve", "patch": "partial_update"})),
    path(f"{COMPANY}/agents", console.CompanyConsole.as_view({"get": "agents"})),
    path(f"{COMPANY}/users", console.CompanyConsole.as_view({"get": "users", "post": "create_user"})),
    path(f"{COMPANY}/documents", console.CompanyConsole.as_view({"get": "documents"})),
    path(f"{COMPANY}/analytics", console.CompanyConsole.as_view({"get": "analytics"})),
    path("super-admin/agents/<uuid:agent_id>", console.ContentConsole.as_view({"patch": "update_agent"})),
    path("super-admin/documents/<uuid:document_id>", console.ContentConsole.as_view({"delete": "destroy_document"})),
    path("super-admin/activity", console.ActivityConsole.as_view({"get": "list"})),
    *(path(f"super-admin/metrics/{name}", reports.SnapshotConsole.as_view({"get": name})) for name in SNAPSHOTS),
    *(
        path(f"super-admin/analytics/{name}", reports.ReportConsole.as_view({"get": name.replace("-", "_")}))
        for name in REPORTS
    ),
    path(
        "super-admin/company/<uuid:company_id>/system-metric", companies.MetricViewSet.as_view({"get": "retrieve_any"})
    ),
    path("analytic/agent/<uuid:agent_id>", agents.AgentAnalyticsViewSet.as_view({"get": "retrieve"})),
    path(
        "analytic/agent/<uuid:agent_id>/performance-comparison",
        agents.AgentAnalyticsViewSet.as_view({"get": "compare"}),
    ),
    path(
        "analytic/conversation/<uuid:conversation_id>",
        agents.ConversationAnalyticsViewSet.as_view({"get": "retrieve"}),
    ),
    path("company/statistics", companies.StatisticsViewSet.as_view({"get": "own"})),
    path("company/<uuid:company_id>/statistics", companies.StatisticsViewSet.as_view({"get": "retrieve"})),
    path("company/<uuid:company_id>/related-data", companies.StatisticsViewSet.as_view({"get": "related_data"})),
    # The published command line tries these one after the other.
    *(
        path(name, companies.MetricViewSet.as_view({"get": "retrieve"}))
        for name in ("admin/system-metric", "admin/metrics", "system/metrics", "metrics")
    ),
    path("system-metric", companies.MetricViewSet.as_view({"post": "create"})),
]
