"""The link of a mail by which a visitor goes on with one conversation."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse

from knowrithm.security.signing import sign, signed_value

PURPOSE = "conversations.reply"
SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class ReplyLink:
    schema: str
    conversation_id: uuid.UUID


def reply_link(schema: str, conversation_id: uuid.UUID) -> str:
    token = sign([schema, str(conversation_id)], purpose=PURPOSE)
    return f"{settings.BASE_URL}{reverse('continue')}?token={token}"


def read_link(token: str) -> ReplyLink | None:
    value = signed_value(token, purpose=PURPOSE, max_age=SECONDS)
    return ReplyLink(value[0], uuid.UUID(value[1])) if value else None
