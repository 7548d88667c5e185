"""The dashboard's pages about webhooks: for admins, as payloads hold what visitors say."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from agents.models import Agent
from integrations import selectors, services
from integrations.enums import TEST_EVENT, DeliveryStatus, EventType
from integrations.models import Webhook
from tenants.forms import RotationForm
from tenants.pages import (
    PageRequest,
    admin_page,
    errors_as_messages,
    errors_in,
    linked_ids,
    page_of,
    post_data,
    query_text,
)
from tenants.services import principal_of

PER_PAGE = 30
CHECKS = forms.CheckboxSelectMultiple


class WebhookForm(forms.Form):
    name = forms.CharField(max_length=120, help_text="For you, such as: customer relations.")
    url = forms.CharField(
        label="Address",
        max_length=2000,
        widget=forms.URLInput({"placeholder": "https://example.com/hooks/knowrithm"}),
        help_text="It must be public. Use https: what visitors say is sent there.",
    )
    is_active = forms.BooleanField(label="Active", required=False, initial=True)
    event_types = forms.MultipleChoiceField(
        label="Events",
        choices=[(event.value, f"{event.label} ({event.value})") for event in EventType],
        required=False,
        widget=CHECKS,
        help_text="None chosen: all events, also those that come later.",
    )
    agent_ids = forms.ModelMultipleChoiceField(
        label="Agents",
        queryset=Agent.objects.none(),
        required=False,
        widget=CHECKS,
        help_text="None chosen: all agents. Documents of datasets concern no single agent.",
    )

    def __init__(self, data: Any = None, *, webhook: Webhook | None = None) -> None:
        super().__init__(data, initial={name: getattr(webhook, name) for name in services.FIELDS} if webhook else {})
        fields: Any = self.fields
        fields["agent_ids"].queryset = Agent.objects.live().order_by("name")

    def values(self) -> dict[str, Any]:
        return {**self.cleaned_data, "agent_ids": linked_ids(self, "agent_ids")}


@admin_page
def webhook_list(request: PageRequest) -> HttpResponse:
    page = page_of(request, Webhook.objects.live(), per_page=PER_PAGE)
    return render(request, "webhooks/list.html", {"page_obj": page})


@admin_page
def create(request: PageRequest) -> HttpResponse:
    """The secret is in this answer and nowhere else: hence no redirect."""
    form = WebhookForm(post_data(request))
    if form.is_bound and form.is_valid():
        with errors_in(form):
            made = services.create_webhook(actor=principal_of(request.user), fields=form.values())
            return _page(request, made.webhook, secret=made.secret)
    return render(request, "webhooks/form.html", {"form": form, "webhook": None})


@admin_page
def webhook(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _page(request, selectors.get_webhook(pk))


def _page(request: PageRequest, found: Webhook, **context: Any) -> HttpResponse:
    status, event = query_text(request, "status"), query_text(request, "event")
    rows = selectors.deliveries_list(found, status=status, event=event)
    context = {
        "webhook": found,
        "page_obj": page_of(request, rows, per_page=PER_PAGE),
        "is_filtered": bool(status or event),
        "statuses": DeliveryStatus.choices,
        "events": [*EventType.values, TEST_EVENT],
        "agents": Agent.objects.filter(pk__in=found.agent_ids).order_by("name"),
        "rotation": RotationForm(),
        **context,
    }
    return render(request, "webhooks/detail.html", context)


@admin_page
def edit(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_webhook(pk)
    form = WebhookForm(post_data(request), webhook=found)
    if form.is_bound and form.is_valid():
        with errors_in(form):
            services.update_webhook(actor=principal_of(request.user), webhook_id=pk, fields=form.values())
            messages.success(request, "The webhook was saved.")
            return redirect("webhook", pk=pk)
    return render(request, "webhooks/form.html", {"form": form, "webhook": found})


@require_POST
@admin_page
def rotate(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The new secret is in this answer and nowhere else: hence no redirect."""
    found, rotation, secret = selectors.get_webhook(pk), RotationForm(request.POST), ""
    if rotation.is_valid():
        with errors_in(rotation):
            made = services.rotate_secret(actor=principal_of(request.user), webhook_id=pk, **rotation.cleaned_data)
            found, secret = made.webhook, made.secret
    return _page(request, found, rotation=rotation, secret=secret)


@require_POST
@admin_page
def test(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    sent = services.send_test(actor=principal_of(request.user), webhook_id=pk)
    messages.success(request, "A test is on its way. This page says how it went.")
    return redirect("webhook-delivery", pk=sent.pk)


@require_POST
@admin_page
def switch(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """On or off, whichever it is not."""
    found = selectors.get_webhook(pk)
    services.update_webhook(actor=principal_of(request.user), webhook_id=pk, fields={"is_active": not found.is_active})
    messages.success(request, f"“{found.name}” is switched {'off' if found.is_active else 'on'}.")
    return redirect("webhook", pk=pk)


@require_POST
@admin_page
def delete(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    deleted = services.delete_webhook(actor=principal_of(request.user), webhook_id=pk)
    messages.success(request, f"“{deleted.name}” was deleted.")
    return redirect("webhooks")


@admin_page
def delivery(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_delivery(pk)
    payload = json.dumps(json.loads(found.payload), indent=2, ensure_ascii=False)
    template = "webhooks/_delivery.html" if request.htmx else "webhooks/delivery.html"
    return render(request, template, {"delivery": found, "webhook": found.webhook, "payload": payload})


@require_POST
@admin_page
def resend(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    shown = pk
    with errors_as_messages(request):
        shown = services.resend_delivery(actor=principal_of(request.user), delivery_id=pk).pk
        messages.success(request, "It is sent again. This page says how it went.")
    return redirect("webhook-delivery", pk=shown)
