"""Django admin: its first page, drawn from the console's own reports, and the stored figures to look at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from analytics.models import CompanyDaily, SystemMetric
from analytics.rollups import fresh_companies
from analytics.selectors.activity import activity_page
from analytics.selectors.health import current_health
from analytics.selectors.index_builds import index_builds
from analytics.selectors.periods import Period
from analytics.selectors.usage import company_performance, overview, usage_metrics
from tenants.audit.admin import AuditedAdmin

DAYS = 30
COMPANIES = 20
EVENTS = 10
BUILDS = 20
CHART_HEIGHT = 60  # units of the drawing


class _ReadOnly(AuditedAdmin, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(CompanyDaily)
class CompanyDailyAdmin(_ReadOnly):
    list_display = ("company", "date", "users", "agents", "documents", "storage_bytes", "new_conversations", "tokens")
    list_filter = ("date",)
    list_select_related = ("company",)
    search_fields = ("company__name",)


@admin.register(SystemMetric)
class SystemMetricAdmin(_ReadOnly):
    list_display = ("name", "company", "value", "type", "timestamp")
    list_filter = ("name", "type")
    list_select_related = ("company",)
    search_fields = ("name", "company__name")


def front_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What `templates/admin/index.html` shows above the list of tables (unfold calls it)."""
    now = timezone.now()
    period = Period(now - timedelta(days=DAYS), now)
    companies = fresh_companies()
    performance = company_performance(period, companies, {"sort_by": "conversations", "limit": COMPANIES})
    snapshot, usage = overview("30d"), usage_metrics(period, None)
    events, _ = activity_page(types=[], start=0, size=EVENTS)
    return {
        **context,
        "days": DAYS,
        "figures": _figures(snapshot, performance["summary"]),
        "charts": [
            _chart("Conversations", usage["conversation_trends"], "conversations"),
            _chart("Documents", usage["storage_trends"], "documents_added"),
            _chart("New people", usage["user_trends"], "new_users"),
        ],
        "companies_table": {
            "headers": ["Company", "People", "Agents", "Documents", "Conversations", "Storage"],
            "rows": [_company_row(row) for row in performance["rankings"]],
        },
        "events": events,
        "builds_table": {
            "headers": ["Company", "Agent or dataset", "Embedding model", "State", "Cause"],
            "rows": [
                [row["company_name"], row["home"], row["model"], row["status"], row["error"]]
                for row in index_builds(BUILDS)
            ],
        },
        "health": current_health(),
    }


def _figures(snapshot: dict[str, Any], summary: dict[str, Any]) -> list[dict[str, Any]]:
    totals, deltas = snapshot["totals"], snapshot["deltas"]
    return [
        {"label": "Companies", "value": totals["companies"], "delta": deltas["companies"]},
        {"label": "Agents", "value": totals["agents"], "delta": deltas["agents"]},
        {"label": "Documents read", "value": totals["documents_processed"], "delta": deltas["documents_processed"]},
        {"label": "Active people", "value": totals["active_users"], "delta": deltas["active_users"]},
        {"label": "Online now", "value": snapshot["online_users"], "delta": None},
        {"label": "Storage", "value": filesizeformat(summary["total_storage_bytes"]), "delta": None},
    ]


def _chart(title: str, series: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Bars of an SVG that is ten units wide for each day."""
    highest = max((point[name] for point in series), default=0) or 1
    heights = [max(round(point[name] / highest * CHART_HEIGHT), 1) if point[name] else 0 for point in series]
    return {
        "title": title,
        "total": sum(point[name] for point in series),
        "bars": [
            {
                "x": position * 10 + 1,
                "y": CHART_HEIGHT - height,
                "height": height,
                "label": f"{point['date']}: {point[name]}",
            }
            for position, (point, height) in enumerate(zip(series, heights, strict=True))
        ],
        "width": len(series) * 10,
        "height": CHART_HEIGHT,
        "first": series[0]["date"],
        "last": series[-1]["date"],
    }


def _company_row(row: dict[str, Any]) -> list[Any]:
    metrics = row["metrics"]
    url = reverse("admin:tenants_company_change", args=[row["company_id"]])
    return [
        format_html('<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>', url, row["company_name"]),
        *(metrics[name] for name in ("users", "agents", "documents", "conversations")),
        filesizeformat(metrics["storage_bytes"]),
    ]
