"""Deliveries: signed, at least once, tried again for a day, and in nobody's way."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from django_tenants.utils import tenant_context

from agents.services import update_agent
from conftest import Character
from conversations.services import create_conversation
from integrations import jobs, services, tasks
from integrations.enums import EventType
from integrations.models import Webhook, WebhookDelivery
from integrations.signing import signature_of
from integrations.tests.receiver import Receiver
from knowrithm.db.redis import sync_redis
from knowrithm.errors import InvalidInputError
from knowrithm.turns import ask_for_turn
from tenants.audit.models import AuditEvent


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    for pattern in ("turns:*", "webhook-slot:*"):
        for key in sync_redis().scan_iter(pattern):
            sync_redis().delete(key)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def add(who: Character, url: str, **fields: Any) -> Webhook:
    return services.create_webhook(actor=who.principal, fields={"name": "Hook", "url": url, **fields}).webhook


def publish(**payload: Any) -> int:
    return services.publish_event(EventType.LEAD_CREATED, payload)


def work(who: Character) -> None:
    """What a worker does that gets a message of this company."""
    jobs.work_in_turn(who.company.schema_name, tasks.deliver)


def make_due() -> None:
    WebhookDelivery.objects.update(due_at=timezone.now())
    Webhook.objects.update(held_until=None)


def test_a_delivery_is_signed_and_named(in_acme: Character, receiver: Receiver) -> None:
    webhook = add(in_acme, receiver.url)
    assert publish(name="Zoë") == 1
    work(in_acme)

    [request] = receiver.requests
    [delivery] = WebhookDelivery.objects.all()
    digest = hmac.new(webhook.secret.encode(), request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-knowrithm-signature"] == f"sha256={digest}"
    assert request.headers["x-knowrithm-event"] == request.json["event"] == "lead.created"
    assert request.headers["x-knowrithm-event-id"] == request.json["id"] == str(delivery.event_id)
    assert request.headers["x-knowrithm-delivery"] == str(delivery.pk)
    assert request.headers["x-knowrithm-timestamp"] == str(request.json["sent_at"])
    assert request.headers["content-type"] == "application/json"
    assert (request.json["attempt"], request.json["data"]) == (1, {"name": "Zoë"})
    assert (delivery.status, delivery.status_code, delivery.answer) == ("delivered", 200, "ok")
    assert [entry["status_code"] for entry in delivery.history] == [200]
    work(in_acme)
    assert len(receiver.requests) == 1


def test_the_documented_check_accepts_our_signature_and_no_other(in_acme: Character, receiver: Receiver) -> None:
    from pathlib import Path

    text = (Path(__file__).resolve().parents[2] / "docs/webhooks.md").read_text()
    names: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], names)  # our own documentation's example
    webhook = add(in_acme, receiver.url)
    publish(n=1)
    work(in_acme)
    [request] = receiver.requests
    header = request.headers["x-knowrithm-signature"]
    assert names["is_genuine"](request.body, header, webhook.secret)
    assert not names["is_genuine"](request.body + b" ", header, webhook.secret)
    assert not names["is_genuine"](request.body, header, "whsec_other")
    old = jobs.body_of(WebhookDelivery.objects.get(), sent_at=int(time.time()) - 3600)
    assert not names["is_genuine"](old, signature_of(old, [webhook.secret]), webhook.secret)


def test_both_secrets_sign_while_they_overlap(in_acme: Character, receiver: Receiver) -> None:
    old = add(in_acme, receiver.url)
    new = services.rotate_secret(actor=in_acme.principal, webhook_id=old.pk, overlap_hours=1)
    assert new.secret != old.secret
    publish(n=1)
    work(in_acme)
    Webhook.objects.update(previous_expires_at=timezone.now() - timedelta(seconds=1))
    publish(n=2)
    work(in_acme)
    services.rotate_secret(actor=in_acme.principal, webhook_id=old.pk, overlap_hours=0)
    publish(n=3)
    work(in_acme)

    first, second, third = receiver.requests
    assert first.headers["x-knowrithm-signature"] == signature_of(first.body, [new.secret, old.secret])
    assert second.headers["x-knowrithm-signature"] == signature_of(second.body, [new.secret])
    latest = Webhook.objects.get().secret
    assert third.headers["x-knowrithm-signature"] == signature_of(third.body, [latest])


def test_the_outbox_is_written_with_the_change_or_not_at_all(in_acme: Character, receiver: Receiver) -> None:
    add(in_acme, receiver.url)

    @transaction.atomic
    def begin_and_fail() -> None:
        create_conversation(actor=in_acme.principal, agent=in_acme.agent)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin_and_fail()
    assert WebhookDelivery.objects.count() == 0
    create_conversation(actor=in_acme.principal, agent=in_acme.agent)
    assert list(WebhookDelivery.objects.values_list("event_type", flat=True)) == ["conversation.started"]


def test_a_webhook_hears_what_it_asked_for(in_acme: Character, receiver: Receiver) -> None:
    agent = in_acme.agent
    everything = add(in_acme, receiver.url, name="All")
    leads = add(in_acme, receiver.url, name="Leads", event_types=["lead.created"])
    add(in_acme, receiver.url, name="Of the agent", agent_ids=[agent.pk])
    add(in_acme, receiver.url, name="Off", is_active=False)
    services.publish_event(EventType.LEAD_CREATED, {}, agent_id=agent.pk)
    services.publish_event(EventType.AGENT_UPDATED, {}, agent_id=uuid.uuid4())
    services.publish_event(EventType.DOCUMENT_PROCESSED, {})
    heard = WebhookDelivery.objects.order_by("webhook__name", "event_type").values_list("webhook__name", "event_type")
    assert list(heard) == [
        ("All", "agent.updated"),
        ("All", "document.processed"),
        ("All", "lead.created"),
        ("Leads", "lead.created"),
        ("Of the agent", "lead.created"),
    ]
    of_one_event = WebhookDelivery.objects.filter(webhook__in=[everything, leads], event_type="lead.created")
    assert of_one_event.values("event_id").distinct().count() == 1


def test_what_is_refused_comes_again_later_each_time(in_acme: Character, receiver: Receiver) -> None:
    add(in_acme, receiver.url)
    publish(n=1)
    receiver.status, receiver.body = 500, b"x" * 5000
    waits = []
    for attempt in (1, 2, 3):
        before = timezone.now()
        work(in_acme)
        delivery = WebhookDelivery.objects.get()
        assert (delivery.status, delivery.attempts, delivery.status_code) == ("pending", attempt, 500)
        assert delivery.error == "The address answered with status 500."
        waits.append((delivery.due_at - before).total_seconds())
        work(in_acme)  # not due yet
        make_due()
    assert len(receiver.requests) == 3
    assert [request.json["attempt"] for request in receiver.requests] == [1, 2, 3]
    assert [
        low <= wait <= high + 5 for wait, (low, high) in zip(waits, [(8, 12), (24, 36), (72, 108)], strict=True)
    ] == [
        True,
        True,
        True,
    ]
    assert len(delivery.answer) == jobs.KEPT_BYTES
    assert Webhook.objects.get().state == "failing"
    receiver.status = 204
    work(in_acme)
    assert WebhookDelivery.objects.get().status == "delivered"
    webhook = Webhook.objects.get()
    assert (webhook.state, webhook.failures, webhook.held_until) == ("active", 0, None)


def test_after_a_day_a_delivery_is_given_up_and_the_webhook_switched_off(
    in_acme: Character, receiver: Receiver
) -> None:
    add(in_acme, receiver.url)
    receiver.status = 500
    publish(n=1)
    WebhookDelivery.objects.update(created_at=timezone.now() - timedelta(hours=23, minutes=59, seconds=58))
    work(in_acme)
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.error) == ("failed", "The address answered with status 500.")
    publish(n=2)
    jobs.give_up_old()
    assert Webhook.objects.get().is_active is True
    Webhook.objects.update(failing_since=timezone.now() - timedelta(hours=24, seconds=1))
    jobs.give_up_old()
    webhook = Webhook.objects.get()
    assert (webhook.is_active, webhook.state) == (False, "disabled")
    assert AuditEvent.objects.filter(event_type="webhook.disabled").count() == 1
    waiting = WebhookDelivery.objects.get(error__startswith="The webhook was switched off")
    assert waiting.status == "failed"
    assert publish(n=3) == 0
    jobs.give_up_old()
    assert AuditEvent.objects.filter(event_type="webhook.disabled").count() == 1

    services.update_webhook(actor=in_acme.principal, webhook_id=webhook.pk, fields={"is_active": True})
    assert (Webhook.objects.get().state, publish(n=4)) == ("active", 1)


def test_a_redirect_into_the_local_network_is_not_followed(in_acme: Character, receiver: Receiver) -> None:
    with Receiver() as inner:
        receiver.status, receiver.headers = 307, {"Location": inner.url}
        add(in_acme, receiver.url)
        publish(n=1)
        work(in_acme)
        assert (len(receiver.requests), inner.requests) == (1, [])
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.status_code) == ("pending", 307)
    assert "Redirects are not followed" in delivery.error


def test_a_private_address_is_refused_when_it_is_entered_and_when_it_is_called(
    in_acme: Character, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(in_acme, receiver.url)
    publish(n=1)
    monkeypatch.setenv("OUTBOUND_ALLOW", "")
    for url in ("http://127.0.0.1/x", "http://[::1]/", "http://169.254.169.254/latest", "http://10.0.0.1"):
        with pytest.raises(InvalidInputError) as refused:
            add(in_acme, url)
        assert refused.value.code == "WEBHOOK_ADDRESS_REFUSED"
    work(in_acme)  # the name leads elsewhere by now
    delivery = WebhookDelivery.objects.get()
    assert (receiver.requests, delivery.status, delivery.status_code) == ([], "pending", None)
    assert "not allowed" in delivery.error


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.com",
        "https://",
        "https://user:pw@example.com",
        "https://exa mple.com",
        "http://a:99999/",
        "x",
    ],
)
def test_what_is_no_address_is_refused(in_acme: Character, url: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        add(in_acme, url)
    assert list(refused.value.fields) == ["url"]


def hang(receiver: Receiver) -> None:
    def wait(handler: BaseHTTPRequestHandler) -> None:
        receiver.released.wait(30)

    receiver.by_hand = wait


def test_a_target_that_hangs_costs_one_deadline_and_holds_up_nobody(
    acme: Character, globex: Character, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SECONDS", 0.3)
    with Receiver() as quick:
        hang(receiver)
        with tenant_context(acme.company):
            add(acme, receiver.url)
            for number in range(5):
                publish(n=number)
        with tenant_context(globex.company):
            add(globex, quick.url)
            publish(n=9)
        ask_for_turn(jobs.TURNS, acme.company.schema_name)
        work(globex)  # serves acme, who asked first
        work(acme)
        assert (len(receiver.requests), len(quick.requests)) == (1, 1)
        with tenant_context(acme.company):
            webhook = Webhook.objects.get()
            assert webhook.held_until is not None
            assert WebhookDelivery.objects.in_line().count() == 0
            assert WebhookDelivery.objects.get(attempts=1).error == "The server did not answer in time."


def test_an_answer_that_never_ends_counts_by_its_status(
    in_acme: Character, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SECONDS", 0.5)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"begun")
        receiver.released.wait(30)

    receiver.by_hand = drip
    add(in_acme, receiver.url)
    publish(n=1)
    work(in_acme)
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.answer) == ("delivered", "begun")


def test_only_a_few_deliver_at_a_time(in_acme: Character, receiver: Receiver) -> None:
    add(in_acme, receiver.url)
    publish(n=1)
    for number in range(jobs.SLOTS):
        sync_redis().set(f"webhook-slot:{number}", "1")
    work(in_acme)
    assert receiver.requests == []
    sync_redis().delete("webhook-slot:0")
    work(in_acme)
    assert len(receiver.requests) == 1
    assert sync_redis().exists("webhook-slot:0") == 0


def test_what_a_dead_worker_held_is_delivered_by_the_next(in_acme: Character, receiver: Receiver) -> None:
    add(in_acme, receiver.url)
    publish(n=1)
    dead = WebhookDelivery.claim(WebhookDelivery.objects.get().pk, "webhook")
    assert dead is not None
    work(in_acme)
    assert (receiver.requests, jobs.has_work()) == ([], False)
    WebhookDelivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert jobs.has_work() is True
    work(in_acme)
    jobs.deliver(dead)  # it was only slow, and says what it has to say too late
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.attempts, len(delivery.history)) == ("delivered", 2, 2)
    assert [entry["error"] for entry in delivery.history] == [jobs.CUT_OFF, ""]
    assert {request.json["id"] for request in receiver.requests} == {str(delivery.event_id)}


def test_a_payload_lies_encrypted(in_acme: Character, receiver: Receiver) -> None:
    webhook = add(in_acme, receiver.url)
    publish(email="vic@example.org")
    with connection.cursor() as cursor:
        cursor.execute("SELECT payload FROM integrations_webhookdelivery")
        [(stored,)] = cursor.fetchall()
        cursor.execute("SELECT secret FROM integrations_webhook")
        [(secret,)] = cursor.fetchall()
    assert "vic" not in stored
    assert webhook.secret not in secret
    assert json.loads(WebhookDelivery.objects.get().payload) == {"email": "vic@example.org"}
    assert webhook.secret not in json.dumps(list(AuditEvent.objects.values_list("changes", flat=True)))


def test_a_test_is_sent_once_also_to_a_webhook_that_is_off(in_acme: Character, receiver: Receiver) -> None:
    webhook = add(in_acme, receiver.url, is_active=False)
    receiver.status = 500
    services.send_test(actor=in_acme.principal, webhook_id=webhook.pk)
    work(in_acme)
    assert (WebhookDelivery.objects.get().status, Webhook.objects.get().failures) == ("failed", 0)
    assert receiver.requests[0].json["event"] == "webhook.test"


def test_sending_again_is_the_same_event_in_a_new_delivery(in_acme: Character, receiver: Receiver) -> None:
    add(in_acme, receiver.url)
    publish(n=1)
    first = WebhookDelivery.objects.get()
    receiver.status = 500
    work(in_acme)
    services.resend_delivery(actor=in_acme.principal, delivery_id=first.pk)  # waits: at once
    receiver.status = 200
    work(in_acme)
    assert WebhookDelivery.objects.get().status == "delivered"
    again = services.resend_delivery(actor=in_acme.principal, delivery_id=first.pk)
    work(in_acme)
    assert again.pk != first.pk
    assert {request.json["id"] for request in receiver.requests} == {str(first.event_id)}
    assert len(receiver.requests) == 3


def test_nothing_goes_to_a_webhook_that_was_deleted(in_acme: Character, receiver: Receiver) -> None:
    webhook = add(in_acme, receiver.url)
    publish(n=1)
    services.delete_webhook(actor=in_acme.principal, webhook_id=webhook.pk)
    work(in_acme)
    assert (receiver.requests, publish(n=2)) == ([], 0)
    jobs.purge()
    assert Webhook.objects.count() == 1
    Webhook.objects.update(archived_at=timezone.now() - timedelta(days=2))
    jobs.purge()
    assert (Webhook.objects.count(), WebhookDelivery.objects.count()) == (0, 0)


def test_old_deliveries_are_forgotten(in_acme: Character, receiver: Receiver) -> None:
    add(in_acme, receiver.url)
    publish(n=1)
    work(in_acme)
    publish(n=2)
    WebhookDelivery.objects.filter(status="delivered").update(finished_at=timezone.now() - timedelta(days=31))
    jobs.purge()
    assert [row.status for row in WebhookDelivery.objects.all()] == ["pending"]


def test_a_changed_agent_is_told_of(in_acme: Character, receiver: Receiver) -> None:
    add(in_acme, receiver.url)
    update_agent(actor=in_acme.principal, agent=in_acme.agent, changes={"name": "Renamed"})
    work(in_acme)
    [request] = receiver.requests
    assert (request.json["event"], request.json["data"]["name"]) == ("agent.updated", "Renamed")
    assert request.json["data"]["agent_id"] == str(in_acme.agent.pk)
