from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from tenants.audit.admin import AuditedAdmin, audit_link
from tenants.models import ApiKey, Company, User, UserSession

admin.site.unregister(Group)  # roles are on the user; groups would promise something else


class _NoAdd(AuditedAdmin, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Rows that only a service can make."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Company)
class CompanyAdmin(_NoAdd):
    list_display = ("name", "email", "schema_name", "is_ready", "is_active", "is_verified", "created_at", "audit")
    list_filter = ("is_active", "is_verified", "is_ready")
    search_fields = ("name", "email", "schema_name")
    readonly_fields = ("id", "schema_name", "is_ready", "created_at", "updated_at", "archived_at")

    @admin.display(description="Audit log")
    def audit(self, company: Company) -> str:
        return audit_link(company)

    def company_of(self, row: Any) -> Company | None:
        return row if isinstance(row, Company) else None


@admin.register(User)
class UserAdmin(_NoAdd):
    list_display = ("email", "first_name", "last_name", "company", "role", "status", "last_login")
    list_filter = ("role", "status")
    list_select_related = ("company",)
    search_fields = ("email", "first_name", "last_name", "company__name")
    exclude = ("password",)
    readonly_fields = ("id", "company", "last_login", "login_attempts", "created_at", "updated_at")


@admin.register(ApiKey)
class ApiKeyAdmin(_NoAdd):
    list_display = ("name", "key_prefix", "company", "user", "status", "last_used_at", "created_at")
    list_select_related = ("company", "user")
    search_fields = ("name", "company__name", "user__email")
    exclude = ("secret_hash",)
    readonly_fields = ("id", "key", "company", "user", "usage_count", "last_used_at", "created_at", "updated_at")


@admin.register(UserSession)
class UserSessionAdmin(_NoAdd):
    list_display = ("user", "ip_address", "user_agent", "created_at", "last_seen_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("user__email",)
    exclude = ("refresh_jti",)
    readonly_fields = ("user", "ip_address", "user_agent", "created_at", "last_seen_at", "expires_at")

    def company_of(self, row: Any) -> Company | None:
        return row.user.company if isinstance(row, UserSession) else None
