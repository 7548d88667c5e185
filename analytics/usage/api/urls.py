from __future__ import annotations

from django.urls import path

from analytics.usage.api.views import KeyAnalyticsViewSet

urlpatterns = [
    path("overview", KeyAnalyticsViewSet.as_view({"get": "overview"})),
    path("usage-trends", KeyAnalyticsViewSet.as_view({"get": "trends"})),
    path("top-endpoints", KeyAnalyticsViewSet.as_view({"get": "top_endpoints"})),
    path("api-key-performance", KeyAnalyticsViewSet.as_view({"get": "performance"})),
    path("error-analysis", KeyAnalyticsViewSet.as_view({"get": "errors"})),
    path("rate-limit-analysis", KeyAnalyticsViewSet.as_view({"get": "rate_limits"})),
    path("detailed-usage/<uuid:api_key_id>", KeyAnalyticsViewSet.as_view({"get": "detailed"})),
]
