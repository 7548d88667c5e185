"""Webhooks by the API: made, changed, rotated, tried, and their log."""

from __future__ import annotations

import json
import uuid

import pytest
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from conftest import Character, key_client
from integrations import services
from integrations.enums import EventType
from integrations.models import Webhook, WebhookDelivery

HOOKS = "/api/v1/webhook"
HOOK = {"name": "CRM", "url": "https://8.8.8.8/hook"}


def test_the_life_of_a_webhook(acme_api: APIClient, acme: Character) -> None:
    body = {**HOOK, "event_types": ["lead.created", "lead.created"], "agent_ids": [str(acme.agent.pk)]}
    made = acme_api.post(HOOKS, body)
    assert made.status_code == 201
    record = made.json()["webhook"]
    secret = record["secret"]
    assert secret.startswith("whsec_")
    assert (record["state"], record["event_types"], record["agent_ids"]) == (
        "active", ["lead.created"], [str(acme.agent.pk)],
    )  # fmt: skip
    url = f"{HOOKS}/{record['id']}"
    for shown in (acme_api.get(url), acme_api.get(HOOKS), acme_api.patch(url, {"name": "Renamed"})):
        assert shown.status_code == 200
        assert secret not in shown.content.decode()
    assert acme_api.get(url).json()["webhook"]["name"] == "Renamed"

    rotated = acme_api.post(f"{url}/rotate", {"overlap_hours": 2}).json()["webhook"]
    assert rotated["secret"] != secret
    assert rotated["overlap_ends_at"] is not None
    assert acme_api.post(f"{url}/rotate", {"overlap_hours": 0}).json()["webhook"]["overlap_ends_at"] is None

    assert acme_api.patch(url, {"is_active": False}).json()["webhook"]["state"] == "off"
    assert acme_api.delete(url).status_code == 200
    assert [acme_api.get(url).status_code, acme_api.delete(url).status_code] == [404, 404]
    assert acme_api.get(HOOKS).json()["webhooks"] == []
    with tenant_context(acme.company):
        assert [(row.secret, row.previous_secret) for row in Webhook.objects.all()] == [("", "")]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "url"),
        ({**HOOK, "name": " "}, "name"),
        ({**HOOK, "url": "ftp://example.com"}, "url"),
        ({**HOOK, "url": "http://127.0.0.1/"}, "url"),
        ({**HOOK, "event_types": ["no.such"]}, "event_types"),
        ({**HOOK, "agent_ids": ["x"]}, "agent_ids"),
    ],
)
def test_bad_input_names_its_field(acme_api: APIClient, body: dict[str, object], field: str) -> None:
    answer = acme_api.post(HOOKS, body)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]


def test_an_unknown_agent_and_too_many_webhooks_are_refused(acme_api: APIClient, acme: Character) -> None:
    assert acme_api.post(HOOKS, {**HOOK, "agent_ids": [str(uuid.uuid4())]}).status_code == 404
    with tenant_context(acme.company):
        Webhook.objects.bulk_create(Webhook(name=str(n), url="x") for n in range(services.MOST_WEBHOOKS))
    assert acme_api.post(HOOKS, HOOK).status_code == 409


def test_tests_deliveries_and_sending_again(acme_api: APIClient, acme: Character) -> None:
    url = f"{HOOKS}/{acme_api.post(HOOKS, HOOK).json()['webhook']['id']}"
    with tenant_context(acme.company):
        services.publish_event(EventType.LEAD_CREATED, {"email": "v@example.org"}, agent_id=acme.agent.pk)
    tried = acme_api.post(f"{url}/test")
    assert (tried.status_code, tried.json()["delivery"]["is_test"]) == (202, True)
    rows = acme_api.get(f"{url}/deliveries").json()["deliveries"]
    assert [row["event_type"] for row in rows] == ["webhook.test", "lead.created"]
    assert "payload" not in rows[0]
    [lead] = acme_api.get(f"{url}/deliveries", {"event": "lead.created", "status": "pending"}).json()["deliveries"]
    assert acme_api.get(f"{url}/deliveries", {"status": "delivered"}).json()["deliveries"] == []
    one = f"{HOOKS}/delivery/{lead['id']}"
    assert acme_api.get(one).json()["delivery"]["payload"] == {"email": "v@example.org"}
    with tenant_context(acme.company):
        WebhookDelivery.objects.update(status="failed")
    again = acme_api.post(f"{one}/resend")
    assert again.status_code == 202
    assert (again.json()["delivery"]["id"] != lead["id"], again.json()["delivery"]["event_id"]) == (
        True, lead["event_id"],
    )  # fmt: skip
    acme_api.patch(url, {"is_active": False})
    refused = acme_api.post(f"{one}/resend")
    assert (refused.status_code, refused.json()["code"]) == (409, "WEBHOOK_OFF")


def test_webhooks_are_an_admins_business(acme: Character) -> None:
    for scopes, expected in ((["read", "write"], 403), (["admin"], 200)):
        assert key_client(acme, *scopes).get(HOOKS).status_code == expected


def test_events_are_those_that_can_be_chosen(acme_api: APIClient) -> None:
    assert [event["name"] for event in acme_api.get(f"{HOOKS}/events").json()["events"]] == EventType.values


@pytest.mark.parametrize("count", [1, 3])
def test_lists_cost_the_same_however_long_they_are(
    acme_api: APIClient, acme: Character, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with tenant_context(acme.company):
        for number in range(count):
            webhook = Webhook.objects.create(name=str(number), url="https://example.com/")
        WebhookDelivery.objects.bulk_create(
            WebhookDelivery(webhook=webhook, event_id=uuid.uuid4(), event_type="lead.created", payload=json.dumps({}))
            for _ in range(count)
        )
    acme_api.get(HOOKS)
    with django_assert_num_queries(3):
        assert len(acme_api.get(HOOKS).json()["webhooks"]) == count
    with django_assert_num_queries(4):
        assert len(acme_api.get(f"{HOOKS}/{webhook.pk}/deliveries").json()["deliveries"]) == count
