from __future__ import annotations

from django.urls import path

from tenants.geography.api import views

urlpatterns = [
    path("address-seed", views.SeedViewSet.as_view({"get": "seed"})),
    path("country", views.CountryViewSet.as_view({"get": "list", "post": "create"})),
    path("country/<int:country_id>", views.CountryViewSet.as_view({"get": "retrieve", "patch": "update"})),
    path("state", views.StateViewSet.as_view({"post": "create"})),
    path("state/country/<int:country_id>", views.StateViewSet.as_view({"get": "of_country"})),
    path("state/<int:state_id>", views.StateViewSet.as_view({"get": "retrieve", "patch": "update"})),
    path("city", views.CityViewSet.as_view({"post": "create"})),
    path("city/state/<int:state_id>", views.CityViewSet.as_view({"get": "of_state"})),
    path("city/<int:city_id>", views.CityViewSet.as_view({"get": "retrieve", "patch": "update"})),
    path("address", views.AddressViewSet.as_view({"get": "list", "post": "create"})),
]
