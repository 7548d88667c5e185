from __future__ import annotations

from django.urls import path

from integrations.notifications.api.views import NotificationViewSet

urlpatterns = [
    path("notification", NotificationViewSet.as_view({"get": "list"})),
    path("notification/read", NotificationViewSet.as_view({"post": "read_all"})),
    path("notification/preferences", NotificationViewSet.as_view({"get": "preferences", "put": "set_preferences"})),
    path("notification/<uuid:notification_id>/read", NotificationViewSet.as_view({"post": "read"})),
]
