from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from tenants import views
from tenants.audit import views as audit

urlpatterns = [
    path("", views.landing, name="landing"),
    path("signup", views.signup, name="signup"),
    path("login", views.login, name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("api-keys", views.api_keys, name="api-keys"),
    path("api-keys/<uuid:pk>/revoke", views.revoke_api_key, name="api-key-revoke"),
    path("account", views.account, name="account"),
    path("account/sessions/<uuid:pk>/revoke", views.revoke_session, name="session-revoke"),
    path("audit-log", audit.audit_log, name="audit-log"),
    path("audit-log/export", audit.export, name="audit-log-export"),
]
