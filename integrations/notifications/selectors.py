from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from integrations.notifications.enums import MAILED_UNASKED, Kind
from integrations.notifications.models import Notification, Preference
from knowrithm.errors import NotFoundError
from knowrithm.principal import Principal, Role
from tenants.enums import UserStatus
from tenants.models import User


@dataclass(frozen=True, slots=True)
class Wish:
    kind: Kind
    in_app: bool
    mail: bool


def notifications_of(actor: Principal) -> QuerySet[Notification]:
    """What the person is shown, newest first."""
    return Notification.objects.filter(user_id=actor.id, is_shown=True).order_by("-created_at", "pk")


def unread_of(actor: Principal) -> QuerySet[Notification]:
    return notifications_of(actor).filter(read_at=None)


def get_notification(actor: Principal, notification_id: uuid.UUID) -> Notification:
    found = notifications_of(actor).filter(pk=notification_id).first()
    if found is None:
        raise NotFoundError("There is no such notification.")
    return found


def active_people(schema: str, *, among: Collection[uuid.UUID] | None = None) -> list[uuid.UUID]:
    """Of the company with this schema."""
    rows = User.objects.filter(company__schema_name=schema, status=UserStatus.ACTIVE).exclude(role=Role.SUPER_ADMIN)
    if among is not None:
        rows = rows.filter(pk__in=among)
    return list(rows.order_by("created_at").values_list("pk", flat=True))


def wishes_of(user_id: uuid.UUID) -> list[Wish]:
    """One for each kind, in their order."""
    chosen = {row.kind: row for row in Preference.objects.filter(user_id=user_id)}
    return [
        Wish(kind, row.in_app, row.mail) if (row := chosen.get(kind)) else Wish(kind, True, kind in MAILED_UNASKED)
        for kind in Kind
    ]


def wishes_for(kind: Kind, user_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Wish]:
    ids = list(user_ids)
    chosen = {row.user_id: row for row in Preference.objects.filter(user_id__in=ids, kind=kind)}
    usual = Wish(kind, True, kind in MAILED_UNASKED)
    return {one: Wish(kind, row.in_app, row.mail) if (row := chosen.get(one)) else usual for one in ids}
