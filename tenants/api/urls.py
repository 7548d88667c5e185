from __future__ import annotations

from django.urls import path

from tenants.api.views import account, api_keys, auth, companies
from tenants.audit import api as audit

urlpatterns = [
    path("auth/register", auth.RegisterViewSet.as_view({"post": "create"})),
    path("auth/login", auth.LoginViewSet.as_view({"post": "login"})),
    path("auth/refresh", auth.LoginViewSet.as_view({"post": "refresh"})),
    path("auth/logout", account.AccountViewSet.as_view({"post": "logout"})),
    path("auth/user/me", account.AccountViewSet.as_view({"get": "me"})),
    path("auth/user", account.AccountViewSet.as_view({"post": "create_user"})),
    path("auth/validate", account.AccountViewSet.as_view({"get": "validate"})),
    path("auth/api-keys", api_keys.ApiKeyViewSet.as_view({"get": "list", "post": "create"})),
    path("auth/api-keys/<uuid:api_key_id>", api_keys.ApiKeyViewSet.as_view({"delete": "destroy"})),
    path("user/profile", account.AccountViewSet.as_view({"get": "profile", "put": "update_profile"})),
    path("company", companies.CompanyViewSet.as_view({"get": "retrieve", "post": "create"})),
    path("audit-log", audit.AuditLogViewSet.as_view({"get": "list"})),
    path("audit-log/export", audit.AuditLogViewSet.as_view({"get": "export"})),
    path("admin/audit-log", audit.AuditLogViewSet.as_view({"get": "list"})),
    path("admin/audit-log/export", audit.AuditLogViewSet.as_view({"get": "export"})),
]
