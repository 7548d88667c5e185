from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from tenants.models import ApiKey, Company, Invitation, User, UserSession
from tenants.services import force_password_reset, principal_of, unlock_user

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
    list_display = ("email", "first_name", "last_name", "company", "role", "status", "last_login")
    list_filter = ("role", "status")
    list_select_related = ("company",)
    search_fields = ("email", "first_name", "last_name", "company__name")
    exclude = ("password",)
    readonly_fields = (
        "id", "company", "last_login", "login_attempts", "locked_until", "must_reset_password", "created_at",
        "updated_at",
    )  # fmt: skip
    actions = ("unlock", "force_password_reset")

    @admin.action(description="Unlock")
    def unlock(self, request: HttpRequest, users: QuerySet[User]) -> None:
        self._for_each(request, users, unlock_user, "unlocked")

    @admin.action(description="Force a password reset")
    def force_password_reset(self, request: HttpRequest, users: QuerySet[User]) -> None:
        self._for_each(request, users, force_password_reset, "signed out and asked for a new password")

    def _for_each(self, request: HttpRequest, users: QuerySet[User], service: Callable[..., User], done: str) -> None:
        actor = principal_of(request.user)  # type: ignore[arg-type]  # a super admin: nobody else comes here
        for user in users.select_related("company"):
            service(actor=actor, user=user)
        self.message_user(request, f"{len(users)} people were {done}.")


@admin.register(ApiKey)
class ApiKeyAdmin(_NoAdd):
    list_display = ("name", "key_prefix", "company", "user", "status", "last_used_at", "created_at")
    list_select_related = ("company", "user")
    search_fields = ("name", "company__name", "user__email")
    exclude = ("secret_hash",)
    readonly_fields = ("id", "key", "company", "user", "usage_count", "last_used_at", "created_at", "updated_at")


@admin.register(UserSession)
class UserSessionAdmin(_NoAdd):
    list_display = ("user", "kind", "ip_address", "user_agent", "created_at", "last_seen_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("user__email",)
    exclude = ("refresh_jti",)
    readonly_fields = ("user", "kind", "ip_address", "user_agent", "created_at", "last_seen_at", "expires_at")


@admin.register(Invitation)
class InvitationAdmin(_NoAdd):
    list_display = ("email", "company", "role", "invited_by", "status", "sent_at", "expires_at")
    list_select_related = ("company", "invited_by")
    search_fields = ("email", "company__name")
    exclude = ("token_hash",)
    readonly_fields = (
        "company", "email", "role", "invited_by", "expires_at", "sent_at", "accepted_at", "revoked_at",
    )  # fmt: skip
