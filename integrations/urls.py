from __future__ import annotations

from django.urls import path

from integrations import views

urlpatterns = [
    path("webhooks", views.webhook_list, name="webhooks"),
    path("webhooks/new", views.create, name="webhook-create"),
    path("webhooks/delivery/<uuid:pk>", views.delivery, name="webhook-delivery"),
    path("webhooks/delivery/<uuid:pk>/resend", views.resend, name="webhook-delivery-resend"),
    path("webhooks/<uuid:pk>", views.webhook, name="webhook"),
    path("webhooks/<uuid:pk>/edit", views.edit, name="webhook-edit"),
    path("webhooks/<uuid:pk>/rotate", views.rotate, name="webhook-rotate"),
    path("webhooks/<uuid:pk>/test", views.test, name="webhook-test"),
    path("webhooks/<uuid:pk>/switch", views.switch, name="webhook-switch"),
    path("webhooks/<uuid:pk>/delete", views.delete, name="webhook-delete"),
]
