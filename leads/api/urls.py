from __future__ import annotations

from django.urls import path

from leads.api.views import LeadViewSet

urlpatterns = [
    path("lead/register", LeadViewSet.as_view({"post": "register"})),
    path("lead/company", LeadViewSet.as_view({"get": "of_company"})),
]
