"""What a worker does with the outbox: one delivery after the other, companies by turns, each until it was answered.

A delivery is claimed by a lease like an ingestion job, so one whose worker has died is made again: at least once, and
the event's id tells a receiver what it has had already. While the other side is waited for, no database connection is
held.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from celery import Task
from django.db import transaction
from django.utils import timezone

from integrations.enums import DeliveryStatus
from integrations.models import Webhook, WebhookDelivery
from integrations.signing import signature_of
from knowrithm.db.schema import release_connection
from knowrithm.jobs import current_schema, enqueue, is_usable
from knowrithm.net.outbound import OutboundError, post
from knowrithm.turns import anyone_waits, ask_for_turn, free_slot, next_in_turn
from tenants.audit.models import RiskLevel
from tenants.audit.services import record_event

log = structlog.get_logger(__name__)

TURNS = "webhooks"
SLOTS = 4  # deliveries at a time: the threads that deliver are those that answer questions
SLOT_MILLISECONDS = 120_000  # longer than a turn
SLICE = 5.0  # seconds after which the next company has its turn
SECONDS = 10.0  # for one answer
KEPT_BYTES = 1000  # of an answer
FIRST_WAIT, LONGEST_WAIT = 10.0, 3600.0  # seconds before the second attempt, and at most
LIFETIME = timedelta(hours=24)  # of a delivery, and how long a webhook may fail
PATIENCE = 3  # refusals in a row before a webhook that does answer is left alone for a while
KEPT = timedelta(days=30)
CUT_OFF = "The worker ended before the answer was seen. The call may have arrived."


def ask_for_worker(task: Task[Any, Any]) -> None:
    """Say that the current company has something to deliver, once the transaction commits."""
    transaction.on_commit(partial(ask_for_turn, TURNS, current_schema()), robust=True)
    enqueue(task)


def has_work() -> bool:
    return WebhookDelivery.objects.in_line().exists() or WebhookDelivery.abandoned().exists()


def work_in_turn(schema: str, task: Task[Any, Any]) -> bool:
    """Deliver for a while for the company whose turn it is; `schema` has asked. True: somebody still waits.

    Without a free slot nothing is done: those who have one look for who waits when they are done.
    """
    ask_for_turn(TURNS, schema)
    with free_slot("webhook", count=SLOTS, milliseconds=SLOT_MILLISECONDS) as slot:
        if slot is None:
            return False
        with next_in_turn(TURNS, _claim_next) as delivery:
            end = time.monotonic() + SLICE
            while delivery is not None:
                deliver(delivery)
                delivery = _claim_next() if time.monotonic() < end else None
    return anyone_waits(TURNS)


def _claim_next() -> WebhookDelivery | None:
    while is_usable(current_schema()):
        found: uuid.UUID | None = None
        for rows in (WebhookDelivery.abandoned().order_by("lease_until"), WebhookDelivery.objects.in_line()):
            found = found or rows.values_list("pk", flat=True).first()
        if found is None:
            return None
        if (delivery := WebhookDelivery.claim(found, "webhook")) is not None:
            return delivery
    return None


@dataclass(frozen=True, slots=True)
class _Outcome:
    status_code: int | None
    answer: str
    error: str  # empty: delivered
    seconds: float


def deliver(delivery: WebhookDelivery) -> None:
    """One attempt for a delivery that this worker has claimed."""
    webhook = delivery.webhook
    if webhook.is_archived or not (webhook.is_active or delivery.is_test):
        delivery.update_if_held(
            status=DeliveryStatus.FAILED, error="The webhook was switched off.", finished_at=timezone.now(),
            lease_until=None,
        )  # fmt: skip
        return
    with delivery.kept_alive():
        release_connection()
        try:
            outcome = _send(delivery)
        except Exception:
            log.exception("webhook_failed", delivery=str(delivery.pk))
            outcome = _Outcome(None, "", "It could not be sent because of a fault on our side.", 0.0)
    with transaction.atomic():
        # The lock keeps two outcomes of one webhook apart; its filters and secrets are its owner's to change.
        webhook = Webhook.objects.select_for_update(no_key=True).get(pk=webhook.pk)
        if _note(delivery, outcome):
            _judge(webhook, delivery, outcome)


def body_of(delivery: WebhookDelivery, *, sent_at: int) -> bytes:
    """What is sent and signed. `sent_at`, in seconds since 1970, is what tells a repetition by a stranger."""
    record = {
        "id": str(delivery.event_id),
        "event": delivery.event_type,
        "timestamp": delivery.occurred_at.isoformat(),
        "attempt": delivery.attempts,
        "sent_at": sent_at,
        "data": json.loads(delivery.payload),
    }
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def _send(delivery: WebhookDelivery) -> _Outcome:
    sent_at = int(time.time())
    body = body_of(delivery, sent_at=sent_at)
    headers = {
        "Content-Type": "application/json",
        "X-Knowrithm-Event": delivery.event_type,
        "X-Knowrithm-Event-Id": str(delivery.event_id),
        "X-Knowrithm-Delivery": str(delivery.pk),
        "X-Knowrithm-Timestamp": str(sent_at),
        "X-Knowrithm-Signature": signature_of(body, delivery.webhook.signing_secrets()),
    }
    began = time.monotonic()
    try:
        page = post(delivery.webhook.url, body, headers=headers, keep_bytes=KEPT_BYTES, timeout=SECONDS)
    except OutboundError as error:
        return _Outcome(None, "", str(error)[:500], round(time.monotonic() - began, 3))
    fault = ""
    if 300 <= page.status < 400:
        fault = f"The address redirects (status {page.status}). Redirects are not followed: enter the final address."
    elif not 200 <= page.status < 300:
        fault = f"The address answered with status {page.status}."
    text = page.body.decode("utf-8", "replace").replace("\0", "")
    return _Outcome(page.status, text, fault, round(time.monotonic() - began, 3))


def _note(delivery: WebhookDelivery, outcome: _Outcome) -> bool:
    """Write down how the attempt went, and when the next is due. False: another worker has taken over."""
    now = timezone.now()
    attempt = {
        "at": now.isoformat(), "status_code": outcome.status_code, "error": outcome.error, "seconds": outcome.seconds
    }  # fmt: skip
    values: dict[str, Any] = {
        "status_code": outcome.status_code, "answer": outcome.answer, "error": outcome.error, "lease_until": None,
        "history": [*delivery.history, *_cut_off(delivery, now.isoformat()), attempt], "updated_at": now,
    }  # fmt: skip
    due_at = now + timedelta(seconds=wait_after(delivery.attempts))
    if not outcome.error:
        values |= {"status": DeliveryStatus.DELIVERED, "finished_at": now}
    elif delivery.is_test or due_at - delivery.created_at > LIFETIME:
        values |= {"status": DeliveryStatus.FAILED, "finished_at": now}
    else:
        values |= {"status": DeliveryStatus.PENDING, "due_at": due_at}
    return delivery.update_if_held(**values)


def _cut_off(delivery: WebhookDelivery, at: str) -> list[dict[str, Any]]:
    """Earlier attempts whose worker has died: whether they arrived nobody here has seen."""
    unseen = {"at": at, "status_code": None, "error": CUT_OFF, "seconds": 0.0}
    return [unseen] * (delivery.attempts - 1 - len(delivery.history))


def wait_after(attempts: int) -> float:
    """Seconds before the next attempt: three times as long each time, and not all at the same moment."""
    return min(FIRST_WAIT * 3.0 ** min(attempts - 1, 20), LONGEST_WAIT) * random.uniform(0.8, 1.2)  # noqa: S311  # no secret


def _judge(webhook: Webhook, delivery: WebhookDelivery, outcome: _Outcome) -> None:
    """What an outcome says of the webhook. One that does not answer is left alone for a while, so that it costs its
    company one deadline now and then and not one for each event.
    """
    now = timezone.now()
    if not outcome.error:
        webhook.failures, webhook.failing_since, webhook.held_until = 0, None, None
        webhook.last_delivered_at = now
    elif delivery.is_test:
        return
    else:
        webhook.failures += 1
        webhook.failing_since = webhook.failing_since or now
        if outcome.status_code is None or webhook.failures >= PATIENCE:
            webhook.held_until = now + timedelta(seconds=wait_after(webhook.failures))
    webhook.save(update_fields=["failures", "failing_since", "held_until", "last_delivered_at"])


def _drop_unfinished(webhook: Webhook, cause: str) -> None:
    WebhookDelivery.objects.filter(webhook=webhook, status=DeliveryStatus.PENDING).update(
        status=DeliveryStatus.FAILED, error=cause, finished_at=timezone.now()
    )


def drop_unfinished(webhook: Webhook) -> None:
    """Nothing is delivered any more to a webhook that somebody has switched off or deleted."""
    _drop_unfinished(webhook, "The webhook was switched off.")


def give_up_old() -> None:
    """Switch off webhooks that have failed for a day, and end what has waited so long behind one."""
    now = timezone.now()
    hopeless = Webhook.objects.live().filter(is_active=True, failing_since__lt=now - LIFETIME)
    for webhook_id in hopeless.values_list("pk", flat=True):
        with transaction.atomic():
            webhook = hopeless.select_for_update(no_key=True).filter(pk=webhook_id).first()
            if webhook is None:
                continue  # delivered to, switched off or deleted meanwhile
            webhook.is_active, webhook.disabled_at = False, now
            webhook.save(update_fields=["is_active", "disabled_at", "updated_at"])
            _drop_unfinished(webhook, "The webhook was switched off because it had failed for 24 hours.")
            record_event(
                actor=None, event_type="webhook.disabled", entity=webhook, changes={"is_active": (True, False)},
                risk_level=RiskLevel.MEDIUM,
            )  # fmt: skip
    old = WebhookDelivery.objects.filter(status=DeliveryStatus.PENDING, created_at__lt=now - LIFETIME)
    old.update(status=DeliveryStatus.FAILED, finished_at=now, error="It could not be delivered within 24 hours.")


def purge() -> None:
    """Forget deliveries a month after their end, and webhooks a day after they were deleted."""
    now = timezone.now()
    WebhookDelivery.objects.filter(finished_at__lt=now - KEPT).delete()
    Webhook.objects.filter(archived_at__lt=now - timedelta(days=1)).delete()
