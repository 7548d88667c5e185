from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from unfold.admin import ModelAdmin

from tenants.audit.admin import AuditedAdmin
from tenants.geography.models import Address, City, Country, State


class _PlaceAdmin(AuditedAdmin, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Adding here adds for everybody: a company's own places it adds itself."""

    list_select_related: ClassVar[tuple[str, ...]] = ("company",)
    readonly_fields = ("company", "created_at", "updated_at")
    search_fields: ClassVar[tuple[str, ...]] = ("name", "company__name")


@admin.register(Country)
class CountryAdmin(_PlaceAdmin):
    list_display = ("name", "iso_code", "company")
    search_fields = ("name", "iso_code", "company__name")


@admin.register(State)
class StateAdmin(_PlaceAdmin):
    list_display = ("name", "code", "country", "company")
    list_select_related = ("company", "country")
    search_fields = ("name", "code", "country__name", "company__name")
    autocomplete_fields = ("country",)


@admin.register(City)
class CityAdmin(_PlaceAdmin):
    list_display = ("name", "state", "postal_code_prefix", "company")
    list_select_related = ("company", "state")
    search_fields = ("name", "state__name", "company__name")
    autocomplete_fields = ("state",)


@admin.register(Address)
class AddressAdmin(AuditedAdmin, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("street_address", "postal_code", "city", "company", "is_primary")
    list_select_related = ("city", "company")
    search_fields = ("street_address", "postal_code", "city__name", "company__name")
    autocomplete_fields = ("city",)
    readonly_fields = ("company", "created_at", "updated_at")

    def has_add_permission(self, request: object, obj: object = None) -> bool:
        return False
