from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from agents.catalog.models import Provider, ProviderModel
from tenants.audit.admin import AuditedAdmin


class ProviderModelInline(TabularInline):  # type: ignore[misc]  # unfold has no types
    model = ProviderModel
    extra = 0
    can_delete = False  # settings of any company may refer to it: it is made inactive
    fields = (
        "name", "label", "kind", "context_window", "embedding_dimension", "input_price", "output_price", "currency",
        "is_recommended", "is_deprecated", "is_active", "sort_order",
    )  # fmt: skip


@admin.register(Provider)
class ProviderAdmin(AuditedAdmin, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    list_display = ("label", "slug", "kind", "protocol", "requires_api_key", "is_active")
    list_filter = ("protocol", "kind", "is_active")
    search_fields = ("label", "slug", "models__name")
    inlines = (ProviderModelInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Provider | None = None) -> bool:
        return False
