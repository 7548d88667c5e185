from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from tenants import services
from tenants.models import ApiKey, Company, EmailDomain, User, UserSession
from tenants.pages import errors_as_messages

admin.site.unregister(Group)  # roles are on the user; groups would promise something else


class _NoAdd(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Rows that only a service can make."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Company)
class CompanyAdmin(_NoAdd):
    list_display = ("name", "email", "schema_name", "is_ready", "is_active", "is_verified", "created_at")
    list_filter = ("is_active", "is_verified", "is_ready")
    search_fields = ("name", "email", "schema_name")
    readonly_fields = ("id", "schema_name", "is_ready", "created_at", "updated_at", "archived_at")


@admin.register(User)
class UserAdmin(_NoAdd):
    list_display = ("email", "first_name", "last_name", "company", "role", "status", "two_factor_enabled", "last_login")
    list_filter = ("role", "status", "two_factor_enabled")
    list_select_related = ("company",)
    search_fields = ("email", "first_name", "last_name", "company__name")
    exclude = ("password",)
    readonly_fields = ("id", "company", "last_login", "login_attempts", "created_at", "updated_at")
    actions = ("reset_two_factor",)

    @admin.action(description="Reset the second factor")
    def reset_two_factor(self, request: HttpRequest, people: QuerySet[User]) -> None:
        assert isinstance(request.user, User)  # noqa: S101  # the admin lets nobody else in
        for person in people:
            with errors_as_messages(request):
                services.reset_two_factor(actor=services.principal_of(request.user), user_id=person.pk)
                messages.success(request, f"The second factor of {person.email} was reset.")


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


@admin.register(EmailDomain)
class EmailDomainAdmin(_NoAdd):
    """Which company's provider signs in the people of a domain. Deleting a row frees it from a wrong company."""

    list_display = ("domain", "single_sign_on", "company")
    list_select_related = ("single_sign_on__company",)
    search_fields = ("domain", "single_sign_on__company__name")
    readonly_fields = ("domain", "single_sign_on")

    @admin.display(description="Company")
    def company(self, row: EmailDomain) -> str:
        return str(row.single_sign_on.company)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True
