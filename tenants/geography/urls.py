from __future__ import annotations

from django.urls import path

from tenants.geography import views

urlpatterns = [
    path("company/address", views.addresses, name="company-addresses"),
    path("company/address/state", views.state_field, name="company-address-state"),
    path("company/address/<int:pk>/primary", views.make_primary, name="company-address-primary"),
    path("company/address/<int:pk>/delete", views.delete, name="company-address-delete"),
]
