from __future__ import annotations

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from agents.catalog.models import Provider, ProviderModel
from tenants.audit.admin import AuditedAdmin


class ProviderModelInline(TabularInline):  # type: ignore[misc]  # unfold has no types
    model = ProviderModel
    extra = 0


@admin.register(Provider)
class ProviderAdmin(AuditedAdmin, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("label", "slug", "kind", "requires_api_key", "is_active")
    inlines = (ProviderModelInline,)
