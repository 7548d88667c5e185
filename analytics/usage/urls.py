from __future__ import annotations

from django.urls import path

from analytics.usage import views

urlpatterns = [
    path("api-usage", views.usage, name="api-usage"),
    path("api-usage/sparklines", views.sparklines, name="api-usage-sparklines"),
]
