"""Telling people, and what they do with it. Mails are a worker's business (notifications.jobs)."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping

from django.db import transaction
from django.utils import timezone

from integrations.notifications import tasks
from integrations.notifications.enums import Kind
from integrations.notifications.models import Notification, Preference
from integrations.notifications.selectors import Wish, active_people, unread_of, wishes_for, wishes_of
from knowrithm.jobs import current_schema, enqueue
from knowrithm.principal import Principal
from tenants.audit.services import record_event


def notify(
    *,
    kind: Kind,
    key: str,
    text: str,
    path: str,
    user_ids: Collection[uuid.UUID] | None = None,
    is_mailed: bool = True,
) -> int:
    """Tell these people of the company, or all of its active ones, as each wants it. Returns how many hear of it.

    Call it inside the transaction of what happened. The same `kind` and `key` are told to a person once. Three queries,
    so not in a request that many visitors make. Without `is_mailed` it is shown alone.
    """
    wishes = wishes_for(kind, active_people(current_schema(), among=user_ids))
    rows = [
        Notification(
            user_id=user_id, kind=kind, key=key, text=" ".join(text.split())[:300], path=path[:300],
            is_shown=wish.in_app, is_mail_due=wish.mail and is_mailed,
        )
        for user_id, wish in wishes.items()
        if wish.in_app or (wish.mail and is_mailed)
    ]  # fmt: skip
    if rows:
        Notification.objects.bulk_create(rows, ignore_conflicts=True)
    if any(row.is_mail_due for row in rows):
        enqueue(tasks.mail_due, expires=3600)
    return len(rows)


def mark_read(*, actor: Principal, notification_id: uuid.UUID | None = None) -> int:
    """One, or all of the person's. Not written into the audit log: what was looked at changes nothing."""
    rows = unread_of(actor)
    if notification_id is not None:
        rows = rows.filter(pk=notification_id)
    return rows.update(read_at=timezone.now())


@transaction.atomic
def set_preferences(*, actor: Principal, wishes: Mapping[Kind, tuple[bool, bool]]) -> list[Wish]:
    """For each kind whether it is shown and whether it is mailed; a kind that is not named stays."""
    before = {wish.kind: (wish.in_app, wish.mail) for wish in wishes_of(actor.id)}
    for kind, (in_app, mail) in wishes.items():
        Preference.objects.update_or_create(user_id=actor.id, kind=kind, defaults={"in_app": in_app, "mail": mail})
    changes = {
        f"{kind}.{name}": (old, new)
        for kind, wanted in wishes.items()
        for name, old, new in zip(("in_app", "mail"), before[kind], wanted, strict=True)
        if old != new
    }
    record_event(
        actor=actor, event_type="notification.preferences_changed", entity_type="user", entity_id=actor.id,
        changes=changes,
    )  # fmt: skip
    return wishes_of(actor.id)


@transaction.atomic
def unsubscribe(*, user_id: uuid.UUID, kind: Kind) -> None:
    """By the link of a mail, in the company's schema: no more mails of this kind. What is shown stays."""
    wish = next(wish for wish in wishes_of(user_id) if wish.kind == kind)
    Preference.objects.update_or_create(user_id=user_id, kind=kind, defaults={"in_app": wish.in_app, "mail": False})
    record_event(
        actor=None, event_type="notification.unsubscribed", entity_type="user", entity_id=user_id,
        changes={f"{kind}.mail": (wish.mail, False)},
    )  # fmt: skip
