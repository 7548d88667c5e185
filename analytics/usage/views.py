"""The page of figures about API keys, and the small drawings on the page of the keys."""

from __future__ import annotations

from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import render

from analytics.usage import selectors
from analytics.usage.charts import bars, sparkline
from analytics.usage.selectors import Figures
from tenants.pages import PageRequest, as_uuid, company_page, query_text
from tenants.selectors import api_keys_for
from tenants.services import principal_of

PERIODS = {"7": "Last 7 days", "30": "Last 30 days", "90": "Last 90 days"}
DEFAULT_PERIOD = "30"
SPARKLINE_DAYS = 14
ROWS = 10


@company_page
def usage(request: PageRequest) -> HttpResponse:
    """`?days=` and `?key=` narrow the figures."""
    actor = principal_of(request.user)
    if not actor.is_admin:
        raise PermissionDenied
    company_id, period, wanted = actor.company_id, query_text(request, "days"), as_uuid(query_text(request, "key"))
    period = period if period in PERIODS else DEFAULT_PERIOD
    days, key = int(period), selectors.key_of(company_id, wanted) if wanted else None
    key_id = key.id if key else None
    endpoints = selectors.usage_by(company_id, "method", "endpoint", days=days, key_id=key_id)
    statuses = selectors.usage_by(company_id, "status", days=days, key_id=key_id)
    daily = selectors.usage_by(company_id, "day", days=days, key_id=key_id)
    by_key = selectors.usage_by(company_id, "key_id", days=days)
    keys = selectors.keys_of(company_id)
    peaks = {peak.key.id: peak for peak in selectors.peaks(company_id, days=days)}
    moments = [selectors.first_day(days) + timedelta(days=number) for number in range(days)]
    series = [(day, daily.get((day,), Figures())) for day in moments]
    context = {
        "periods": PERIODS,
        "period": period,
        "keys": list(keys.values()),
        "key": key,
        "total": sum(daily.values(), Figures()),
        "first_day": moments[0],
        "last_day": moments[-1],
        "bars": bars(
            [
                (f"{day:%-d %b}: {day_figures.requests} calls, {day_figures.errors} failed", day_figures.requests,
                 day_figures.errors)
                for day, day_figures in series
            ]
        ),
        "endpoints": selectors.busiest(endpoints, ROWS),
        "failing": selectors.most_errors(endpoints, ROWS),
        "statuses": selectors.most_errors(statuses, ROWS),
        "by_key": [
            (keys[key_id], figures, peaks.get(key_id))
            for (key_id,), figures in selectors.busiest(by_key, len(by_key))
            if key_id in keys
        ],
    }  # fmt: skip
    return render(request, "usage/usage.html", context)


@company_page
def sparklines(request: PageRequest) -> HttpResponse:
    """Calls a day of each key that the person sees, to be put into the rows of the keys' page."""
    actor = principal_of(request.user)
    daily = selectors.usage_by(actor.company_id, "key_id", "day", days=SPARKLINE_DAYS)
    moments = [selectors.first_day(SPARKLINE_DAYS) + timedelta(days=number) for number in range(SPARKLINE_DAYS)]
    lines = []
    for key in api_keys_for(actor):
        calls = [daily.get((key.id, day), Figures()).requests for day in moments]
        lines.append((key, sparkline(calls), sum(calls)))
    return render(request, "usage/_sparklines.html", {"lines": lines, "days": SPARKLINE_DAYS})
