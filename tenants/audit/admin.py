"""The audit log in Django admin, to be read; and what makes every other page there write to it."""

from __future__ import annotations

import uuid
from typing import Any

import django_celery_beat.admin  # noqa: F401  # registers what is registered anew below
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.paginator import Paginator
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from tenants.audit.models import AuditEvent, RiskLevel
from tenants.audit.sentences import sentence
from tenants.audit.services import changed_fields, log_of, record_event
from tenants.audit.views import shown
from tenants.models import Company, User
from tenants.services import principal_of

PER_PAGE = 50


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # mixed into admins of any model
    """Each change made by hand writes its row, in the same transaction: in the log of the company that it concerns.

    `is_recorded_by_service`: what this admin does goes through services, whose rows leave out what is secret.
    """

    is_recorded_by_service = False

    def company_of(self, row: Any) -> Company | None:
        company = getattr(row, "company", None)
        return company if isinstance(company, Company) else None

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Django calls this once a save, after the row and what stands inline below it."""
        message = super().construct_change_message(request, form, formsets, add)
        changes = changed_fields(
            {name: form.initial.get(name) for name in form.changed_data},
            {name: _plain(form.cleaned_data.get(name)) for name in form.changed_data},
        )
        for formset in formsets or ():
            for inline in (*formset.new_objects, *(row for row, _ in formset.changed_objects)):
                changes[f"{inline._meta.model_name} {inline}"] = (None, "saved")
            for inline in formset.deleted_objects:
                changes[f"{inline._meta.model_name} {inline}"] = ("there", None)
        self._record(request, form.instance, "created" if add else "updated", changes)
        return message

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        key = obj.pk
        super().delete_model(request, obj)
        obj.pk = key
        self._record(request, obj, "deleted", {})

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        rows = list(queryset)
        super().delete_queryset(request, queryset)
        for row in rows:
            self._record(request, row, "deleted", {})

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """What the logs tell of the row, whoever did it: Django's own history knows the admin's changes alone."""
        row = self.get_object(request, unquote(object_id))
        if row is None or not self.has_view_or_change_permission(request, row):
            raise Http404("There is no such row.")
        company = row if isinstance(row, Company) else self.company_of(row)
        found: list[AuditEvent] = []
        for log in {None, company if company is not None and company.is_ready else None}:
            with log_of(log):
                about = AuditEvent.objects.filter(entity_id=str(row.pk))
                if not isinstance(row.pk, uuid.UUID):
                    about = about.filter(entity_type=_kind_of(row))  # other tables have rows of that number
                found += about.order_by("-position")[:PER_PAGE]
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {row}",
            "events": shown(sorted(found, key=lambda event: event.created_at, reverse=True)[:PER_PAGE]),
        }
        return TemplateResponse(request, "admin/audit_of_company.html", context)

    def _record(self, request: HttpRequest, row: Any, verb: str, changes: dict[str, tuple[Any, Any]]) -> None:
        if self.is_recorded_by_service:
            return
        kind = _kind_of(row)
        company = self.company_of(row)
        with log_of(company if company is not None and company.is_ready else None):
            record_event(
                actor=principal_of(request.user) if isinstance(request.user, User) else None,
                event_type=f"{kind}.{verb}",
                entity=row,
                entity_type=kind,
                changes=changes,
                description="In Django admin.",
                risk_level=RiskLevel.HIGH,
            )


def _kind_of(row: Any) -> str:
    kind: str = type(row)._meta.verbose_name_raw.lower().replace(" ", "_")
    return kind[:40]


def _plain(value: Any) -> Any:
    if isinstance(value, models.Model):
        return value.pk
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)


for model in apps.get_app_config("django_celery_beat").get_models():
    if admin.site.is_registered(model):
        plain = type(admin.site.get_model_admin(model))
        admin.site.unregister(model)
        # Without its actions on many rows, which would leave no trace.
        admin.site.register(model, type(f"Audited{plain.__name__}", (AuditedAdmin, plain), {"actions": ()}))


@admin.register(AuditEvent)
class AuditEventAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """The platform's log; a company's stands behind the link in the list of companies."""

    list_display = ("position", "created_at", "told", "risk_level", "ip_address")
    list_filter = ("risk_level", "entity_type")
    search_fields = ("actor_label", "entity_label", "event_type")
    date_hierarchy = "created_at"

    @admin.display(description="What happened")
    def told(self, event: AuditEvent) -> str:
        return sentence(event)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The log has none itself: its rows never change."""
        return redirect("admin:audit_auditevent_change", object_id)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.of_company)
        found: list[URLPattern] = super().get_urls()
        return [path("company/<uuid:company_id>/", view, name="audit_of_company"), *found]

    def of_company(self, request: HttpRequest, company_id: uuid.UUID) -> HttpResponse:
        if not self.has_view_permission(request):
            raise Http404
        company = Company.objects.filter(pk=company_id, is_ready=True).first()
        if company is None:
            raise Http404("There is no such company.")
        with log_of(company):
            page = Paginator(AuditEvent.objects.all(), PER_PAGE).get_page(request.GET.get("page"))
            events = shown(page.object_list)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Audit log of {company.name}",
            "page_obj": page,
            "events": events,
        }
        return TemplateResponse(request, "admin/audit_of_company.html", context)


def audit_link(company: Company) -> SafeString | str:
    if not company.is_ready:
        return ""
    return format_html('<a href="{}">Audit log</a>', reverse("admin:audit_of_company", args=[company.pk]))
