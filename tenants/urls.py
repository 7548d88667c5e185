from __future__ import annotations

from django.urls import path

from tenants import views, views_people

urlpatterns = [
    path("", views.landing, name="landing"),
    path("signup", views.signup, name="signup"),
    path("login", views.login, name="login"),
    path("logout", views.logout, name="logout"),
    path("api-keys", views.api_keys, name="api-keys"),
    path("api-keys/<uuid:pk>/revoke", views.revoke_api_key, name="api-key-revoke"),
    path("people", views_people.people, name="people"),
    path("people/<uuid:pk>", views_people.person, name="person"),
    path("people/<uuid:pk>/status", views_people.change_status, name="person-status"),
    path("people/<uuid:pk>/role", views_people.change_role, name="person-role"),
    path("acting/stop", views_people.stop, name="stop-acting"),
    path("account", views.account, name="account"),
    path("account/sessions/<uuid:pk>/revoke", views.revoke_session, name="session-revoke"),
]
