"""The page on which admins say how long earlier versions and archived documents are kept."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from documents.services import set_document_retention
from documents.services.retention import MAX_RETENTION_DAYS
from knowrithm.db.schema import schema_name
from tenants.models import Company
from tenants.pages import PageRequest, admin_page, errors_in, post_data
from tenants.services import principal_of


class RetentionForm(forms.Form):
    version_days = forms.IntegerField(
        label="Days to keep earlier versions",
        required=False,
        min_value=1,
        max_value=MAX_RETENTION_DAYS,
        help_text="Counted from when a new version took their place. Those that an answer cites stay. Empty: for ever.",
    )
    archive_days = forms.IntegerField(
        label="Days to keep archived documents",
        required=False,
        min_value=1,
        max_value=MAX_RETENTION_DAYS,
        help_text="Counted from when they were archived; earlier versions are among them, also those that an answer "
        "cites. Empty: for ever.",
    )


@admin_page
def retention(request: PageRequest) -> HttpResponse:
    company = Company.objects.get(schema_name=schema_name())
    kept = {"version_days": company.version_retention_days, "archive_days": company.archive_retention_days}
    form = RetentionForm(post_data(request), initial=kept)
    if form.is_valid():
        with errors_in(form):
            set_document_retention(actor=principal_of(request.user), **form.cleaned_data)
            messages.success(request, "Documents are kept as you said.")
            return redirect("documents")
    return render(request, "documents/retention.html", {"form": form})
