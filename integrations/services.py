"""Webhooks: who is told, of what, and telling it. Delivering is a worker's business (integrations.jobs)."""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils import timezone

from agents.models import Agent
from integrations import jobs, tasks
from integrations.enums import TEST_EVENT, DeliveryStatus, EventType
from integrations.exceptions import WebhookOffError
from integrations.models import Webhook, WebhookDelivery
from integrations.selectors import active_webhooks, get_delivery, get_webhook
from knowrithm.errors import ConflictError, InvalidInputError, NotFoundError
from knowrithm.net.policy import OutboundError, OutboundRefusedError, checked_addresses
from knowrithm.principal import Principal
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, fields_of, record_event

FIELDS = ("name", "url", "is_active", "event_types", "agent_ids")
MOST_WEBHOOKS = 20
MAX_OVERLAP_HOURS = 7 * 24
Payload = Mapping[str, Any]
FAULTY = re.compile(r"[\s\x00-\x1f\x7f\\]")


@dataclass(frozen=True, slots=True)
class NewSecret:
    """The only moment at which the secret is there to be shown."""

    webhook: Webhook
    secret: str


def publish_event(
    event_type: EventType, payload: Payload | Callable[[], Payload], *, agent_id: uuid.UUID | None = None
) -> int:
    """Put an event into the outbox of every webhook that wants it. Returns how many do.

    Call it inside the transaction of what happened, in the company's schema: both are there afterwards, or neither.
    A payload that must be read first is given as a function, which is called when somebody wants the event alone.
    `agent_id` is what a webhook may be limited by; what concerns no agent goes to webhooks without such a limit. One
    query when nobody wants it, two else.
    """
    wanted = [webhook for webhook in active_webhooks() if webhook.wants(event_type, agent_id)]
    if not wanted:
        return 0
    text, event_id = _as_json(payload() if callable(payload) else payload), uuid.uuid4()
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(webhook=webhook, event_id=event_id, event_type=event_type, agent_id=agent_id, payload=text)
        for webhook in wanted
    )
    jobs.ask_for_worker(tasks.deliver)
    return len(wanted)


def _as_json(payload: Payload) -> str:
    return json.dumps(payload, cls=DjangoJSONEncoder, ensure_ascii=False)


# --- Webhooks -----------------------------------------------------------------------------------------------------


def create_webhook(*, actor: Principal, fields: Mapping[str, Any]) -> NewSecret:
    """`fields` are of `FIELDS`; name and url are needed. Raises `InvalidInputError`, `NotFoundError`, `ConflictError`.

    An address that nothing could be delivered to is refused.
    """
    actor.must_be_oneself()
    webhook = Webhook(secret=_new_secret())
    _set(webhook, fields)
    _check_address(webhook)
    with transaction.atomic():
        if Webhook.objects.live().count() >= MOST_WEBHOOKS:
            raise ConflictError(f"A company has at most {MOST_WEBHOOKS} webhooks. Delete one first.")
        _check_agents(webhook, ())
        webhook.save()
        changes = changed_fields({}, fields_of(webhook, FIELDS))
        record_event(
            actor=actor, event_type="webhook.created", entity=webhook, changes=changes, risk_level=RiskLevel.HIGH
        )
    return NewSecret(webhook, webhook.secret)


def update_webhook(*, actor: Principal, webhook_id: uuid.UUID, fields: Mapping[str, Any]) -> Webhook:
    """What is not in `fields` stays; lists are then the whole of them. Switching it on forgets its failures."""
    checked = get_webhook(webhook_id)
    _set(checked, fields)
    if "url" in fields:
        _check_address(checked)
    with transaction.atomic():
        webhook = _locked(webhook_id)
        before = fields_of(webhook, FIELDS)
        known = tuple(webhook.agent_ids)
        was_active, old_url = webhook.is_active, webhook.url
        _set(webhook, fields)
        if "agent_ids" in fields:
            _check_agents(webhook, known)
        if webhook.url != old_url or (webhook.is_active and not was_active):
            webhook.failures, webhook.failing_since, webhook.held_until, webhook.disabled_at = 0, None, None, None
        webhook.save()
        if was_active and not webhook.is_active:
            jobs.drop_unfinished(webhook)
        record_event(
            actor=actor, event_type="webhook.updated", entity=webhook,
            changes=changed_fields(before, fields_of(webhook, FIELDS)), risk_level=RiskLevel.HIGH,
        )  # fmt: skip
    return webhook


@transaction.atomic
def delete_webhook(*, actor: Principal, webhook_id: uuid.UUID) -> Webhook:
    """Nothing more is delivered, and its secrets are gone; its log goes with it."""
    webhook = _locked(webhook_id)
    webhook.archived_at, webhook.is_active = timezone.now(), False
    webhook.secret = webhook.previous_secret = ""
    webhook.save()
    jobs.drop_unfinished(webhook)
    record_event(actor=actor, event_type="webhook.deleted", entity=webhook, risk_level=RiskLevel.MEDIUM)
    return webhook


