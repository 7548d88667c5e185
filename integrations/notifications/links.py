"""The link of a mail by which a person hears no more of a kind."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse

from integrations.notifications.enums import Kind
from knowrithm.security.signing import sign, signed_value

PURPOSE = "notifications.unsubscribe"
SECONDS = 365 * 24 * 3600  # who finds an old mail must still get rid of new ones


@dataclass(frozen=True, slots=True)
class Subscription:
    schema: str
    user_id: uuid.UUID
    kind: Kind


def unsubscribe_link(subscription: Subscription) -> str:
    value = [subscription.schema, str(subscription.user_id), subscription.kind.value]
    return f"{settings.BASE_URL}{reverse('unsubscribe')}?token={sign(value, purpose=PURPOSE)}"


def read_link(token: str) -> Subscription | None:
    value = signed_value(token, purpose=PURPOSE, max_age=SECONDS)
    if value is None:
        return None
    schema, user_id, kind = value
    return Subscription(schema, uuid.UUID(user_id), Kind(kind))
