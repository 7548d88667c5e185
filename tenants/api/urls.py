from __future__ import annotations

from django.urls import path

from tenants.api import views

urlpatterns = [
    path("auth/register", views.RegisterViewSet.as_view({"post": "create"})),
    path("auth/login", views.LoginViewSet.as_view({"post": "login"})),
    path("auth/refresh", views.LoginViewSet.as_view({"post": "refresh"})),
    path("auth/logout", views.AccountViewSet.as_view({"post": "logout"})),
    path("auth/user/me", views.AccountViewSet.as_view({"get": "me"})),
    path("auth/user", views.AccountViewSet.as_view({"post": "create_user"})),
    path("auth/validate", views.AccountViewSet.as_view({"get": "validate"})),
    path("auth/api-keys", views.ApiKeyViewSet.as_view({"get": "list", "post": "create"})),
    path("auth/api-keys/<uuid:api_key_id>", views.ApiKeyViewSet.as_view({"delete": "destroy"})),
    path("user/profile", views.AccountViewSet.as_view({"get": "profile", "put": "update_profile"})),
    path("company", views.CompanyViewSet.as_view({"get": "retrieve", "post": "create"})),
]