@transaction.atomic
def rotate_secret(*, actor: Principal, webhook_id: uuid.UUID, overlap_hours: int = 24) -> NewSecret:
    """A new secret. For `overlap_hours` deliveries are signed by both, the new one first."""
    actor.must_be_oneself()
    if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
        fault = f"Give a number of hours from 0 to {MAX_OVERLAP_HOURS}."
        raise InvalidInputError(fault, fields={"overlap_hours": [fault]})
    webhook = _locked(webhook_id)
    now = timezone.now()
    webhook.previous_secret = webhook.secret if overlap_hours else ""
    webhook.previous_expires_at = now + timedelta(hours=overlap_hours) if overlap_hours else None
    webhook.secret, webhook.rotated_at = _new_secret(), now
    webhook.save()
    record_event(
        actor=actor, event_type="webhook.secret_rotated", entity=webhook,
        changes={"both_sign_until": (None, webhook.previous_expires_at)}, risk_level=RiskLevel.HIGH,
    )  # fmt: skip
    return NewSecret(webhook, webhook.secret)


# --- Deliveries ---------------------------------------------------------------------------------------------------


@transaction.atomic
def send_test(*, actor: Principal, webhook_id: uuid.UUID) -> WebhookDelivery:
    """Send an event of its own kind, once, also to a webhook that is switched off."""
    webhook = get_webhook(webhook_id)
    delivery = WebhookDelivery.objects.create(
        webhook=webhook,
        event_id=uuid.uuid4(),
        event_type=TEST_EVENT,
        payload=_as_json({"message": "This is a test.", "webhook_id": webhook.pk}),
        is_test=True,
    )
    jobs.ask_for_worker(tasks.deliver)
    record_event(actor=actor, event_type="webhook.tested", entity=webhook)
    return delivery


@transaction.atomic
def resend_delivery(*, actor: Principal, delivery_id: uuid.UUID) -> WebhookDelivery:
    """The same event once more, as a new delivery. One that still waits is tried at once instead.

    Raises `WebhookOffError` while the webhook is switched off.
    """
    delivery = get_delivery(delivery_id)
    webhook = delivery.webhook
    if not (webhook.is_active or delivery.is_test):
        raise WebhookOffError("This webhook is switched off. Switch it on first.")
    Webhook.objects.filter(pk=webhook.pk).update(held_until=None)
    now = timezone.now()
    if not WebhookDelivery.objects.filter(pk=delivery.pk, status=DeliveryStatus.PENDING).update(due_at=now):
        names = ("webhook", "event_id", "event_type", "agent_id", "occurred_at", "payload", "is_test")
        delivery = WebhookDelivery.objects.create(**{name: getattr(delivery, name) for name in names})
    jobs.ask_for_worker(tasks.deliver)
    record_event(actor=actor, event_type="webhook.delivery_resent", entity=webhook)
    return delivery


def _locked(webhook_id: uuid.UUID) -> Webhook:
    webhook: Webhook | None = Webhook.objects.live().select_for_update(no_key=True).filter(pk=webhook_id).first()
    if webhook is None:
        raise NotFoundError("There is no such webhook.")
    return webhook


def _new_secret() -> str:
    return f"whsec_{secrets.token_urlsafe(32)}"


def _set(webhook: Webhook, fields: Mapping[str, Any]) -> None:
    for name in FIELDS:
        if name in fields:
            setattr(webhook, name, fields[name])
    webhook.name, webhook.url = webhook.name.strip(), webhook.url.strip()
    webhook.event_types = sorted(set(webhook.event_types))
    if not webhook.name:
        raise InvalidInputError("Give the webhook a name.", fields={"name": ["Give it a name."]})
    if unknown := sorted(set(webhook.event_types) - set(EventType.values)):
        text = f"There is no event {unknown[0][:60]!r}. See GET /api/v1/webhook/events for the names."
        raise InvalidInputError(text, fields={"event_types": [text]})


def _check_agents(webhook: Webhook, known: Collection[uuid.UUID]) -> None:
    """An agent that was chosen before and is archived since may stay."""
    new = set(webhook.agent_ids) - set(known)
    if Agent.objects.live().filter(pk__in=new).count() != len(new):
        raise NotFoundError("There is no such agent.")
    webhook.agent_ids = sorted(set(webhook.agent_ids))


def _check_address(webhook: Webhook) -> None:
    """Refuse what every delivery would fail at. Call outside of transactions: it asks for the name."""
    fault = _fault_of(webhook.url)
    code = "WEBHOOK_ADDRESS_REFUSED"
    if not fault:
        parts = urlsplit(webhook.url)
        try:
            checked_addresses(parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme])
        except OutboundError as error:
            fault = str(error)
            if not isinstance(error, OutboundRefusedError):
                code = "WEBHOOK_ADDRESS_UNREACHABLE"
    if fault:
        raise InvalidInputError(fault, code=code, fields={"url": [fault]})


def _fault_of(url: str) -> str:
    whole = "Give the whole address, such as https://example.com/hooks/knowrithm."
    if len(url) > 2000 or FAULTY.search(url):
        return whole
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return whole
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return whole
    if parts.username is not None or parts.password is not None:
        return "Leave name and password out of the address: the signature says who is calling."
    return ""
