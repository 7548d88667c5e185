from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextareaWidget

from knowrithm.errors import NotFoundError
from knowrithm.principal import Principal, Role
from tenants import services
from tenants.browser import start_acting
from tenants.enums import UserStatus
from tenants.forms import ReasonForm
from tenants.models import ApiKey, Company, SystemConfig, User, UserSession
from tenants.pages import as_uuid, errors_in, post_data
from tenants.selectors import get_person

admin.site.unregister(Group)  # roles are on the user; groups would promise something else


class _NoDelete(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class _NoAdd(_NoDelete):
    """Rows that only a service can make."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Company)
class CompanyAdmin(_NoAdd):
    list_display = ("name", "email", "schema_name", "is_ready", "is_active", "is_verified", "created_at")
    list_filter = ("is_active", "is_verified", "is_ready")
    search_fields = ("name", "email", "schema_name")
    readonly_fields = ("id", "schema_name", "is_ready", "created_at", "updated_at", "archived_at")


@admin.register(User)
class UserAdmin(_NoAdd):
    """Status and role go through the services, so that they are checked, take effect at once and are recorded."""

    actions_detail = (
        "act_as",
        {"title": "Change", "items": ["suspend", "reactivate", "make_admin", "make_user"]},
    )
    list_display = ("email", "first_name", "last_name", "company", "role", "status", "last_login")
    list_filter = ("role", "status")
    list_select_related = ("company",)
    search_fields = ("email", "first_name", "last_name", "company__name")
    exclude = ("password",)
    readonly_fields = (
        "id", "company", "email", "username", "role", "status", "last_login", "login_attempts",
        "created_at", "updated_at", "archived_at",
    )  # fmt: skip

    @action(description="Act as this person", url_path="act-as", icon="switch_account")  # type: ignore[untyped-decorator]  # unfold has no types
    def act_as(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks for the reason, then opens the dashboard as the person."""
        form = ReasonForm(post_data(request))
        found = _person(request, object_id)
        if form.is_valid():
            with errors_in(form):
                made = services.start_impersonation(
                    actor=_actor(request), user_id=found.pk, reason=form.cleaned_data["reason"]
                )
                start_acting(request, made.session)
                return redirect("home")
        context = {**self.admin_site.each_context(request), "form": form, "person": found, "opts": self.opts}
        return render(request, "admin/tenants/act_as.html", {**context, "title": f"Act as {found}"})

    @action(description="Suspend", url_path="suspend", icon="block")  # type: ignore[untyped-decorator]  # unfold has no types
    def suspend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._change(request, object_id, "suspend this person", status=UserStatus.SUSPENDED)

    @action(description="Reactivate", url_path="reactivate", icon="check")  # type: ignore[untyped-decorator]  # unfold has no types
    def reactivate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._change(request, object_id, "reactivate this person", status=UserStatus.ACTIVE)

    @action(description="Make an admin", url_path="make-admin", icon="shield_person")  # type: ignore[untyped-decorator]  # unfold has no types
    def make_admin(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._change(request, object_id, "make this person an admin", role=Role.ADMIN)

    @action(description="Make a user", url_path="make-user", icon="person")  # type: ignore[untyped-decorator]  # unfold has no types
    def make_user(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._change(request, object_id, "make this person a user", role=Role.USER)

    def _change(
        self, request: HttpRequest, object_id: str, what: str, *, status: str = "", role: str = ""
    ) -> HttpResponse:
        """A link leads here, so a page asks first, for the reason too."""
        form = ReasonForm(post_data(request))
        found = _person(request, object_id)
        if form.is_valid():
            with errors_in(form):
                if status:
                    services.change_user_status(
                        actor=_actor(request), user_id=found.pk, status=status, reason=form.cleaned_data["reason"]
                    )
                else:
                    services.change_user_role(
                        actor=_actor(request), user_id=found.pk, role=role, reason=form.cleaned_data["reason"]
                    )
                messages.success(request, f"{found}: changed.")
                return redirect("admin:tenants_user_change", object_id)
        context = {**self.admin_site.each_context(request), "form": form, "person": found, "opts": self.opts}
        return render(request, "admin/tenants/act_as.html", {**context, "title": what.capitalize(), "is_change": True})


def _actor(request: HttpRequest) -> Principal:
    assert isinstance(request.user, User)  # noqa: S101  # nobody else comes into the admin
    return services.principal_of(request.user)


def _person(request: HttpRequest, object_id: str) -> User:
    try:
        return get_person(_actor(request), as_uuid(object_id) or uuid.UUID(int=0))
    except NotFoundError as error:
        raise Http404(str(error)) from None


@admin.register(ApiKey)
class ApiKeyAdmin(_NoAdd):
    list_display = ("name", "key_prefix", "company", "user", "status", "last_used_at", "created_at")
    list_select_related = ("company", "user")
    search_fields = ("name", "company__name", "user__email")
    exclude = ("secret_hash",)
    readonly_fields = ("id", "key", "company", "user", "usage_count", "last_used_at", "created_at", "updated_at")


@admin.register(UserSession)
class UserSessionAdmin(_NoAdd):
    list_display = ("user", "impersonator", "ip_address", "user_agent", "created_at", "last_seen_at", "revoked_at")
    list_select_related = ("user", "impersonator")
    search_fields = ("user__email",)
    exclude = ("refresh_jti",)
    readonly_fields = (
        "user", "impersonator", "ip_address", "user_agent", "created_at", "last_seen_at", "expires_at", "revoked_at",
    )  # fmt: skip


class ConfigForm(forms.ModelForm):  # type: ignore[type-arg]  # the stubs' parameters do not exist at run time
    value = forms.JSONField(widget=UnfoldAdminTextareaWidget({"rows": 6}), help_text="JSON. Encrypted at rest.")

    class Meta:
        model = SystemConfig
        fields = ("company", "config_key", "value", "config_type", "description", "is_sensitive")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields["value"].initial = self.instance.config_value


@admin.register(SystemConfig)
class SystemConfigAdmin(_NoDelete):
    list_display = ("config_key", "company", "config_type", "is_sensitive", "updated_at")
    list_filter = ("is_sensitive",)
    list_select_related = ("company",)
    search_fields = ("config_key", "company__name")
    form = ConfigForm

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("company", "config_key") if obj else ()

    def save_model(self, request: HttpRequest, obj: SystemConfig, form: Any, change: bool) -> None:
        saved = services.set_config(
            actor=_actor(request),
            config_key=obj.config_key,
            config_value=form.cleaned_data["value"],
            config_type=obj.config_type,
            description=obj.description,
            is_sensitive=obj.is_sensitive,
            company_id=obj.company_id,
        )
        obj.pk = saved.pk
