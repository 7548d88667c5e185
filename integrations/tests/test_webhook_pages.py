"""Webhooks in the dashboard and in Django admin."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_tenants.utils import tenant_context

from conftest import PASSWORD, Character, super_admin_in_browser
from integrations import services
from integrations.enums import EventType
from integrations.models import Webhook, WebhookDelivery
from tenants.models import User

FORM = {"name": "CRM", "url": "https://8.8.8.8/hook", "is_active": "on"}


def test_a_webhook_is_made_shown_and_rotated(acme_client: Client, acme: Character) -> None:
    assert "Tell your other software" in acme_client.get("/webhooks").content.decode()
    made = acme_client.post("/webhooks/new", {**FORM, "event_types": ["lead.created"]})
    [secret] = set(re.findall(r"whsec_[\w-]+", made.content.decode()))
    with tenant_context(acme.company):
        webhook = Webhook.objects.get()
        assert (webhook.secret, webhook.event_types, webhook.is_active) == (secret, ["lead.created"], True)
    url = f"/webhooks/{webhook.pk}"
    assert "whsec_" not in acme_client.get(url).content.decode()
    rotated = acme_client.post(f"{url}/rotate", {"overlap_hours": "24"}).content.decode()
    assert len(set(re.findall(r"whsec_[\w-]+", rotated))) == 1
    assert secret not in rotated
    assert "The old secret still signs until" in rotated
    assert acme_client.post(f"{url}/edit", {**FORM, "name": "Renamed"}).status_code == 302
    assert "Renamed" in acme_client.get("/webhooks").content.decode()
    assert "All events" in acme_client.get(url).content.decode()
    assert acme_client.post(f"{url}/delete").status_code == 302
    assert acme_client.get(url).status_code == 404


def test_a_bad_address_is_said_at_its_field(acme_client: Client) -> None:
    text = acme_client.post("/webhooks/new", {**FORM, "url": "http://10.0.0.1/"}).content.decode()
    assert "Connections to 10.0.0.1 are not allowed" in text


def test_the_log_and_the_notice(acme_client: Client, acme: Character) -> None:
    with tenant_context(acme.company):
        webhook = Webhook.objects.create(name="CRM", url="https://example.com/", failing_since=timezone.now())
        services.publish_event(EventType.LEAD_CREATED, {"first_name": "<b>Vic</b>"})
        delivery = WebhookDelivery.objects.get()
        WebhookDelivery.objects.update(
            status="failed", attempts=1, error="The address answered with status 500.", answer="<script>",
            status_code=500,
            history=[{"at": "2026-01-01T10:00:00", "status_code": 500, "error": "", "seconds": 0.1}],
        )  # fmt: skip
    page = f"/webhooks/{webhook.pk}"
    text = acme_client.get(page).content.decode()
    assert "The address answered with status 500." in text
    assert "Nothing could be delivered since" in text
    assert "No delivery fits" in acme_client.get(page, {"status": "pending"}).content.decode()
    shown = acme_client.get(f"/webhooks/delivery/{delivery.pk}").content.decode()
    assert "&lt;b&gt;Vic&lt;/b&gt;" in shown
    assert "&lt;script&gt;" in shown
    assert acme_client.post(f"/webhooks/delivery/{delivery.pk}/resend").status_code == 302
    assert acme_client.post(f"{page}/test").status_code == 302
    with tenant_context(acme.company):
        assert WebhookDelivery.objects.count() == 3
        Webhook.objects.update(is_active=False, disabled_at=timezone.now() - timedelta(hours=1))
    assert "nothing could be delivered for 24 hours" in acme_client.get(page).content.decode()
    assert acme_client.post(f"{page}/switch").status_code == 302
    with tenant_context(acme.company):
        assert Webhook.objects.get().state == "active"


@pytest.mark.django_db
def test_super_admins_read_them_without_secrets_and_payloads(acme: Character, globex: Character) -> None:
    root = super_admin_in_browser(User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD))
    for who in (acme, globex):
        with tenant_context(who.company):
            Webhook.objects.create(name=f"{who.company.name} hook", url="https://example.com/", secret="whsec_told")
            services.publish_event(EventType.LEAD_CREATED, {"first_name": "Victoria"})
    page = reverse("webhooks_of_company", args=[acme.company.pk])
    assert page in root.get(reverse("admin:tenants_company_changelist")).content.decode()
    for part, told in (("webhooks", "https://example.com/"), ("deliveries", "lead.created")):
        text = root.get(page, {"part": part}).content.decode()
        assert told in text
        assert [word for word in ("whsec_told", "Victoria", "Globex hook") if word in text] == []
