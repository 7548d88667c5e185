from __future__ import annotations

from django.urls import path

from integrations.notifications import views

urlpatterns = [
    path("notifications", views.notification_list, name="notifications"),
    path("notifications/read", views.read_all, name="notifications-read"),
    path("notifications/preferences", views.preferences, name="notification-preferences"),
    path("notifications/unsubscribe", views.unsubscribe, name="unsubscribe"),
    path("notifications/<uuid:pk>", views.open_notification, name="notification"),
]
