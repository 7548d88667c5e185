from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from tenants import views, views_sso, views_two_factor

urlpatterns = [
    path("", views.landing, name="landing"),
    path("signup", views.signup, name="signup"),
    path("login", views.login, name="login"),
    path("login/code", views_two_factor.login_code, name="login-code"),
    path("two-factor", views_two_factor.two_factor, name="two-factor"),
    path("sso/login", views_sso.sso_login, name="sso-login"),
    path("sso/callback", views_sso.sso_callback, name="sso-callback"),
    path("security", views_sso.security, name="security"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("api-keys", views.api_keys, name="api-keys"),
    path("api-keys/<uuid:pk>/revoke", views.revoke_api_key, name="api-key-revoke"),
    path("account", views.account, name="account"),
    path("account/sessions/<uuid:pk>/revoke", views.revoke_session, name="session-revoke"),
]
