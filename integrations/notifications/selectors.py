from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from integrations.notifications.enums import MAILED_UNASKED, Kind
from integrations.notifications.models import Notification, Preference
from knowrithm.db.compiled import ANY_TEXT, CompiledQuery
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
    people = [user.pk for user in _ACTIVE_PEOPLE.of(text=schema)]
    return people if among is None else [one for one in people if one in among]


_ACTIVE_PEOPLE: CompiledQuery[User] = CompiledQuery(
    lambda: (
        User.objects.filter(company__schema_name=ANY_TEXT, status=UserStatus.ACTIVE)
        .exclude(role=Role.SUPER_ADMIN)
        .order_by("created_at")
        .only("pk")
    )
)


def wishes_of(user_id: uuid.UUID) -> list[Wish]:
    """One for each kind, in their order."""
    chosen = {row.kind: row for row in Preference.objects.filter(user_id=user_id)}
    return [
        Wish(kind, row.in_app, row.mail) if (row := chosen.get(kind)) else Wish(kind, True, kind in MAILED_UNASKED)
        for kind in Kind
    ]


def wishes_for(kind: Kind, user_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Wish]:
    chosen = {row.user_id: row for row in _PREFERENCES.of(text=kind.value)}
    usual = Wish(kind, True, kind in MAILED_UNASKED)
    return {one: Wish(kind, row.in_app, row.mail) if (row := chosen.get(one)) else usual for one in user_ids}


_PREFERENCES: CompiledQuery[Preference] = CompiledQuery(lambda: Preference.objects.filter(kind=ANY_TEXT))
