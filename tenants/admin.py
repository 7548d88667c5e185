from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import OuterRef, QuerySet, Subquery, URLField
from django.db.models.fields.json import KeyTextTransform
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html_join
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextareaWidget

from knowrithm.errors import NotFoundError, ServiceError
from knowrithm.principal import Principal, Role
from knowrithm.templatetags.knowrithm import device
from tenants import services
from tenants.audit.admin import AuditedAdmin, audit_link
from tenants.browser import start_acting
from tenants.enums import SessionKind, UserStatus
from tenants.models import ApiKey, Company, DeadLetter, EmailDomain, Invitation, SystemConfig, User, UserSession
from tenants.pages import as_uuid, errors_as_messages, errors_in, post_data
from tenants.selectors import get_person, related_rows

admin.site.unregister(Group)  # roles are on the user; groups would promise something else


class _ReasonForm(forms.Form):
    reason = forms.CharField(
        label="Reason", max_length=300, help_text="The company reads it in its audit log.",
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
    )  # fmt: skip


class _NoDelete(AuditedAdmin, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class _NoAdd(_NoDelete):
    """Rows that only a service can make."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class _ByService(AuditedAdmin):
    """Saves by a service, which checks and records. What it refuses is said on the page."""

    is_recorded_by_service = True

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        except ServiceError as error:
            messages.error(request, str(error))
            return redirect(request.path)
        return response


def _actor(request: HttpRequest) -> Principal:
    return services.principal_of(cast(User, request.user))


ROWS = ("knowledge", "leads", "webhooks", "handovers")  # each the page `…_of_company` of another app


@admin.register(Company)
class CompanyAdmin(_ByService, _NoAdd):
    list_display = (
        "name",
        "email",
        "status",
        "is_verified",
        "purge_started_at",
        "created_at",
        "audit",
        "rows",
    )
    list_filter = ("is_active", "is_verified", "is_ready", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "email", "schema_name")
    readonly_fields = (
        "id", "schema_name", "is_ready", "logo", "created_at", "updated_at", "archived_at", "purge_started_at",
    )  # fmt: skip
    formfield_overrides = {
        **ModelAdmin.formfield_overrides,
        URLField: {**ModelAdmin.formfield_overrides.get(URLField, {}), "assume_scheme": "https"},
    }
    actions = ("activate", "deactivate", "verify", "archive", "restore")
    actions_detail = ("purge",)

    def save_model(self, request: HttpRequest, obj: Company, form: ModelForm[Company], change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        services.update_company(actor=_actor(request), company=obj, changes=changes)

    @admin.action(description="Activate")
    def activate(self, request: HttpRequest, companies: QuerySet[Company]) -> None:
        self._update(request, companies, is_active=True)

    @admin.action(description="Deactivate: access ends at once")
    def deactivate(self, request: HttpRequest, companies: QuerySet[Company]) -> None:
        self._update(request, companies, is_active=False)

    @admin.action(description="Mark as verified")
    def verify(self, request: HttpRequest, companies: QuerySet[Company]) -> None:
        self._update(request, companies, is_verified=True)

    def _update(self, request: HttpRequest, companies: QuerySet[Company], **changes: bool) -> None:
        for company in companies.filter(purge_started_at=None):
            services.update_company(actor=_actor(request), company=company, changes=changes)
        messages.success(request, "The companies were changed.")

    @admin.action(description="Archive: access ends at once, data stay")
    def archive(self, request: HttpRequest, companies: QuerySet[Company]) -> None:
        self._in_bulk(request, companies, services.archive_companies, "Companies archived")

    @admin.action(description="Restore")
    def restore(self, request: HttpRequest, companies: QuerySet[Company]) -> None:
        self._in_bulk(request, companies, services.restore_companies, "Companies restored")

    def _in_bulk(
        self, request: HttpRequest, companies: QuerySet[Company], service: Callable[..., int], done: str
    ) -> None:
        ids = list(companies.filter(purge_started_at=None).values_list("pk", flat=True))
        with errors_as_messages(request):
            count = service(actor=_actor(request), company_ids=ids)
            messages.success(request, f"{done}: {count}.")

    @action(description="Delete for good", url_path="purge")  # type: ignore[untyped-decorator]  # unfold has no types
    def purge(self, request: HttpRequest, object_id: str) -> HttpResponse:
        company = get_object_or_404(Company, pk=object_id, purge_started_at=None)
        typed = request.POST.get("name", "").strip()
        if request.method == "POST" and typed == company.name.strip():
            services.purge_company(actor=_actor(request), company=company, delete_related=True)
            messages.success(request, f"“{company.name}” is being deleted with all its data.")
            return redirect("admin:tenants_company_changelist")
        context = {
            **self.admin_site.each_context(request),
            "title": f"Delete {company.name} for good",
            "company": company,
            "opts": self.opts,
            "related": related_rows(company),
            "is_wrong": request.method == "POST",
        }
        return render(request, "admin/tenants/company/purge.html", context)

    @admin.display(description="Audit log")
    def audit(self, company: Company) -> str:
        return audit_link(company)

    @admin.display(description="Rows")
    def rows(self, company: Company) -> str:
        """Links to pages of other apps on its own rows (tenants.company_rows)."""
        if not company.is_ready:
            return ""
        links = ((reverse(f"{name}_of_company", args=[company.pk]), name.capitalize()) for name in ROWS)
        return format_html_join(" ", '<a href="{}">{}</a>', links)


@admin.register(User)
class UserAdmin(_NoAdd):
    """Status and role go through the services, so that they are checked, take effect at once and are recorded."""

    actions = ("unlock", "force_password_reset", "reset_two_factor")
    actions_detail = (
        "act_as",
        {"title": "Change", "items": ["suspend", "reactivate", "archive", "make_admin", "make_user"]},
    )
    list_display = ("email", "first_name", "last_name", "company", "role", "status", "two_factor_enabled", "last_login")
    list_filter = ("role", "status", "two_factor_enabled", ("archived_at", admin.EmptyFieldListFilter))
    list_select_related = ("company",)
    search_fields = ("email", "first_name", "last_name", "company__name")
    exclude = ("password",)
    readonly_fields = (
        "id", "company", "email", "username", "role", "status", "last_login", "login_attempts", "locked_until",
        "must_reset_password", "created_at", "updated_at", "archived_at",
    )  # fmt: skip

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Without those that would change nothing."""
        found = User.objects.filter(pk=as_uuid(str(object_id)) or uuid.UUID(int=0)).first()
        if found is None:
            return []
        idle = {
            "suspend" if found.status == UserStatus.SUSPENDED else "",
            "reactivate" if found.status == UserStatus.ACTIVE and found.archived_at is None else "",
            "archive" if found.archived_at is not None else "",
            "make_admin" if found.role == Role.ADMIN else "",
            "make_user" if found.role == Role.USER else "",
        }
        allowed: list[Any] = super().get_actions_detail(request, object_id)
        return [one for one in allowed if one.method.__name__ not in idle]

    @action(description="Act as this person", url_path="act-as", icon="switch_account")  # type: ignore[untyped-decorator]  # unfold has no types
    def act_as(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks for the reason, then opens the dashboard as the person."""
        form = _ReasonForm(post_data(request))
        found = _person(request, object_id)
        if form.is_valid():
            with errors_in(form):
                session = services.start_impersonation(
                    actor=_actor(request), user_id=found.pk, kind=SessionKind.BROWSER, **form.cleaned_data
                )
                start_acting(request, session)
                return redirect("home")
        context = {**self.admin_site.each_context(request), "form": form, "person": found, "opts": self.opts}
        return render(request, "admin/tenants/act_as.html", {**context, "title": f"Act as {found}"})

    @action(description="Suspend", url_path="suspend", icon="block")  # type: ignore[untyped-decorator]  # unfold has no types
    def suspend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        service = partial(services.change_user_status, status=UserStatus.SUSPENDED)
        return self._change(request, object_id, "suspend this person", service)

    @action(description="Reactivate", url_path="reactivate", icon="check")  # type: ignore[untyped-decorator]  # unfold has no types
    def reactivate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        service = partial(services.change_user_status, status=UserStatus.ACTIVE)
        return self._change(request, object_id, "reactivate this person", service)

    @action(description="Archive", url_path="archive", icon="archive")  # type: ignore[untyped-decorator]  # unfold has no types
    def archive(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._change(request, object_id, "archive this person", services.archive_user)

    @action(description="Make an admin", url_path="make-admin", icon="shield_person")  # type: ignore[untyped-decorator]  # unfold has no types
    def make_admin(self, request: HttpRequest, object_id: str) -> HttpResponse:
        service = partial(services.change_user_role, role=Role.ADMIN)
        return self._change(request, object_id, "make this person an admin", service)

    @action(description="Make a user", url_path="make-user", icon="person")  # type: ignore[untyped-decorator]  # unfold has no types
    def make_user(self, request: HttpRequest, object_id: str) -> HttpResponse:
        service = partial(services.change_user_role, role=Role.USER)
        return self._change(request, object_id, "make this person a user", service)

    def _change(self, request: HttpRequest, object_id: str, what: str, service: Callable[..., User]) -> HttpResponse:
        """A link leads here, so a page asks first, for the reason too."""
        form = _ReasonForm(post_data(request))
        found = _person(request, object_id)
        if form.is_valid():
            with errors_in(form):
                service(actor=_actor(request), user_id=found.pk, reason=form.cleaned_data["reason"])
                messages.success(request, f"{found}: changed.")
                return redirect("admin:tenants_user_change", object_id)
        context = {**self.admin_site.each_context(request), "form": form, "person": found, "opts": self.opts}
        return render(request, "admin/tenants/act_as.html", {**context, "title": what.capitalize(), "is_change": True})

    @admin.action(description="Unlock")
    def unlock(self, request: HttpRequest, users: QuerySet[User]) -> None:
        self._for_each(request, users, services.unlock_user, "unlocked")

    @admin.action(description="Force a password reset")
    def force_password_reset(self, request: HttpRequest, users: QuerySet[User]) -> None:
        self._for_each(request, users, services.force_password_reset, "signed out and asked for a new password")

    def _for_each(self, request: HttpRequest, users: QuerySet[User], service: Callable[..., User], done: str) -> None:
        for user in users.select_related("company"):
            service(actor=_actor(request), user=user)
        self.message_user(request, f"{len(users)} people were {done}.")

    @admin.action(description="Reset the second factor")
    def reset_two_factor(self, request: HttpRequest, people: QuerySet[User]) -> None:
        for person in people:
            with errors_as_messages(request):
                services.reset_two_factor(actor=_actor(request), user_id=person.pk)
                messages.success(request, f"The second factor of {person.email} was reset.")


def _person(request: HttpRequest, object_id: str) -> User:
    try:
        return get_person(_actor(request), as_uuid(object_id) or uuid.UUID(int=0))
    except NotFoundError as error:
        raise Http404(str(error)) from None


@admin.register(ApiKey)
class ApiKeyAdmin(_ByService, _NoAdd):
    """A super admin changes a key's name and limits and revokes it. Its rights are its company's to change."""

    actions = ("revoke",)
    list_display = ("name", "key_prefix", "company", "user", "status", "last_used_at", "created_at")
    list_select_related = ("company", "user")
    search_fields = ("name", "company__name", "user__email")
    exclude = ("secret_hash", "pepper_id", "previous_hash", "previous_pepper_id")
    readonly_fields = (
        "id", "key", "company", "user", "scopes", "permissions", "allowed_networks", "expires_at", "revoked_at",
        "usage_count", "last_used_at", "rotated_at", "previous_expires_at", "created_at", "updated_at",
    )  # fmt: skip

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm[ApiKey], change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        services.update_api_key(actor=_actor(request), api_key_id=obj.pk, changes=changes)

    @admin.action(description="Revoke: refused from the next call on")
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        for key in keys:
            services.revoke_api_key(actor=_actor(request), api_key_id=key.pk)
        messages.success(request, f"API keys revoked: {len(keys)}.")


@admin.register(UserSession)
class UserSessionAdmin(_NoAdd):
    list_display = (
        "user", "kind", "impersonator", "ip_address", "seen_as", "created_at", "last_seen_at", "revoked_at",
    )  # fmt: skip
    list_select_related = ("user", "impersonator")
    list_filter = ("kind", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("user__email",)
    actions = ("end",)
    exclude = ("refresh_jti",)
    readonly_fields = (
        "user", "kind", "impersonator", "ip_address", "user_agent", "created_at", "last_seen_at", "expires_at",
        "revoked_at",
    )  # fmt: skip

    @admin.action(description="End: signed out with the next request")
    def end(self, request: HttpRequest, sessions: QuerySet[UserSession]) -> None:
        ids = list(sessions.values_list("pk", flat=True))
        ended = sum(services.end_any_session(actor=_actor(request), session_id=pk) for pk in ids)
        messages.success(request, f"Sessions ended: {ended}.")

    @admin.display(description="device")
    def seen_as(self, row: UserSession) -> str:
        return device(row.user_agent)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # there is nothing to save

    def company_of(self, row: Any) -> Company | None:
        return row.user.company if isinstance(row, UserSession) else None


@admin.register(Invitation)
class InvitationAdmin(_NoAdd):
    list_display = ("email", "company", "role", "invited_by", "status", "sent_at", "expires_at")
    list_select_related = ("company", "invited_by")
    search_fields = ("email", "company__name")
    exclude = ("token_hash",)
    readonly_fields = (
        "company", "email", "role", "invited_by", "expires_at", "sent_at", "accepted_at", "revoked_at",
    )  # fmt: skip


@admin.register(EmailDomain)
class EmailDomainAdmin(_NoAdd):
    """Which company's provider signs in the people of a domain. Deleting a row frees it from a wrong company."""

    list_display = ("domain", "single_sign_on", "company")
    list_select_related = ("single_sign_on__company",)
    search_fields = ("domain", "single_sign_on__company__name")
    readonly_fields = ("domain", "single_sign_on")

    def company_of(self, row: Any) -> Company | None:
        return row.single_sign_on.company if isinstance(row, EmailDomain) else None

    @admin.display(description="Company")
    def company(self, row: EmailDomain) -> str:
        return str(row.single_sign_on.company)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True


@admin.register(DeadLetter)
class DeadLetterAdmin(_NoAdd):
    """Tasks that have failed for good: to be run again, or deleted, once the cause is gone."""

    nothing = "No task has failed for good. One that does is kept here with its cause, to be run again."
    list_display = ("task", "company", "arguments", "error", "times", "created_at", "updated_at")
    list_filter = ("task",)
    search_fields = ("task", "error")
    actions = ("run_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        named = Company.objects.filter(schema_name=KeyTextTransform("0", OuterRef("arguments"))).values("name")
        rows: QuerySet[DeadLetter] = super().get_queryset(request).annotate(company_name=Subquery(named[:1]))
        return rows

    @admin.display(description="Company", empty_value="—")
    def company(self, row: Any) -> str | None:
        name: str | None = row.company_name
        return name

    @admin.action(description="Run again")
    def run_again(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        for letter in letters:
            with errors_as_messages(request):
                services.repeat_dead_letter(actor=_actor(request), letter=letter)
        messages.success(request, "The tasks are run again. What fails once more comes back here.")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True


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
class SystemConfigAdmin(_ByService, _NoDelete):
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
