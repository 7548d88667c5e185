from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from tenants import views, views_company

urlpatterns = [
    path("", views.landing, name="landing"),
    path("signup", views.signup, name="signup"),
    path("login", views.login, name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("api-keys", views.api_keys, name="api-keys"),
    path("api-keys/<uuid:pk>/revoke", views.revoke_api_key, name="api-key-revoke"),
    path("company", views_company.company, name="company"),
    path("company/archive", views_company.archive, name="company-archive"),
    path("company/archived", views_company.archived, name="company-archived"),
    path("company-logo/<uuid:company_id>/<slug:digest>.png", views_company.logo, name="company-logo"),
    path("account", views.account, name="account"),
    path("account/sessions/<uuid:pk>/revoke", views.revoke_session, name="session-revoke"),
]
